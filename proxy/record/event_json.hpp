// An event as JSON (docs/audit.md).
#pragma once

#include <string>
#include <string_view>

#include "proxy/observation/event.hpp"

namespace proxy {

/// One line of the audit file, without the newline. `proxy`: who writes it; empty: nobody says.
std::string to_json(const Event& event, std::string_view proxy = {});

}  // namespace proxy
