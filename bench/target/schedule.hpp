// When connections are due. Time is an argument.
//
// Closed loop: a client begins as soon as it has ended the one before. Open loop: connections are
// due at a fixed rate whatever becomes of those before, and are measured from when they were due; a
// server that stalls is charged for all the connections that it kept waiting (the opposite is known
// as coordinated omission).
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "bench/target/phases.hpp"

namespace bench {

/// For how long an interrupt may go unnoticed while nothing is due.
inline constexpr auto longest_sleep = std::chrono::milliseconds(100);
/// A closed loop would otherwise repeat a refused login as fast as the server can refuse it.
inline constexpr auto pause_after_failure = std::chrono::milliseconds(100);

struct Load {
    Duration duration{0};           ///< nothing begins later; 0: no limit
    std::uint64_t connections = 0;  ///< 0: no limit
    double rate = 0;                ///< per second; 0: closed loop
};

/// Shared by all clients of one target, on any thread.
class Schedule {
   public:
    Schedule(const Load& load, Clock::time_point start) noexcept : load_(load), start_(start) {}

    /// When the caller's next connection is due, which in the open loop may be before `now`;
    /// nullopt: there is none any more. The first is due however late it is asked for, so that a
    /// busy machine's measurement is of at least one connection.
    std::optional<Clock::time_point> next(Clock::time_point now) noexcept;
    /// Connections that were due within the duration but were never begun: the target cannot keep
    /// up. `end`: when the last client ended.
    std::uint64_t unstarted(Clock::time_point end) const noexcept;

   private:
    Clock::time_point due(std::uint64_t index) const noexcept;
    bool over(Clock::time_point when) const noexcept {
        return load_.duration.count() > 0 && when >= start_ + load_.duration;
    }

    const Load load_;
    const Clock::time_point start_;
    std::atomic<std::uint64_t> taken_ = 0;
    std::atomic<std::uint64_t> begun_ = 0;
};

}  // namespace bench
