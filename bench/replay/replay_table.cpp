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

/// One that is not played, or whose TLS is not as it was; empty: neither.
std::string opening_text(const CapturedSession& session, const Outcome& outcome) {
    std::string out;
    if (!outcome.not_played_as.empty())
        out += "  " + title(session) + ": not played: " + outcome.not_played_as + "\n    " +
               protocol::printable(outcome.why_not_played) + "\n";
    if (!outcome.tls_left_out.empty())
        out += "  " + title(session) + ": opened without " + in_one_line(outcome.tls_left_out) + "\n";
    return out;
}

/// Lines of at most so many sessions.
template <typename Text>
std::string session_lines(std::size_t sessions, const Text& text_of) {
    std::string out;
    std::size_t shown = 0, all = 0;
    for (std::size_t i = 0; i < sessions; ++i) {
        const std::string text = text_of(i);
        if (text.empty()) continue;
        if (++all <= most_sessions) {
            out += text;
            ++shown;
        }
    }
    if (all > shown) out += "  and " + std::to_string(all - shown) + " more: --format json has all\n";
    return out;
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
        out += session_lines(target.outcomes.size(), [&](std::size_t j) {
            return opening_text(report.capture.sessions[j], target.outcomes[j]);
        });
        out += session_lines(target.outcomes.size(), [&](std::size_t j) {
            const bool differs = report.verdict(j, i) == Verdict::different;
            return differs ? session_text(report.capture.sessions[j], target.outcomes[j]) : std::string();
        });
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
