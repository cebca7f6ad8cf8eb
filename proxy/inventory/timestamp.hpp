// Time as the inventory's tables have it.
#pragma once

#include <chrono>
#include <cstdint>

namespace proxy {

/// Microseconds since 1970, UTC.
using Timestamp = std::int64_t;

constexpr Timestamp day_length = 86'400'000'000;

inline Timestamp to_timestamp(std::chrono::system_clock::time_point time) {
    return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

/// Whole days until then, rounded down also beyond the end: within the last day 0, and -1 once it
/// is over. Whatever tells of an end counts so; expiry_watch.cpp and the console's SQL by
/// themselves.
constexpr std::int64_t days_until(Timestamp end, Timestamp now) {
    const Timestamp left = end - now;
    return left / day_length - (left % day_length < 0 ? 1 : 0);
}

}  // namespace proxy
