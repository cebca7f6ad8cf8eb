// For a terminal.
#include <algorithm>
#include <cstdio>

#include "bench/replay/replay_report.hpp"
#include "protocol/utf8.hpp"

namespace bench::replay {
namespace {

/// Of a target, in full: JSON has all of them.
constexpr std::size_t most_sessions = 50;

std::string number(double value, int width) {
    char text[64];
    std::snprintf(text, sizeof text, "%*.3f", width, value);
    return text;
}

std::string difference(const Difference& found) {
    std::string out;
    if (!found.sql.empty()) out += "    " + protocol::printable(found.sql) + "\n";
    return out + "    was " + found.was + "\n    is  " + protocol::printable(found.is) + "\n";
}

std::string session_text(const CapturedSession& session, const Outcome& outcome) {
    std::string out = "  " + title(session) + ": different";
    if (outcome.played > 0)
        out += " in " + std::to_string(outcome.different) + " of " +
               std::to_string(outcome.played + outcome.not_played) + " statements";
    if (outcome.first && outcome.first->statement > 0)
        out += ", first in statement " + std::to_string(outcome.first->statement);
    out += "\n";
    if (outcome.first) return out + difference(*outcome.first);
    return out + "    " + protocol::printable(outcome.failure) + "\n";
}

}  // namespace

std::string to_table(const ReplayReport& report) {
    using Verdict = ReplayReport::Verdict;
    std::string out;
    const auto left_out = report.left_out();
    out += left_out.empty() ? "left out: nothing\n" : "left out, or not compared:\n";
    for (const std::string& text : left_out) out += "  " + protocol::printable(text) + "\n";
    out += "\n" + report.heading() + "\n";
    for (std::size_t i = 0; i < report.targets.size(); ++i) {
        const Played& target = report.targets[i];
        out += "\n" + target.name + " (" + protocol::printable(target.address) + "): " + summary(report, i) + "\n";
        std::size_t shown = 0;
        for (std::size_t j = 0; j < target.outcomes.size() && shown < most_sessions; ++j) {
            if (report.verdict(j, i) != Verdict::different) continue;
            out += session_text(report.capture.sessions[j], target.outcomes[j]);
            ++shown;
        }
        const std::size_t all = report.count(i, Verdict::different);
        if (all > shown) out += "  and " + std::to_string(all - shown) + " more: --format json has all\n";
        if (i > 0)
            out += "  answered unlike " + report.targets[0].name + ": " + std::to_string(report.apart(i, 0)) + "\n";
    }
    const auto rows = latency_rows(report);
    if (rows.empty()) return out;
    std::size_t width = 12;
    for (const LatencyRow& row : rows) width = std::max(width, row.name.size() + 2);
    out += "\nms" + std::string(width - 2, ' ') + "   answers     median        p99            sum\n";
    for (const LatencyRow& row : rows) {
        char count[32];
        std::snprintf(count, sizeof count, "%10llu", static_cast<unsigned long long>(row.count));
        out += row.name + std::string(width - row.name.size(), ' ') + count + number(row.median_ms, 11) +
               number(row.p99_ms, 11) + number(row.sum_ms, 15) + "\n";
    }
    return out;
}

}  // namespace bench::replay
