#include "bench/connect/plots.hpp"

#include <algorithm>
#include <cmath>

namespace bench {
namespace {

constexpr double left = 110, right = 870;
constexpr double bar_height = 26, bar_step = 40;
constexpr double curve_top = 10, curve_bottom = 260;
constexpr std::size_t curve_colours = 6;

std::string coordinate(double value) { return decimal(value, 1); }

std::string text_at(double x, double y, const std::string& anchor, const std::string& text) {
    return "<text x=\"" + coordinate(x) + "\" y=\"" + coordinate(y) + "\" text-anchor=\"" + anchor + "\">" +
           escaped(text) + "</text>";
}

std::string line(double x1, double y1, double x2, double y2) {
    return "<line class=\"axis\" x1=\"" + coordinate(x1) + "\" y1=\"" + coordinate(y1) + "\" x2=\"" + coordinate(x2) +
           "\" y2=\"" + coordinate(y2) + "\"/>";
}

std::string open_svg(double height, const std::string& label) {
    return "<svg viewBox=\"0 0 900 " + coordinate(height) + "\" role=\"img\" aria-label=\"" + escaped(label) + "\">";
}

/// 1, 2 or 5 times a power of ten: at most five steps up to `most`.
double tick(double most) {
    const double power = std::pow(10, std::floor(std::log10(std::max(most, 1.0) / 5)));
    for (const double factor : {1, 2, 5}) {
        if (most / (factor * power) <= 5) return factor * power;
    }
    return 10 * power;
}

std::string time_text(double us) {
    return us >= 1000 ? decimal(us / 1000, us >= 10'000 ? 0 : 1) + " ms" : decimal(us, 0) + " µs";
}

/// By libpq there are no parts of total: then it is its own only part.
std::vector<Phase> parts(const Report& report) {
    std::vector<Phase> found;
    for (const Phase phase : all_phases) {
        if (phase == Phase::overall || (phase == Phase::total && !report.libpq)) continue;
        const bool present = std::any_of(report.targets.begin(), report.targets.end(), [&](const TargetResult& result) {
            return result.whole.phases[phase].count() > 0;
        });
        if (present) found.push_back(phase);
    }
    return found;
}

double mean_us(const TargetResult& result, Phase phase) { return microseconds(result.whole.phases[phase].mean()); }

std::string bar(const TargetResult& result, const std::vector<Phase>& phases, double y, double scale) {
    double x = left;
    std::string out = text_at(left - 8, y + bar_height * 0.68, "end", result.target.name);
    for (std::size_t i = 0; i < phases.size(); ++i) {
        const double width = mean_us(result, phases[i]) * scale;
        if (width <= 0) continue;
        out += "<rect class=\"f" + std::to_string(i) + "\" x=\"" + coordinate(x) + "\" y=\"" + coordinate(y) +
               "\" width=\"" + coordinate(width) + "\" height=\"" + coordinate(bar_height) + "\"><title>" +
               escaped(result.target.name) + ", " + std::string(to_string(phases[i])) + ": " +
               time_text(mean_us(result, phases[i])) + "</title></rect>";
        x += width;
    }
    return out;
}

std::string legend(const std::vector<Phase>& phases, double y) {
    std::string out;
    double x = 20;
    for (std::size_t i = 0; i < phases.size(); ++i) {
        out += "<rect class=\"f" + std::to_string(i) + "\" x=\"" + coordinate(x) + "\" y=\"" + coordinate(y - 10) +
               "\" width=\"11\" height=\"11\"/>" + text_at(x + 16, y, "start", std::string(to_string(phases[i])));
        x += 122;
    }
    return out;
}

/// How far to the right a curve goes: to the percentile that leaves one connection out. The slowest
/// one says little and would flatten the rest.
double reach(const Histogram& histogram) {
    return std::log10(static_cast<double>(std::max<std::uint64_t>(histogram.count(), 1)));
}

double value_at(const Histogram& histogram, double decade) {
    return microseconds(histogram.percentile(100 * (1 - std::pow(10, -decade))));
}

/// Even steps on the axis of 1 / (1 - percentile).
std::string curve(const TargetResult& result, std::size_t index, double decades, double scale) {
    const Histogram& histogram = result.whole.phases[Phase::total];
    const double end = std::min(decades, reach(histogram));
    constexpr int steps_per_decade = 40;
    std::string points;
    for (int i = 0; i <= static_cast<int>(end * steps_per_decade); ++i) {
        const double decade = static_cast<double>(i) / steps_per_decade;
        points += coordinate(left + (right - left) * decade / decades) + "," +
                  coordinate(curve_bottom - value_at(histogram, decade) * scale) + " ";
    }
    return "<polyline class=\"curve s" + std::to_string(index % curve_colours) + "\" points=\"" + points +
           "\"><title>" + escaped(result.target.name) + "</title></polyline>";
}

}  // namespace

std::string phase_bars(const Report& report) {
    const std::vector<Phase> phases = parts(report);
    double longest = 0;
    for (const TargetResult& result : report.targets) {
        double sum = 0;
        for (const Phase phase : phases) sum += mean_us(result, phase);
        longest = std::max(longest, sum);
    }
    if (longest <= 0) return "";
    const double scale = (right - left) / longest;
    const double bottom = bar_step * static_cast<double>(report.targets.size()) + 8;
    std::string out = "<h2>Where the time goes</h2><p class=\"faint\">Means of the phases.</p>" +
                      open_svg(bottom + 50, "Mean time of each phase, by target");
    for (double us = 0; us <= longest; us += tick(longest)) {
        out += line(left + us * scale, 4, left + us * scale, bottom) +
               text_at(left + us * scale, bottom + 15, "middle", time_text(us));
    }
    for (std::size_t i = 0; i < report.targets.size(); ++i)
        out += bar(report.targets[i], phases, 8 + bar_step * static_cast<double>(i), scale);
    return out + legend(phases, bottom + 42) + "</svg>";
}

std::string percentile_curves(const Report& report) {
    double most = 0;
    std::uint64_t count = 0;
    for (const TargetResult& result : report.targets) {
        const Histogram& histogram = result.whole.phases[Phase::total];
        most = std::max(most, value_at(histogram, reach(histogram)));
        count = std::max(count, result.whole.connections());
    }
    if (most <= 0) return "";
    const double decades = std::clamp(std::ceil(std::log10(static_cast<double>(count))), 1.0, 4.0);
    const double scale = (curve_bottom - curve_top) / most;
    std::string out = "<h2>How often it takes how long</h2><p class=\"faint\">Total, by percentile.</p>" +
                      open_svg(curve_bottom + 55, "Total by percentile, by target");
    for (double us = 0; us <= most; us += tick(most)) {
        const double y = curve_bottom - us * scale;
        out += line(left, y, right, y) + text_at(left - 8, y + 4, "end", time_text(us));
    }
    constexpr std::array<const char*, 5> names{"0 %", "90 %", "99 %", "99.9 %", "99.99 %"};
    for (std::size_t i = 0; i <= static_cast<std::size_t>(decades); ++i) {
        const double x = left + (right - left) * static_cast<double>(i) / decades;
        out += line(x, curve_top, x, curve_bottom) + text_at(x, curve_bottom + 17, "middle", names[i]);
    }
    double x = left;
    for (std::size_t i = 0; i < report.targets.size(); ++i) {
        out += curve(report.targets[i], i, decades, scale) + "<polyline class=\"curve s" +
               std::to_string(i % curve_colours) + "\" points=\"" + coordinate(x) + "," +
               coordinate(curve_bottom + 41) + " " + coordinate(x + 18) + "," + coordinate(curve_bottom + 41) + "\"/>" +
               text_at(x + 24, curve_bottom + 45, "start", report.targets[i].target.name);
        x += 130;
    }
    return out + "</svg>";
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : printable(text)) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&#39;"; break;
            default: out += c;
        }
    }
    return out;
}

}  // namespace bench
