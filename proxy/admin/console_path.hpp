// Where the console's socket is: what the server listens on, and the commands connect to.
#pragma once

#include <string>

#include "config/config.hpp"

namespace proxy {

/// Empty: there is none.
inline std::string console_path(const config::Admin& admin, const std::string& state_dir) {
    constexpr std::string_view scheme = "unix:";
    if (admin.console.empty()) return {};
    const std::string path = admin.console.substr(scheme.size());
    return path.starts_with('/') ? path : state_dir + "/" + path;
}

}  // namespace proxy
