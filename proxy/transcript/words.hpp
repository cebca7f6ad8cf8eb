// Numbers and times as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/counted.hpp"

namespace proxy::transcript {

using protocol::counted;

/// "2026-03-01T02:00:00.123456Z", from ns since 1970.
std::string time_text(std::uint64_t time);
/// "02:00:00.123"
std::string clock_text(std::uint64_t time);
/// "1.234 ms", "12.3 s", from ns.
std::string duration_text(std::uint64_t duration);
/// "70.0 KB"
std::string bytes_text(std::uint64_t bytes);
/// In one line of at most `limit` characters: runs of white space are one space; harmless to a
/// terminal.
std::string one_line(std::string_view text, std::size_t limit);

}  // namespace proxy::transcript
