#include "proxy/command/state_dir.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace proxy::command {
namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

}  // namespace

std::string state_dir(const std::string& configured) {
    if (!configured.empty()) return configured;
    if (const std::string systemd = environment("STATE_DIRECTORY"); !systemd.empty())
        return systemd.substr(0, systemd.find(':'));
    if (::geteuid() == 0) return "/var/lib/pgairlock";
    if (const std::string xdg = environment("XDG_STATE_HOME"); !xdg.empty()) return xdg + "/pgairlock";
    return environment("HOME") + "/.local/state/pgairlock";
}

Need need_of_state_dir(const config::Config& config) {
    const auto inside = [](const std::string& file) { return !file.empty() && file != "-" && file.front() != '/'; };
    const bool generates = std::any_of(config.listeners.begin(), config.listeners.end(), [](const auto& listener) {
        return listener.tls.mode != config::ClientTlsMode::disable && !listener.tls.cert_file &&
               listener.tls.certificate.empty();
    });
    if (generates || inside(config.audit.file)) return Need::needed;
    const bool keeps_nonce =
        config.auth.scram == protocol::ScramMode::terminate && !config.auth.mock_authentication_nonce_file;
    const bool has_console = !config.admin.console.empty() && !config.admin.console.starts_with("unix:/");
    const bool is_default_console = config.admin.console == config::Admin{}.console;
    const bool keeps_alerts = !config.alerts.empty();
    if (keeps_nonce || keeps_alerts || inside(config.audit.inventory) || (has_console && !is_default_console))
        return Need::of_use;
    return has_console ? Need::welcome : Need::none;
}

void create_state_dir(const std::string& path) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) return;
    std::filesystem::create_directories(path, error);
    if (error) {
        throw std::runtime_error("cannot create state directory " + path + ": " + error.message() +
                                 ". Set runtime.state_dir, --state-dir or $STATE_DIRECTORY to a folder that can be "
                                 "written");
    }
    ::chmod(path.c_str(), 0750);
}

}  // namespace proxy::command
