#include "proxy/command/state_dir.hpp"

#include <sys/stat.h>
#include <unistd.h>

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

void create_state_dir(const std::string& path) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) return;
    std::filesystem::create_directories(path, error);
    if (error) throw std::runtime_error("cannot create state directory " + path + ": " + error.message());
    ::chmod(path.c_str(), 0750);
}

}  // namespace proxy::command
