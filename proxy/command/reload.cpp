// `pgairlock reload` and `pgairlock upgrade`: give their order through the console of a running
// proxy, and wait for its outcome.
#include <cstdio>

#include "protocol/utf8.hpp"
#include "proxy/admin/console_path.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/console_client.hpp"
#include "proxy/command/state_dir.hpp"

namespace proxy::command {
namespace {

/// Longer than a new process may take.
constexpr std::chrono::seconds patience{100};

/// What is wrong with a configuration is the proxy's to say, which is where it always was.
std::string place_of_console(const ReloadOptions& options, config::Loaded& loaded) {
    if (!options.console.empty()) return options.console;
    if (options.config_file.empty()) return console_path(config::Admin{}, state_dir(""));
    loaded = load_config({.config_file = options.config_file, .flags = {}});
    if (!loaded.config) return console_path(config::Admin{}, state_dir(""));
    std::string path = console_path(loaded.config->admin, state_dir(loaded.config->runtime.state_dir));
    if (path.empty())
        throw std::runtime_error("admin.console of " + options.config_file +
                                 " is off: send SIGHUP, or SIGUSR2 for an upgrade; the log has the outcome");
    return path;
}

int order(const ReloadOptions& options, const char* command, const char* done) {
    config::Loaded loaded;
    try {
        ConsoleClient console(place_of_console(options, loaded));
        console.query(command, patience);
        std::puts(done);
        return exit_ok;
    } catch (const ConsoleError& error) {
        if (error.sqlstate.empty()) print(loaded.errors, {});  // nobody else has read it
        std::fprintf(stderr, "error: %s\n", protocol::printable(error.what()).c_str());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", protocol::printable(error.what()).c_str());
    }
    return exit_failure;
}

}  // namespace

int reload(const ReloadOptions& options) { return order(options, "RELOAD", "reloaded"); }

int upgrade(const UpgradeOptions& options) { return order(options, "UPGRADE", "upgraded"); }

}  // namespace proxy::command
