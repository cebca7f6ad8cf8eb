#include "proxy/metrics/exposition.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "protocol/utf8.hpp"

namespace proxy {
namespace {

/// The shortest text that reads back as the same number.
std::string number_text(double value) {
    char text[32];
    const auto [end, error] = std::to_chars(text, text + sizeof text, value);
    return error == std::errc() ? std::string(text, end) : "NaN";
}

std::string timestamp_text(std::chrono::system_clock::time_point time) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
    char text[32];
    std::snprintf(text, sizeof text, "%lld.%03d", static_cast<long long>(ms / 1000), static_cast<int>(ms % 1000));
    return text;
}

/// In double quotes. Names of the configuration may hold any bytes; a scrape with bytes that are no
/// UTF-8 would be refused as a whole.
std::string quoted_label(std::string_view value) {
    std::string out = "\"";
    for (const char c : protocol::as_utf8(value)) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

/// OpenMetrics names a counter without its suffix. One name is also that of a gauge, and families
/// must not share one: there the counter's type is left open, and its samples are the same.
std::string family_name(const MetricInfo& metric, bool& type_is_open) {
    std::string name(metric.name);
    constexpr std::string_view suffix = "_total";
    type_is_open = false;
    if (metric.kind != MetricKind::counter || !name.ends_with(suffix)) return name;
    const std::string base = name.substr(0, name.size() - suffix.size());
    const auto all = all_metrics();
    type_is_open = std::any_of(all.begin(), all.end(), [&](const MetricInfo& other) { return other.name == base; });
    return type_is_open ? name : base;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Takes what stands before `separator` off the front of `text`.
std::string_view take_until(std::string_view& text, char separator) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return trimmed(part);
}

/// The q of a media range's parameters; 0 for one that is none.
double quality(std::string_view parameters) {
    double q = 1;
    while (!parameters.empty()) {
        const std::string_view parameter = take_until(parameters, ';');
        if (!parameter.starts_with("q=") && !parameter.starts_with("Q=")) continue;
        const auto [end, error] = std::from_chars(parameter.data() + 2, parameter.data() + parameter.size(), q);
        if (error != std::errc() || end != parameter.data() + parameter.size() || !(q >= 0 && q <= 1)) return 0;
    }
    return q;
}

}  // namespace

void Exposition::begin(Metric metric) {
    metric_ = &info(metric);
    std::string name(metric_->name);
    std::string_view kind = to_string(metric_->kind);
    if (format_ == Format::openmetrics) {
        bool type_is_open = false;
        name = family_name(*metric_, type_is_open);
        if (type_is_open) kind = "unknown";
    }
    text_ += "# HELP " + name + " " + std::string(metric_->help) + "\n";
    text_ += "# TYPE " + name + " " + std::string(kind) + "\n";
}

void Exposition::sample(Labels labels, double value) { sample(labels, number_text(value)); }

void Exposition::sample(Labels labels, const std::string& value) { text_ += series({}, labels) + " " + value + "\n"; }

void Exposition::sample(Labels labels, const Histogram& histogram) {
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < Histogram::buckets; ++i) {
        below += histogram.in_bucket(i);
        std::string le = "+Inf";
        if (i < Histogram::bounds.size()) {
            le = number_text(Histogram::bounds[i]);
            // OpenMetrics wants canonical numbers: "1.0".
            if (format_ == Format::openmetrics && le.find('.') == std::string::npos) le += ".0";
        }
        text_ += series("_bucket", labels, le) + " " + std::to_string(below);
        const Exemplar& exemplar = histogram.exemplar(i);
        if (format_ == Format::openmetrics && !exemplar.session.empty()) {
            text_ += " # {session=" + quoted_label(exemplar.session) + "} " + number_text(exemplar.seconds) + " " +
                     timestamp_text(exemplar.time);
        }
        text_ += "\n";
    }
    text_ += series("_sum", labels) + " " + number_text(histogram.sum()) + "\n";
    text_ += series("_count", labels) + " " + std::to_string(histogram.count()) + "\n";
}

std::string Exposition::series(std::string_view suffix, Labels labels, std::string_view le) const {
    std::string text = std::string(metric_->name) + std::string(suffix);
    std::string pairs;
    auto label = metric_->labels.begin();
    for (const std::string_view value : labels) {
        pairs += (pairs.empty() ? "" : ",") + std::string(*label) + "=" + quoted_label(value);
        ++label;
    }
    if (!le.empty()) pairs += std::string(pairs.empty() ? "" : ",") + "le=\"" + std::string(le) + "\"";
    return pairs.empty() ? text : text + "{" + pairs + "}";
}

std::string Exposition::finish() && {
    if (format_ == Format::openmetrics) text_ += "# EOF\n";
    return std::move(text_);
}

std::string_view Exposition::content_type(Format format) noexcept {
    return format == Format::openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                         : "text/plain; version=0.0.4; charset=utf-8";
}

Exposition::Format accepted_format(std::string_view accept) {
    double openmetrics = 0, text = 0;
    while (!accept.empty()) {
        std::string_view range = take_until(accept, ',');
        const std::string_view type = take_until(range, ';');
        if (type == "application/openmetrics-text") openmetrics = std::max(openmetrics, quality(range));
        if (type == "text/plain") text = std::max(text, quality(range));
    }
    return openmetrics > 0 && openmetrics >= text ? Exposition::Format::openmetrics : Exposition::Format::text;
}

}  // namespace proxy
