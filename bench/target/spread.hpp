// Of some repetitions: what is usual, and how far they lie apart.
#pragma once

#include <optional>
#include <vector>

namespace bench {

/// Median, least and greatest of some values.
struct Spread {
    double median = 0;
    double min = 0;
    double max = 0;
};

/// nullopt: there are none.
std::optional<Spread> spread_of(std::vector<double> values);

}  // namespace bench
