#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>

#include "protocol/utf8.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/state_dir.hpp"
#include "proxy/server/log.hpp"
#include "proxy/server/server.hpp"
#include "proxy/upstream/offload.hpp"

namespace proxy::command {

config::Loaded load_config(const ConfigOptions& options) {
    return options.config_file.empty() ? config::from_flags(options.flags) : config::load(options.config_file);
}

void print(const std::vector<config::Diagnostic>& errors, const std::vector<config::Diagnostic>& warnings) {
    for (const config::Diagnostic& warning : warnings)
        std::fprintf(stderr, "warning: %s\n", to_string(warning).c_str());
    for (const config::Diagnostic& error : errors) std::fprintf(stderr, "error: %s\n", to_string(error).c_str());
}

int run(const ConfigOptions& options) {
    if (options.config_file.empty() && options.flags.upstream.empty()) {
        std::fprintf(
            stderr,
            "error: nothing to connect to: give --config FILE or --upstream HOST:PORT (pgairlock run --help)\n");
        return exit_usage;
    }
    config::Loaded loaded = load_config(options);
    print(loaded.errors, loaded.warnings);
    if (!loaded.config) return exit_usage;
    const std::string dir = state_dir(loaded.config->runtime.state_dir);
    block_signals();
    int code = exit_ok;
    try {
        create_state_dir(dir);
        set_up_log(loaded.config->log);
        LoadedSnapshot snapshot = load_snapshot(std::move(*loaded.config), dir);
        print(snapshot.errors, snapshot.warnings);
        if (!snapshot.snapshot) return exit_usage;
        Server server(std::move(snapshot.snapshot), dir, [options] { return load_config(options); });
        server.run();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", protocol::printable(error.what()).c_str());
        code = exit_failure;
    }
    if (Offload::left_work_behind()) {
        spdlog::default_logger()->flush();
        std::fflush(nullptr);
        std::_Exit(code);
    }
    return code;
}

}  // namespace proxy::command
