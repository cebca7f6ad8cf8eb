// Moments as captures write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace proxy {

/// As packets have it: nanoseconds since 1970.
std::uint64_t capture_time(std::chrono::system_clock::time_point time) noexcept;
/// "2026-11-29T19:11:48Z"; in a file's name "20261129T191148Z".
std::string utc_text(std::chrono::system_clock::time_point time);
std::string utc_for_names(std::chrono::system_clock::time_point time);

}  // namespace proxy
