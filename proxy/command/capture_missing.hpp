// What a capture lacks, in words: nobody is to take a row of numbers for an all-clear.
#pragma once

#include <cstddef>
#include <string>

#include "proxy/command/console_client.hpp"

namespace proxy::command {

/// Of a row of CAPTURE STATUS or STOP: "3 packets dropped, 1 session left out". "nothing known":
/// the capture knows of nothing. Empty: it has not begun.
std::string missing_text(const ConsoleTable& captures, std::size_t row);

}  // namespace proxy::command
