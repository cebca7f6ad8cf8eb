// The pictures of the report in HTML: bars by day, as SVG that needs neither script nor network.
#include <algorithm>
#include <array>
#include <cstdio>

#include "proxy/report/report_html_parts.hpp"
#include "proxy/report/report_table_parts.hpp"

namespace proxy::report::html {
namespace {

struct Band {
    const char* name;
    const char* css;
};

using Bands = std::vector<Band>;

/// For each band, from the bottom up.
using Stack = std::vector<std::uint64_t>;

struct Chart {
    const char* title;
    const char* note;
    const char* unit;  ///< "connections"
    Bands bands;
    std::map<std::int64_t, Stack> days{};
    bool shares = false;  ///< every bar has the same height: what counts is how it is divided
};

constexpr double left = 40, top = 24, width = 850, height = 180;
constexpr double bottom = top + height;

std::string decimal(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.1f", value);
    return text.data();
}

std::uint64_t sum(const Stack& stack) {
    std::uint64_t total = 0;
    for (const std::uint64_t part : stack) total += part;
    return total;
}

struct Point {
    double x;
    double y;
};

/// `anchor`: start, middle, end.
std::string text_at(Point at, const char* anchor, const std::string& text, const char* classes = "") {
    return "<text class=\"" + std::string(classes) + "\" x=\"" + decimal(at.x) + "\" y=\"" + decimal(at.y) +
           "\" text-anchor=\"" + anchor + "\">" + text + "</text>";
}

struct Axes {
    std::int64_t first;  ///< day
    std::int64_t last;
    double step;         ///< from one day to the next
    std::uint64_t most;  ///< of a day

    double x(std::int64_t day) const { return left + step * static_cast<double>(day - first); }
};

Axes axes(const Chart& chart) {
    const std::int64_t first = chart.days.begin()->first;
    const std::int64_t last = chart.days.rbegin()->first;
    std::uint64_t most = 1;
    for (const auto& [day, stack] : chart.days) most = std::max(most, sum(stack));
    return {first, last, width / static_cast<double>(std::max<std::int64_t>(last - first + 1, 7)), most};
}

std::string y_axis(const Chart& chart, std::uint64_t most) {
    std::string out;
    for (const int percent : {0, 50, 100}) {
        const double y = bottom - height * percent / 100;
        const bool between = !chart.shares && percent == 50 && most % 2 == 1;
        const std::string label = chart.shares ? std::to_string(percent) + " %"
                                               : short_number(most * static_cast<std::uint64_t>(percent) / 100);
        out += "<line class=\"axis\" x1=\"40\" x2=\"890\" y1=\"" + decimal(y) + "\" y2=\"" + decimal(y) + "\"/>";
        if (!between) out += text_at({34, y + 4}, "end", label);
    }
    return out;
}

/// A day's bar, its total above it, and what is in clear in numbers where there is room for them.
std::string bar(const Chart& chart, const Axes& axes, std::int64_t day, const Stack& stack) {
    constexpr double room_for_a_number = 30, height_of_a_line = 13;
    const std::uint64_t total = sum(stack);
    const double scale = height / static_cast<double>(chart.shares ? total : axes.most);
    const double x = axes.x(day), step = axes.step;
    const double bar_width = std::max(step - (step > 4 ? 1 : 0), 0.5);
    std::string out;
    double y = bottom;
    for (std::size_t i = 0; i < stack.size(); ++i) {
        if (stack[i] == 0) continue;
        const double part = scale * static_cast<double>(stack[i]);
        y -= part;
        out += std::string("<rect class=\"") + chart.bands[i].css + "\" x=\"" + decimal(x) + "\" y=\"" + decimal(y) +
               "\" width=\"" + decimal(bar_width) + "\" height=\"" + decimal(part) + "\"><title>" + day_text(day) +
               ": " + number(stack[i]) + " of " + number(total) + " " + chart.unit + " " + chart.bands[i].name +
               "</title></rect>";
        if (i == 0 && step >= room_for_a_number && part >= height_of_a_line)
            out += text_at({x + step / 2, y + part / 2 + 4}, "middle", short_number(stack[i]), "on");
    }
    if (step >= room_for_a_number) out += text_at({x + step / 2, y - 5}, "middle", short_number(total));
    return out;
}

std::string x_axis(const Axes& axes) {
    constexpr double room_for_a_date = 75;
    const auto every = static_cast<std::int64_t>(room_for_a_date / axes.step) + 1;
    std::string out;
    for (std::int64_t day = axes.first; day <= axes.last; day += every) {
        if (day == axes.first || axes.x(day) + room_for_a_date <= left + width)
            out += text_at({axes.x(day), bottom + 17}, "start", day_text(day));
    }
    return out;
}

std::string svg(const Chart& chart) {
    if (chart.days.empty()) return "";
    const Axes at = axes(chart);
    std::string out = std::string("<h2>") + chart.title + "</h2><p class=\"faint\">" + chart.note +
                      "</p><svg viewBox=\"0 0 900 230\" role=\"img\" aria-label=\"" + chart.title + ", " +
                      day_text(at.first) + " to " + day_text(at.last) + "\">" + y_axis(chart, at.most);
    for (const auto& [day, stack] : chart.days) {
        if (sum(stack) > 0) out += bar(chart, at, day, stack);
    }
    out += x_axis(at) + "</svg><p>";
    for (const Band& band : chart.bands) {
        out += std::string("<span class=\"key\"><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"") +
               band.css + "\" width=\"10\" height=\"10\"/></svg> " + band.name + "</span>";
    }
    return out + "</p>\n";
}

/// What matters is what is left in clear, on a Sunday too.
Chart connections(const ReportSummary& summary) {
    Chart chart{.title = "Connections by mode and day",
                .note =
                    "Shares of each day's connections. Above each day their number; in the bar that of those in "
                    "clear.",
                .unit = "connections",
                .bands = {{"in clear text", "m-plain"},
                          {"in TLS below 1.2", "m-old"},
                          {"in TLS 1.2", "m-t12"},
                          {"in TLS 1.3", "m-t13"},
                          {"in other modes", "m-other"}},
                .shares = true};
    for (const auto& [day, by_mode] : summary.days) {
        Stack stack(chart.bands.size());
        for (const auto& [mode, count] : by_mode) stack[static_cast<std::size_t>(mode_of(mode))] += count;
        chart.days[day] = std::move(stack);
    }
    return chart;
}

Chart clients_by_day(const Report& report) {
    Chart chart{
        .title = "Clients by day",
        .note =
            "How many clients logged in on each day, and how. Whether one verified the server was not "
            "written down day by day, so it is not here: the table says what is known of it in all.",
        .unit = "clients",
        .bands = {
            {"in clear text only", "m-plain"}, {"in clear text and with TLS", "m-old"}, {"with TLS only", "m-t13"}}};
    for (const ReportClient& client : report.clients) {
        if (client.source == Source::direct) continue;  // nobody knows on which days
        for (const auto& [day, by_mode] : client.row.days) {
            bool clear = false, tls = false;
            for (const auto& [mode, facts] : by_mode) {
                if (facts.connections > 0) (mode_of(mode) == Mode::clear ? clear : tls) = true;
            }
            if (!clear && !tls) continue;
            Stack& stack = chart.days[day];
            stack.resize(chart.bands.size());
            ++stack[!clear ? 2 : tls ? 1 : 0];
        }
    }
    return chart;
}

}  // namespace

std::string charts(const Report& report) { return svg(connections(report.summary)) + svg(clients_by_day(report)); }

}  // namespace proxy::report::html
