// What one repetition on one target came to.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "bench/target/histogram.hpp"

namespace bench {

struct Measurement {
    PerPhase<Histogram> phases;                     ///< of the connections that came to their end
    std::map<std::string, std::uint64_t> failures;  ///< by error text
    std::uint64_t unstarted = 0;                    ///< see Schedule
    Duration elapsed{0};

    void record(const Phases& connection);
    void record_failure(const std::string& error);
    /// Durations add up: repetitions come one after the other.
    void add(const Measurement& other);

    std::uint64_t connections() const noexcept { return phases[Phase::total].count(); }
    std::uint64_t failed() const noexcept;
    /// Connections per second.
    double rate() const noexcept;
};

}  // namespace bench
