// When a proxy of a fleet writes to the database of all: the more there are, the less often each,
// and never all at the same time. Pure but for its random numbers.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace proxy {

class FleetPace {
   public:
    using Milliseconds = std::chrono::milliseconds;
    static constexpr Milliseconds shortest{2'000};
    /// So that a proxy that says every minute that it is there is never taken for silent.
    static constexpr Milliseconds longest{60'000};
    /// All proxies together, while they are no more than `longest` allows: 500 times a second.
    static constexpr Milliseconds for_each_proxy{2};
    /// What a database that comes back is waited for at most, by a small fleet.
    static constexpr Milliseconds longest_retry{15'000};

    explicit FleetPace(std::uint32_t seed) : random_(seed) {}

    /// About so many share the database; below 1: nobody knows.
    void fleet_of(std::int64_t proxies) noexcept;
    /// Between two copies of one proxy, on average.
    Milliseconds interval() const noexcept { return interval_; }

    /// Before the first one: those that were started together come one after the other.
    Milliseconds before_first() { return between(Milliseconds(0), interval_); }
    /// After one that succeeded, within a quarter of the interval.
    Milliseconds after_success();
    /// After one that failed: twice as long each time, within a quarter.
    Milliseconds after_failure();

   private:
    Milliseconds between(Milliseconds least, Milliseconds most);
    Milliseconds about(Milliseconds pause) { return between(pause * 3 / 4, pause * 5 / 4); }

    std::mt19937 random_;
    Milliseconds interval_ = shortest;
    Milliseconds retry_{0};  // zero: the last one succeeded
};

}  // namespace proxy
