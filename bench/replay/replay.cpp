#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include "bench/commands.hpp"
#include "bench/replay/openssl_groups.hpp"
#include "bench/replay/replay_report.hpp"
#include "bench/target/interrupt.hpp"
#include "config/load.hpp"
#include "protocol/utf8.hpp"

namespace bench {
namespace {

using namespace bench::replay;

struct CloseFile {
    void operator()(std::FILE* file) const noexcept {
        if (file != stdout) std::fclose(file);
    }
};

/// Stands for the captured user, where a target names none.
constexpr const char* nobody = "captured";

PlayRules make_rules(const ReplayOptions& options) {
    PlayRules rules{
        .clients = options.clients, .writes = options.writes, .rows = options.rows_hash, .openings = options.openings};
    if (options.speed == "max") {
        rules.speed = 0;
    } else {
        char* end = nullptr;
        rules.speed = std::strtod(options.speed.c_str(), &end);
        if (options.speed.empty() || *end != '\0' || !(rules.speed >= 0.001 && rules.speed <= 1e6))
            throw std::invalid_argument("--speed " + options.speed + ": expected a number, such as 2 or 0.5, or max");
    }
    const auto timeout = config::parse_duration(options.timeout);
    if (!timeout || timeout->count() == 0)
        throw std::invalid_argument("--timeout " + options.timeout +
                                    ": expected a whole number and ms, s, m, h or d, such as 60s");
    rules.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(*timeout);
    return rules;
}

/// As libpq looks for it; empty: nowhere.
std::string passfile_path(const ReplayOptions& options) {
    const auto variable = [](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value ? value : "");
    };
    if (!options.passfile.empty()) return options.passfile;
    if (std::string path = variable("PGPASSFILE"); !path.empty()) return path;
    std::string home = variable("HOME");
    if (home.empty()) {
        passwd entry{}, *found = nullptr;
        std::array<char, 4096> buffer{};
        if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found) home = found->pw_dir;
    }
    return home.empty() ? "" : home + "/.pgpass";
}

struct Passwords {
    std::string path;
    std::string text;
};

Passwords read_passwords(const ReplayOptions& options) {
    Passwords out{.path = passfile_path(options), .text = {}};
    if (out.path.empty()) return out;
    Passfile file = read_passfile(out.path);
    if (!file.warning.empty())
        std::fprintf(stderr, "pgairlock-bench replay: WARNING: %s\n", protocol::printable(file.warning).c_str());
    out.text = std::move(file.text);
    return out;
}

ReplayTarget make_target(const std::string& text, const Settings& settings, const Passwords& passwords) {
    Settings defaults = settings;
    defaults.try_emplace("user", nobody);
    Target target = parse_target(text, defaults);
    Settings named = parse_conninfo(text.substr(text.find('=') + 1));
    const bool has_password = !named["password"].empty();
    named.insert(settings.begin(), settings.end());
    const auto says = [&](const char* keyword) { return named.contains(keyword) && !named[keyword].empty(); };
    return {.route = std::make_unique<Route>(std::move(target)),
            .names_user = says("user"),
            .names_database = says("dbname"),
            .names_application = says("application_name"),
            .passwords = has_password ? std::string() : passwords.text,
            .passfile = passwords.path,
            .groups = openssl_groups()};
}

/// Statements were not written down: asking for what only they have is refused.
void refuse_statements(const Capture& capture, const ReplayOptions& options) {
    if (!capture.only_openings() || options.openings) return;
    std::string payload;
    for (const std::string& one : capture.payloads)
        payload += (payload.empty() ? "" : ", ") + (one.empty() ? "?" : one);
    const char* asked = options.writes ? "--writes" : options.rows_hash ? "--rows-hash" : nullptr;
    if (!asked) return;
    throw std::invalid_argument(std::string(asked) +
                                " needs a capture with payload=full: in this one, payload=" + payload +
                                ", SQL, parameters and rows were blanked, and none of it is sent to a server");
}

std::string formatted(const ReplayReport& report, const std::string& format) {
    if (format == "json") return to_json(report);
    return format == "html" ? to_html(report) : to_table(report);
}

/// Statements are in a report: nobody else reads it, and it takes no other file's or link's place.
std::unique_ptr<std::FILE, CloseFile> open_output(const std::string& path) {
    if (path.empty()) return std::unique_ptr<std::FILE, CloseFile>(stdout);
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    std::unique_ptr<std::FILE, CloseFile> file(descriptor < 0 ? nullptr : ::fdopen(descriptor, "w"));
    if (file) return file;
    const int error = errno;
    if (descriptor >= 0) ::close(descriptor);
    if (error == EEXIST)
        throw std::invalid_argument("--output " + path +
                                    ": it exists already, and is not overwritten: name a new file");
    throw std::invalid_argument("--output " + path + ": cannot be written: " + std::strerror(error));
}

int run(const ReplayOptions& options) {
    PlayRules rules = make_rules(options);
    std::vector<std::string> files;
    std::vector<ReplayTarget> targets;
    const Passwords passwords = read_passwords(options);
    for (const std::string& text : options.arguments) {
        // A capture may be a ring of files.
        const bool is_file = targets.empty() && (files.empty() || std::filesystem::exists(text));
        if (is_file) {
            files.push_back(text);
            continue;
        }
        targets.push_back(make_target(text, options.defaults, passwords));
    }
    if (targets.empty()) throw std::invalid_argument("no target: NAME=CONNINFO behind the capture's files");
    const auto output = open_output(options.output);
    catch_interrupts();
    Capture capture =
        read_capture(files, {.writes = options.writes, .hash_rows = options.rows_hash, .openings = options.openings},
                     {options.sessions.begin(), options.sessions.end()});
    if (capture.sessions.empty())
        throw std::invalid_argument(options.sessions.empty()
                                        ? "there is no session of a client in the capture"
                                        : "no such session in the capture: --session " + options.sessions.front());
    refuse_statements(capture, options);
    rules.openings = rules.openings || capture.only_openings();
    ReplayReport report{.version = options.version,
                        .files = files,
                        .rules = rules,
                        .capture = std::move(capture),
                        .targets = {},
                        .interrupted = false};
    for (const ReplayTarget& target : targets) {
        if (interrupted()) break;
        report.targets.push_back(play(target, report.capture, report.rules));
    }
    report.interrupted = interrupted();
    const std::string text = formatted(report, options.format);
    if (std::fwrite(text.data(), 1, text.size(), output.get()) != text.size() || std::fflush(output.get()) != 0)
        throw std::runtime_error("the report could not be written");
    return report.same() ? exit_ok : exit_failure;
}

}  // namespace

int replay_capture(const ReplayOptions& options) {
    try {
        return run(options);
    } catch (const Interrupted&) {
        std::fprintf(stderr, "pgairlock-bench replay: interrupted before anything was played\n");
        return exit_failure;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "pgairlock-bench replay: %s\n", protocol::printable(error.what()).c_str());
        return exit_usage;
    }
}

}  // namespace bench
