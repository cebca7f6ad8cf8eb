// An event as JSON (docs/audit.md).
#pragma once

#include <string>

#include "proxy/observation/event.hpp"

namespace proxy {

/// One line of the audit file, without the newline.
std::string to_json(const Event& event);

}  // namespace proxy
