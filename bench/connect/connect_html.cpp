// The report as one HTML file that needs nothing else: no script, no asset, and a
// Content-Security-Policy that lets nothing in.
#include "bench/connect/connect_report.hpp"
#include "bench/connect/plots.hpp"

namespace bench {
namespace {

constexpr std::string_view style = R"css(
:root{color-scheme:light dark;--ground:#fff;--text:#1a1d21;--faint:#5d6670;--line:#d5dae0;--band:#f4f6f8;--bad:#b3261e;
--c0:#4477aa;--c1:#66ccee;--c2:#ee6677;--c3:#ccbb44;--c4:#228833;--c5:#aa3377;--c6:#8a8f98}
@media (prefers-color-scheme:dark){:root{--ground:#15181c;--text:#e4e7ea;--faint:#9aa4ae;--line:#363c44;--band:#1e2329;--bad:#ff8a80}}
body{margin:2rem;max-width:70rem;background:var(--ground);color:var(--text);font:15px/1.45 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}p{margin:.3rem 0}.faint{color:var(--faint)}.bad{color:var(--bad)}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;margin:.5rem 0}
th,td{text-align:right;padding:.25rem .7rem;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums;white-space:nowrap}
th{background:var(--band)}th:first-child,td:first-child{text-align:left}
svg{width:100%;height:auto}svg text{fill:var(--text);font-size:12px}svg .faint{fill:var(--faint)}.axis{stroke:var(--line)}
.f0{fill:var(--c0)}.f1{fill:var(--c1)}.f2{fill:var(--c2)}.f3{fill:var(--c3)}.f4{fill:var(--c4)}.f5{fill:var(--c5)}.f6{fill:var(--c6)}
.s0{stroke:var(--c0)}.s1{stroke:var(--c2)}.s2{stroke:var(--c4)}.s3{stroke:var(--c5)}.s4{stroke:var(--c3)}.s5{stroke:var(--c1)}
.curve{fill:none;stroke-width:2}
@media print{body{margin:0;font-size:11px}}
)css";

std::string cell(const std::string& text) { return "<td>" + escaped(text) + "</td>"; }

std::string heading(const Report& report, const TargetResult& result) {
    std::string out = "<thead><tr><th scope=\"col\">µs</th><th scope=\"col\">mean</th>";
    for (const Percentile& percentile : percentiles)
        out += std::string("<th scope=\"col\">") + percentile.name + "</th>";
    out += "<th scope=\"col\">max</th>";
    if (is_compared(report, result)) {
        out += "<th scope=\"col\">p50 / " + escaped(report.targets.front().target.name) +
               "</th><th scope=\"col\">least to most</th>";
    }
    return out + "</tr></thead>";
}

std::string row(const Report& report, const TargetResult& result, Phase phase) {
    const Histogram& histogram = result.whole.phases[phase];
    std::string out = "<tr>" + cell(std::string(to_string(phase))) + cell(decimal(microseconds(histogram.mean()), 1));
    for (const Percentile& percentile : percentiles)
        out += cell(decimal(microseconds(histogram.percentile(percentile.percent)), 1));
    out += cell(decimal(microseconds(histogram.max()), 1));
    if (is_compared(report, result)) {
        const auto ratio = report.ratio(result, phase);
        out += cell(ratio ? decimal(ratio->median, 2) : "-") +
               cell(ratio ? decimal(ratio->min, 2) + " to " + decimal(ratio->max, 2) : "-");
    }
    return out + "</tr>";
}

std::string section(const Report& report, const TargetResult& result) {
    std::string out = "<h2>" + escaped(result.target.name) + "</h2><p>" + escaped(address_text(result.target)) +
                      ", sslmode " + std::string(protocol::to_string(result.target.sslmode)) + ": " +
                      escaped(tls_text(report, result)) + "</p><p>" + escaped(count_text(result)) + "</p>";
    if (!result.whole.failures.empty()) {
        out += "<ul class=\"bad\">";
        for (const auto& [error, count] : result.whole.failures)
            out += "<li>" + std::to_string(count) + " × " + escaped(error) + "</li>";
        out += "</ul>";
    }
    if (result.whole.connections() == 0) return out;
    out += "<div class=\"scroll\"><table>" + heading(report, result) + "<tbody>";
    for (const Phase phase : all_phases) {
        if (result.whole.phases[phase].count() > 0) out += row(report, result, phase);
    }
    return out + "</tbody></table></div>";
}

}  // namespace

std::string to_html(const Report& report) {
    std::string out =
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        "<meta name=\"viewport\" content=\"width=device-width\"><title>What a connection costs</title><style>";
    out += style;
    out += "</style></head><body><h1>What a connection costs</h1><p class=\"faint\">" + escaped(report.started) + ", " +
           escaped(report.load) + (report.libpq ? ", by libpq" : "") +
           (report.query.empty() ? ", no query" : ", query " + escaped(report.query)) +
           (report.interrupted ? ", interrupted" : "") + ", pgairlock-bench " + escaped(report.version) + "</p>" +
           phase_bars(report) + percentile_curves(report);
    for (const TargetResult& result : report.targets) out += section(report, result);
    return out + "</body></html>\n";
}

}  // namespace bench
