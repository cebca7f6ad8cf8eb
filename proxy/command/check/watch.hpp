// `pgairlock check --watch`: looks again and again, and says what has changed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proxy/command/check/changes.hpp"

namespace proxy::command {

/// "02:14:07 db-2 (10.0.0.2): moved from ...", UTC; with `json` an object. Without a line break.
std::string change_line(const Change& change, std::chrono::system_clock::time_point now, bool json);
/// The same of what is not about an address.
std::string notice_line(const std::string& text, std::chrono::system_clock::time_point now, bool json);

}  // namespace proxy::command
