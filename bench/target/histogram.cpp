#include "bench/target/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace bench {
namespace {

constexpr unsigned linear_bits = 11;
constexpr std::uint64_t linear_size = 1U << linear_bits;
constexpr std::uint64_t half = linear_size / 2;

/// The leading eleven bits of a value choose its bucket within its power of two.
std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < linear_size) return value;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - linear_bits;
    return half * shift + (value >> shift);
}

std::uint64_t highest_in(std::size_t bucket) noexcept {
    if (bucket < linear_size) return bucket;
    const std::uint64_t shift = bucket / half - 1;
    const std::uint64_t leading = bucket - half * shift;
    return ((leading + 1) << shift) - 1;
}

}  // namespace

void Histogram::record(Duration value) {
    const std::uint64_t ns = value.count() < 0 ? 0 : static_cast<std::uint64_t>(value.count());
    const std::size_t bucket = bucket_of(ns);
    if (bucket >= counts_.size()) counts_.resize(bucket + 1);
    ++counts_[bucket];
    ++count_;
    min_ = std::min(min_, ns);
    max_ = std::max(max_, ns);
    sum_ += static_cast<double>(ns);
}

void Histogram::add(const Histogram& other) {
    if (counts_.size() < other.counts_.size()) counts_.resize(other.counts_.size());
    for (std::size_t i = 0; i < other.counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    min_ = std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
    sum_ += other.sum_;
}

Duration Histogram::mean() const noexcept {
    return Duration(count_ ? std::llround(sum_ / static_cast<double>(count_)) : 0);
}

Duration Histogram::percentile(double percent) const noexcept {
    // A hair less, because 99.9 / 100 * 1000 is a little over 999.
    const double wanted = std::ceil(percent / 100 * static_cast<double>(count_) * (1 - 1e-12));
    const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wanted));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
        seen += counts_[bucket];
        if (seen >= rank) return Duration(std::min(highest_in(bucket), max_));
    }
    return max();
}

}  // namespace bench
