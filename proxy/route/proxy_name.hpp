// What this proxy is called, wherever several write to one place: audit, alerts, a fleet.
#pragma once

#include <string>

#include "config/config.hpp"

namespace proxy {

/// runtime.name, or else the host's; empty: it has none.
std::string proxy_name(const config::Runtime& runtime);

}  // namespace proxy
