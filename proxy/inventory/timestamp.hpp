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

}  // namespace proxy
