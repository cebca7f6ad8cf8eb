#include "bench/target/histogram.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using bench::Duration;
using bench::Histogram;

namespace {

/// The least value that `percent` % do not exceed.
Duration exact_percentile(const std::vector<Duration>& sorted, double percent) {
    const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * static_cast<double>(sorted.size()) - 1e-9));
    return sorted[std::max<std::size_t>(rank, 1) - 1];
}

/// From nanoseconds to minutes, as many of each magnitude.
std::vector<Duration> random_durations(std::size_t count, unsigned seed) {
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> exponent(0, 11);
    std::vector<Duration> values(count);
    for (Duration& value : values) value = Duration(static_cast<std::int64_t>(std::pow(10, exponent(random))));
    return values;
}

}  // namespace

TEST_CASE("an empty histogram gives zeros") {
    const Histogram histogram;
    CHECK(histogram.count() == 0);
    CHECK(histogram.mean() == 0ns);
    CHECK(histogram.min() == 0ns);
    CHECK(histogram.max() == 0ns);
    CHECK(histogram.percentile(50) == 0ns);
}

TEST_CASE("percentiles are right to three digits, and never too low") {
    for (unsigned seed = 0; seed < 20; ++seed) {
        std::vector<Duration> values = random_durations(1 + seed * 250, seed);
        Histogram histogram;
        for (const Duration value : values) histogram.record(value);
        std::sort(values.begin(), values.end());
        for (const double percent : {0.0, 1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
            const double exact = static_cast<double>(exact_percentile(values, percent).count());
            const double given = static_cast<double>(histogram.percentile(percent).count());
            CAPTURE(seed, percent, exact, given);
            CHECK(given >= exact);
            CHECK(given <= exact * (1 + 1.0 / 1024));
        }
        CHECK(histogram.percentile(100) == values.back());
        CHECK(histogram.min() == values.front());
        CHECK(histogram.max() == values.back());
    }
}

TEST_CASE("every value falls into a bucket that holds it") {
    for (int bit = 0; bit < 50; ++bit) {
        for (const std::int64_t near : {-1, 0, 1}) {
            const Duration value(std::max<std::int64_t>((std::int64_t{1} << bit) + near, 0));
            Histogram histogram;
            histogram.record(value);
            histogram.record(value * 4 + 1ns);  // so that the maximum does not cut the bucket short
            const double given = static_cast<double>(histogram.percentile(50).count());
            CHECK(given >= static_cast<double>(value.count()));
            CHECK(given <= static_cast<double>(value.count()) * (1 + 1.0 / 1024));
        }
    }
}

TEST_CASE("rank of a percentile: 99.9 % of 1000 values is the 999th") {
    Histogram histogram;
    for (int i = 1; i <= 1000; ++i) histogram.record(Duration(i));
    CHECK(histogram.percentile(99.9) == 999ns);
    CHECK(histogram.percentile(50) == 500ns);
    CHECK(histogram.mean() == 501ns);
}

TEST_CASE("histograms add up to the histogram of all values") {
    Histogram one, two, both;
    for (const Duration value : random_durations(300, 1)) {
        one.record(value);
        both.record(value);
    }
    for (const Duration value : random_durations(500, 2)) {
        two.record(value);
        both.record(value);
    }
    one.add(two);
    one.add(Histogram());
    CHECK(one.count() == both.count());
    CHECK(one.mean() == both.mean());
    CHECK(one.min() == both.min());
    for (const double percent : {1.0, 50.0, 99.0}) CHECK(one.percentile(percent) == both.percentile(percent));
}

TEST_CASE("a negative duration counts as zero") {
    Histogram histogram;
    histogram.record(-5ns);
    CHECK(histogram.max() == 0ns);
    CHECK(histogram.count() == 1);
}
