#include <algorithm>
#include <cstdio>

#include "bench/relay/relay_report.hpp"

namespace bench {
namespace {

constexpr std::size_t metric_width = 24;
constexpr std::size_t number_width = 12;

/// Characters, not bytes: "µ" and "–" have several.
std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string left(std::string text, std::size_t columns) {
    return text.append(columns - std::min(columns, width(text)), ' ');
}
std::string right(const std::string& text, std::size_t columns) {
    return std::string(columns - std::min(columns, width(text)), ' ') + text;
}

std::string number(double value, int digits) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

std::string range(const Spread& spread, int digits) {
    return number(spread.min, digits) + "–" + number(spread.max, digits);
}

std::string pids_text(const RelayReport::Target& target) {
    if (target.pids.empty()) return "cost not measured";
    std::string text = target.pids.size() == 1 ? "pid" : "pids";
    for (const pid_t pid : target.pids) text += ' ' + std::to_string(pid);
    return text + ", RSS from " + target.memory_source;
}

std::string metric_rows(const RelayReport& report, const RelayReport::Result& result, std::size_t metric,
                        std::size_t name_width) {
    const Metric& shown = result.scenario.metrics[metric];
    std::string text;
    for (std::size_t i = 0; i < report.targets.size(); ++i) {
        const auto values = spread_of(known(result.targets[i], metric));
        const auto ratio = result.ratio(i, metric);
        std::string row =
            "  " + left(i == 0 ? shown.name : "", metric_width) + left(report.targets[i].name, name_width);
        row += right(values ? number(values->median, shown.digits) : "-", number_width);
        row += right(values ? range(*values, shown.digits) : "", 2 * number_width);
        if (ratio) row += right(number(ratio->median, 2), number_width) + right(range(*ratio, 2), number_width + 4);
        text += row + '\n';
    }
    return text;
}

}  // namespace

std::string to_table(const RelayReport& report) {
    std::size_t name_width = 0;
    for (const RelayReport::Target& target : report.targets) name_width = std::max(name_width, width(target.name) + 2);
    std::string text = "pgairlock-bench " + report.version + ", relay, " + report.started + '\n';
    for (const RelayReport::Target& target : report.targets) {
        text +=
            left(target.name, name_width) + target.address + ", " + target.encryption + ", " + pids_text(target) + '\n';
    }
    text += std::to_string(report.repetitions) + (report.repetitions == 1 ? " repetition" : " repetitions") +
            " in turn on " + std::to_string(report.cores) + (report.cores == 1 ? " core" : " cores") +
            "; load generator with " + std::to_string(report.threads) + (report.threads == 1 ? " thread" : " threads") +
            "; ratios are to " + report.targets.front().name + (report.interrupted ? "; interrupted\n" : "\n");
    for (const RelayReport::Result& result : report.results) {
        text += '\n' + left(result.scenario.title, 2 + metric_width + name_width);
        if (width(result.scenario.title) >= 2 + metric_width + name_width)
            text += '\n' + std::string(2 + metric_width + name_width, ' ');
        text += right("median", number_width) + right("min–max", 2 * number_width);
        text += right("ratio", number_width) + right("min–max", number_width + 4) + '\n';
        for (std::size_t i = 0; i < result.scenario.metrics.size(); ++i)
            text += metric_rows(report, result, i, name_width);
    }
    if (!report.failure.empty()) text += "\nincomplete: " + report.failure + '\n';
    return text;
}

}  // namespace bench
