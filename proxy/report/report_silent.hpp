// Which silent proxies a report names. Where pods come and go there are thousands.
#pragma once

#include <cstddef>
#include <vector>

#include "proxy/report/report.hpp"

namespace proxy::report {

inline constexpr std::size_t most_silent_named = 10;

struct SilentProxies {
    /// In the report's order: all, or of more than `most_silent_named` those that fell silent last,
    /// which are the news.
    std::vector<const ReportProxy*> named;
    std::size_t others = 0;  ///< silent for longer
};

/// Of those that were asked for. What it points to is the report's.
SilentProxies silent_proxies(const Report& report);

}  // namespace proxy::report
