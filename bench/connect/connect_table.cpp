// The report for a terminal, 120 columns wide.
#include <algorithm>

#include "bench/connect/connect_report.hpp"

namespace bench {
namespace {

constexpr std::size_t phase_width = 16;
constexpr std::size_t number_width = 11;
constexpr std::size_t ratio_width = 26;

std::string right(const std::string& text, std::size_t width) {
    return std::string(width - std::min(width, text.size()), ' ') + text;
}

std::string left(std::string_view text, std::size_t width) {
    return std::string(text) + std::string(width - std::min(width, text.size()), ' ');
}

std::string ratio_text(const std::optional<Spread>& ratio) {
    if (!ratio) return "-";
    return decimal(ratio->median, 2) + " (" + decimal(ratio->min, 2) + " to " + decimal(ratio->max, 2) + ")";
}

std::string heading(const Report& report, const TargetResult& result) {
    std::string line = left("µs", phase_width + 1);  // one more, because µ is two bytes
    line += right("mean", number_width);
    for (const Percentile& percentile : percentiles) line += right(percentile.name, number_width);
    line += right("max", number_width);
    if (is_compared(report, result))
        line += right("p50 / " + report.targets.front().target.name.substr(0, ratio_width - 8), ratio_width);
    return line + "\n";
}

std::string row(const Report& report, const TargetResult& result, Phase phase) {
    const Histogram& histogram = result.whole.phases[phase];
    const auto number = [](Duration value) { return right(decimal(microseconds(value), 1), number_width); };
    std::string line = left(to_string(phase), phase_width) + number(histogram.mean());
    for (const Percentile& percentile : percentiles) line += number(histogram.percentile(percentile.percent));
    line += number(histogram.max());
    if (is_compared(report, result)) line += right(ratio_text(report.ratio(result, phase)), ratio_width);
    return line + "\n";
}

}  // namespace

std::string to_table(const Report& report) {
    std::string out = report.load + (report.libpq ? "; by libpq" : "");
    out += report.query.empty() ? "; no query" : "; query " + printable(report.query);
    out += report.interrupted ? "; interrupted\n" : "\n";
    for (const TargetResult& result : report.targets) {
        out += "\n" + result.target.name + ": " + printable(address_text(result.target)) + ", sslmode " +
               std::string(protocol::to_string(result.target.sslmode)) + "\n" + tls_text(report, result) + "\n" +
               count_text(result) + "\n";
        for (const auto& [error, count] : result.whole.failures)
            out += "  " + std::to_string(count) + " x " + printable(error) + "\n";
        if (result.whole.connections() == 0) continue;
        out += heading(report, result);
        for (const Phase phase : all_phases) {
            if (result.whole.phases[phase].count() > 0) out += row(report, result, phase);
        }
    }
    return out;
}

}  // namespace bench
