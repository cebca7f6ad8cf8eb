#include "bench/target/spread.hpp"

#include <algorithm>

namespace bench {

std::optional<Spread> spread_of(std::vector<double> values) {
    if (values.empty()) return std::nullopt;
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    return Spread{.median = median, .min = values.front(), .max = values.back()};
}

}  // namespace bench
