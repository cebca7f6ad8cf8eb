// A whole Config as text, key by key, for whoever asks the running process. The key table knows no
// secret: those are in files, of which it has the paths. A password within a URL is left out.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace config {

struct Setting {
    std::string key;  ///< "runtime.threads", "listener.legacy.tls.mode"
    std::string value;
    std::string default_value;  ///< as TOML; empty: it has none
    bool reloadable = true;     ///< a reload takes up another value
};

/// In the order of the documentation.
std::vector<Setting> settings(const Config& config);

}  // namespace config
