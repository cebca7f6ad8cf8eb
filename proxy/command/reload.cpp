// `pgairlock reload` and `pgairlock upgrade`: give their order through the console of a running
// proxy, and wait for its outcome.
#include <cstdio>

#include "config/usage/command_line.hpp"
#include "protocol/utf8.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/console_client.hpp"
#include "proxy/command/named_config.hpp"

namespace proxy::command {
namespace {

/// Longer than a new process may take.
constexpr std::chrono::seconds patience{100};

int order(const ReloadOptions& options, const char* command, const char* done) {
    ConsolePlace place;
    try {
        place = console_place(options.console, options.config_file, Broken::reaches_its_proxy);
        std::vector<std::string> warnings;  // of what was not done: said after what was
        ConsoleClient console(place.path);
        console.on_notice = [&warnings](const std::string& text) { warnings.push_back(text); };
        console.query(command, patience);
        std::puts(done);
        std::fflush(stdout);
        for (const std::string& text : warnings) usage::print_harmless("warning: " + text + "\n");
        return exit_ok;
    } catch (const Unusable& error) {
        std::fprintf(stderr, "error: %s\n", protocol::printable(error.what()).c_str());
        return exit_usage;
    } catch (const ConsoleError& error) {
        if (error.sqlstate.empty()) print(place.errors, {});  // nobody else has read it
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
