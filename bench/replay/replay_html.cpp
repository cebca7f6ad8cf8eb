// One HTML file that needs nothing else: no script, no asset.
#include <cstdio>

#include "bench/connect/plots.hpp"
#include "bench/replay/replay_report.hpp"

namespace bench::replay {
namespace {

constexpr std::string_view style = R"css(
:root{color-scheme:light dark}body{margin:2rem;max-width:70rem;font:15px/1.45 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}.bad{color:#b3261e}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}
th,td{text-align:left;padding:.25rem .7rem;border-bottom:1px solid #8886}td.n{text-align:right;font-variant-numeric:tabular-nums}
@media (prefers-color-scheme:dark){.bad{color:#ff8a80}}
)css";

std::string cell(const std::string& text) { return "<td>" + escaped(text) + "</td>"; }

std::string cell(double milliseconds) {
    char text[64];
    std::snprintf(text, sizeof text, "%.3f", milliseconds);
    return std::string("<td class=\"n\">") + text + "</td>";
}

std::string heading(std::initializer_list<const char*> names) {
    std::string out = "<div class=\"scroll\"><table><thead><tr>";
    for (const char* name : names) out += std::string("<th scope=\"col\">") + name + "</th>";
    return out + "</tr></thead><tbody>";
}

constexpr const char* table_end = "</tbody></table></div>";

std::string target_section(const ReplayReport& report, std::size_t target) {
    const Played& played = report.targets[target];
    std::string out = "<h2>" + escaped(played.name) + " (" + escaped(played.address) + ")</h2><p>" +
                      escaped(summary(report, target)) + "</p>" +
                      heading({"session", "", "statement", "SQL", "was", "is"});
    for (std::size_t i = 0; i < played.outcomes.size(); ++i) {
        const Outcome& outcome = played.outcomes[i];
        const auto verdict = report.verdict(i, target);
        const bool not_played = verdict == ReplayReport::Verdict::not_played;
        const bool bad = not_played || verdict == ReplayReport::Verdict::different;
        const Difference first = outcome.first.value_or(
            Difference{.statement = 0,
                       .sql = "",
                       .was = "",
                       .is = not_played ? outcome.not_played_as + ": " + outcome.why_not_played : outcome.failure});
        out += std::string("<tr") + (bad ? " class=\"bad\">" : ">") + cell(title(report.capture.sessions[i])) +
               cell(to_text(verdict)) + cell(first.statement > 0 ? std::to_string(first.statement) : "") +
               cell(first.sql) + cell(first.was) + cell(first.is) + "</tr>";
    }
    return out + table_end;
}

}  // namespace

std::string to_html(const ReplayReport& report) {
    std::string out =
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        "<meta name=\"viewport\" content=\"width=device-width\"><title>A capture, played again</title><style>";
    out += style;
    out += "</style></head><body><h1>A capture, played again</h1><h2>Left out, or not compared</h2>";
    const auto left_out = report.left_out();
    if (left_out.empty()) out += "<p>nothing</p>";
    for (const std::string& text : left_out) out += "<p class=\"bad\">" + escaped(text) + "</p>";
    out += "<h2>Played</h2><p>" + escaped(report.heading()) + ", pgairlock-bench " + escaped(report.version) + "</p>";
    for (std::size_t i = 0; i < report.targets.size(); ++i) out += target_section(report, i);
    const auto rows = latency_rows(report);
    if (!rows.empty()) out += "<h2>Latency in ms</h2>" + heading({"", "answers", "median", "p99", "sum"});
    for (const LatencyRow& row : rows) {
        out += "<tr>" + cell(row.name) + "<td class=\"n\">" + std::to_string(row.count) + "</td>" +
               cell(row.median_ms) + cell(row.p99_ms) + cell(row.sum_ms) + "</tr>";
    }
    return out + (rows.empty() ? "" : table_end) + "</body></html>\n";
}

}  // namespace bench::replay
