// How often something took how long. Not synchronised.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

namespace proxy {

/// An observation that stands for its bucket, by the name of its session.
struct Exemplar {
    std::string session;  ///< empty: there is none
    double seconds = 0;
    std::chrono::system_clock::time_point time{};
};

class Histogram {
   public:
    /// Upper ends of the buckets, in seconds; the last bucket has none.
    static constexpr std::array<double, 15> bounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                   0.5,   1,      2.5,   5,    10,    30,   60};
    static constexpr std::size_t buckets = bounds.size() + 1;

    /// `session`: empty for no exemplar.
    void observe(std::chrono::microseconds took, const std::string& session,
                 std::chrono::system_clock::time_point now) {
        const double seconds = std::chrono::duration<double>(took).count();
        std::size_t bucket = 0;
        while (bucket < bounds.size() && seconds > bounds[bucket]) ++bucket;
        ++counts_[bucket];
        ++count_;
        sum_ += took;
        if (session.empty()) return;
        Exemplar& exemplar = exemplars_[bucket];
        exemplar.session = session;  // into the memory of the one before
        exemplar.seconds = seconds;
        exemplar.time = now;
    }

    void add(const Histogram& other) {
        for (std::size_t i = 0; i < buckets; ++i) {
            counts_[i] += other.counts_[i];
            if (other.exemplars_[i].time > exemplars_[i].time) exemplars_[i] = other.exemplars_[i];
        }
        count_ += other.count_;
        sum_ += other.sum_;
    }

    std::uint64_t in_bucket(std::size_t bucket) const noexcept { return counts_[bucket]; }
    const Exemplar& exemplar(std::size_t bucket) const noexcept { return exemplars_[bucket]; }
    std::uint64_t count() const noexcept { return count_; }
    double sum() const noexcept { return std::chrono::duration<double>(sum_).count(); }

   private:
    std::array<std::uint64_t, buckets> counts_{};
    std::array<Exemplar, buckets> exemplars_{};
    std::uint64_t count_ = 0;
    std::chrono::microseconds sum_{0};
};

}  // namespace proxy
