// What this process takes, from /proc: the process_* metrics that every Prometheus library has.
#pragma once

#include <cstdint>
#include <optional>

namespace proxy {

/// nullopt: /proc does not say.
struct ProcessNumbers {
    std::optional<double> cpu_seconds;
    std::optional<std::uint64_t> resident_bytes;
    std::optional<std::uint64_t> virtual_bytes;
    std::optional<double> started_seconds;  ///< since the epoch
    std::optional<std::uint64_t> open_fds;
    std::optional<std::uint64_t> max_fds;  ///< UINT64_MAX: no limit
};

/// Reads no disk.
ProcessNumbers process_numbers();

}  // namespace proxy
