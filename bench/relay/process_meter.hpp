// What processes cost, from /proc: those of a target and all that descend from them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// What is needed of /proc/PID/stat, and of /proc/PID/task/TID/stat.
struct ProcessStat {
    pid_t pid = 0;
    pid_t parent = 0;
    std::uint64_t ticks =
        0;  ///< user and system time of all threads, and of children that have ended and were waited for
    std::uint64_t own_ticks = 0;  ///< without those children, whom the kernel counts in every thread's stat as well
};

/// `text`: all of /proc/PID/stat, whose second field is the program's name in brackets, with
/// whatever it holds.
std::optional<ProcessStat> parse_stat(std::string_view text);

/// The number of a line "NAME:    123 kB", as in /proc/PID/status and smaps_rollup.
std::optional<std::uint64_t> parse_kib(std::string_view text, std::string_view name);

/// The pids of `roots` and all that descend from them, each once.
std::vector<pid_t> with_descendants(const std::vector<pid_t>& roots, const std::vector<ProcessStat>& all);

/// User and system time of each thread, in the kernel's ticks, by thread id.
using ThreadTicks = std::map<pid_t, std::uint64_t>;

/// Of what all threads used between `before` and `after`, the part of the busiest one. nullopt:
/// they used nothing. A thread that has ended is not counted.
std::optional<double> busiest_thread_share(const ThreadTicks& before, const ThreadTicks& after);

struct Memory {
    std::uint64_t kib = 0;  ///< resident; pages that processes share count for each
    std::string source;     ///< "smaps_rollup", exact, or "status", which the kernel counts only roughly
};

class ProcessMeter {
   public:
    /// Throws std::runtime_error for one that does not exist.
    explicit ProcessMeter(std::vector<pid_t> pids);

    const std::vector<pid_t>& pids() const noexcept { return pids_; }

    // These throw std::runtime_error when one of the pids is no longer there.

    /// User and system time until now.
    double cpu_seconds() const;
    ThreadTicks thread_ticks() const;
    Memory memory() const;

   private:
    std::vector<pid_t> pids_;
};

/// User and system time of this process.
double own_cpu_seconds();

}  // namespace bench
