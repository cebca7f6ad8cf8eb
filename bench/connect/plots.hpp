// The report's pictures, as SVG to be put into an HTML page that has the classes f0... (fill) and
// s0... (stroke).
#pragma once

#include <string>
#include <string_view>

#include "bench/connect/connect_report.hpp"

namespace bench {

/// A bar for each target: the means of its phases, which add up, side by side.
std::string phase_bars(const Report& report);
/// A curve for each target: total against percentile, with as much room for 99 to 99.9 as for 90 to
/// 99.
std::string percentile_curves(const Report& report);

/// Fit for an element's text and for an attribute in quotation marks.
std::string escaped(std::string_view text);

}  // namespace bench
