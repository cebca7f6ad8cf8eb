#include <openssl/crypto.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "protocol/utf8.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/state_dir.hpp"
#include "proxy/inventory/shortened_files.hpp"
#include "proxy/record/line_file.hpp"
#include "proxy/record/own_thread.hpp"
#include "proxy/server/listener.hpp"
#include "proxy/server/log.hpp"
#include "proxy/server/server.hpp"
#include "proxy/upgrade/inheritance.hpp"
#include "proxy/upgrade/state_lock.hpp"
#include "proxy/upstream/offload.hpp"
#include "proxy/version.hpp"

namespace proxy::command {
namespace {

int serve(const ConfigOptions& options, config::Config config, Inheritance& inheritance);

/// Files that are not there yet are no mistake that only a hand mends: whoever supervises this is
/// to try again.
int code_of(const std::vector<config::Diagnostic>& errors) {
    const bool may_pass =
        std::all_of(errors.begin(), errors.end(), [](const config::Diagnostic& error) { return error.may_pass; });
    return may_pass ? exit_failure : exit_usage;
}

}  // namespace

config::Loaded load_config(const ConfigOptions& options) {
    return options.config_file.empty() ? config::from_flags(options.flags) : config::load(options.config_file);
}

void print(const std::vector<config::Diagnostic>& errors, const std::vector<config::Diagnostic>& warnings) {
    for (const config::Diagnostic& warning : warnings)
        std::fprintf(stderr, "warning: %s\n", protocol::printable(to_string(warning)).c_str());
    std::string all;
    for (const config::Diagnostic& error : errors) {
        std::fprintf(stderr, "error: %s\n", protocol::printable(to_string(error)).c_str());
        all += (all.empty() ? "" : "; ") + to_string(error);
    }
    if (!errors.empty()) Inheritance::ours().failed(all);
}

namespace {

/// False: it cannot be made and has to be there; an error says so. What can be done without it says
/// for itself what it lacks.
bool prepare_state_dir(const std::string& dir, const config::Config& config) {
    const Need need = need_of_state_dir(config);
    if (need == Need::none) return true;
    try {
        create_state_dir(dir);
        return true;
    } catch (const std::exception& error) {
        if (need == Need::welcome) return true;
        const bool needed = need == Need::needed;
        std::fprintf(stderr, "%s: %s\n", needed ? "error" : "warning", protocol::printable(error.what()).c_str());
        if (needed) Inheritance::ours().failed(error.what());
        return !needed;
    }
}

/// It holds private keys, passwords and what sessions carry: no core file, and no debugger of
/// another process of our user (prctl(2)).
void keep_memory_private() { ::prctl(PR_SET_DUMPABLE, 0); }

}  // namespace

int run(const ConfigOptions& options) {
    block_signals();
    Inheritance& inheritance = Inheritance::take();
    config::Loaded loaded = load_config(options);
    if (loaded.incomplete) {
        keep_memory_private();
        loaded.errors = all_errors(loaded, state_dir(loaded.incomplete->runtime.state_dir));
    }
    print(loaded.errors, loaded.warnings);
    if (!loaded.config) return code_of(loaded.errors);
    const int code = serve(options, std::move(*loaded.config), inheritance);
    end_log();
    // Neither a pipe that nobody reads nor a name server that does not answer holds up the end.
    if (Offload::left_work_behind() || OwnThread::left_behind()) std::_Exit(code);
    return code;
}

namespace {

void tell(const std::string& error, bool has_log) {
    Inheritance::ours().failed(error);
    const std::string line = "error: " + protocol::printable(error);
    if (has_log) {
        print_line(LogLine::To::standard_error, line);  // whoever reads it, or not
    } else {
        std::fprintf(stderr, "%s\n", line.c_str());
    }
}

int serve(const ConfigOptions& options, config::Config config, Inheritance& inheritance) {
    const std::string dir = state_dir(config.runtime.state_dir);
    bool has_log = false;
    config::Origin opened = config.log.file_origin;
    try {
        if (!config.runtime.core_dumps) keep_memory_private();
        survive_shortened_files();
        if (!prepare_state_dir(dir, config)) return exit_usage;
        if (inheritance.is_one() && inheritance.state_dir != dir)
            throw std::runtime_error("runtime.state_dir was " + inheritance.state_dir + " and is " + dir +
                                     ": that needs a restart");
        StateLock lock = inheritance.state_lock ? StateLock(std::move(inheritance.state_lock)) : StateLock(dir);
        set_up_log(config.log);
        has_log = true;
        const std::string file = config.file.empty() ? "the command line" : config.file;
        spdlog::info("pgairlock {}, OpenSSL {}, configuration {}, state directory {}", version(),
                     OpenSSL_version(OPENSSL_VERSION_STRING), file, dir);
        opened = config.audit.file_origin;
        LoadedSnapshot snapshot = load_snapshot(std::move(config), {.path = dir});
        print(snapshot.errors, snapshot.warnings);
        for (const std::string& what : snapshot.made) spdlog::info("{}", what);
        if (!snapshot.snapshot) return code_of(snapshot.errors);
        auto server = std::make_unique<Server>(
            std::move(snapshot.snapshot), dir, [options] { return load_config(options); }, std::move(lock),
            inheritance);
        server->run();
        // What a command that hangs goes on using stays there until the process ends.
        if (Offload::left_work_behind()) server.release()->abandon();
        return exit_ok;
    } catch (const CannotOpen& error) {
        tell(to_string(unusable_file(opened, error.what())), has_log);
        return error.is_misconfigured() ? exit_usage : exit_failure;
    } catch (const std::exception& error) {
        tell(with_holder(error), has_log);
        return exit_failure;
    }
}

}  // namespace
}  // namespace proxy::command
