// Durations counted in buckets whose width grows with the value, so that every percentile is right
// to three significant digits (the layout of HdrHistogram: linear up to 2048 ns, then 1024 buckets
// for each power of two).
#pragma once

#include <cstdint>
#include <vector>

#include "bench/target/phases.hpp"

namespace bench {

class Histogram {
   public:
    /// Negative durations count as zero.
    void record(Duration value);
    void add(const Histogram& other);

    std::uint64_t count() const noexcept { return count_; }
    /// Zero when nothing was recorded, as all of these.
    Duration min() const noexcept { return Duration(count_ ? min_ : 0); }
    Duration max() const noexcept { return Duration(max_); }
    Duration mean() const noexcept;
    /// The least value that `percent` % of all values do not exceed: at most 1/1024 above it, never
    /// below it.
    Duration percentile(double percent) const noexcept;

   private:
    std::vector<std::uint64_t> counts_;  // grows to the longest duration seen
    std::uint64_t count_ = 0;
    std::uint64_t min_ = ~std::uint64_t{0};
    std::uint64_t max_ = 0;
    double sum_ = 0;
};

}  // namespace bench
