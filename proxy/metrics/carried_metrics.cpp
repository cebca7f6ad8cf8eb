#include "proxy/metrics/carried_metrics.hpp"

#include <charconv>
#include <cmath>
#include <optional>

namespace proxy {
namespace {

constexpr std::string_view type_begin = "# TYPE ";
constexpr std::string_view clients_of_now = "pgairlock_client_connections";
constexpr std::string_view of_process = "process_";

std::string_view take_line(std::string_view& text) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    return line;
}

struct Family {
    std::string_view name;
    std::string_view kind;
};

std::optional<Family> family_of(std::string_view line) {
    if (!line.starts_with(type_begin)) return std::nullopt;
    line.remove_prefix(type_begin.size());
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    return Family{line.substr(0, space), line.substr(space + 1)};
}

/// One name for both formats: OpenMetrics leaves the suffix of a counter out.
std::string_view common_name(std::string_view family) {
    constexpr std::string_view suffix = "_total";
    return family.ends_with(suffix) ? family.substr(0, family.size() - suffix.size()) : family;
}

struct Sample {
    std::string_view series;
    double value = 0;
    std::string_view rest;  ///< an exemplar
};

/// A label's value may hold anything, also spaces: the series ends behind its brace.
std::optional<Sample> sample_of(std::string_view line) {
    bool quoted = false;
    std::size_t end = 0;
    for (; end < line.size() && (quoted || line[end] != ' '); ++end) {
        if (line[end] == '\\') {
            ++end;
        } else if (line[end] == '"') {
            quoted = !quoted;
        }
    }
    if (end >= line.size()) return std::nullopt;
    Sample sample{.series = line.substr(0, end), .value = 0, .rest = {}};
    const char* const begin = line.data() + end + 1;
    const auto [stop, error] = std::from_chars(begin, line.data() + line.size(), sample.value);
    if (error != std::errc()) return std::nullopt;
    sample.rest = line.substr(static_cast<std::size_t>(stop - line.data()));
    return sample;
}

/// Bounds are "1" in one format and "1.0" in the other.
std::string common_series(std::string_view series) {
    std::string text(series);
    constexpr std::string_view bound = ".0\"}";
    if (text.ends_with(bound) && text.find("le=\"") != std::string::npos) text.erase(text.size() - bound.size(), 2);
    return text;
}

std::string sum_text(double value) {
    char text[32];
    const bool is_whole = value == std::floor(value) && std::abs(value) < 1e15;
    const auto [end, error] = is_whole ? std::to_chars(text, text + sizeof text, static_cast<long long>(value))
                                       : std::to_chars(text, text + sizeof text, value);
    return error == std::errc() ? std::string(text, end) : "NaN";
}

}  // namespace

void CarriedMetrics::add(std::string_view text, bool alive) {
    std::map<std::string, double>* series = nullptr;
    while (!text.empty()) {
        const std::string_view line = take_line(text);
        if (const auto family = family_of(line)) {
            const bool counts = family->kind == "counter" || family->kind == "histogram";
            const bool carried =
                (counts && !family->name.starts_with(of_process)) || (alive && family->name == clients_of_now);
            // A gauge and a counter may have one name in common.
            const std::string_view name = counts ? common_name(family->name) : family->name;
            series = carried ? &families_[std::string(counts ? name : std::string(name) + " now")] : nullptr;
        } else if (series != nullptr && !line.starts_with('#')) {
            if (const auto sample = sample_of(line)) (*series)[common_series(sample->series)] += sample->value;
        }
    }
}

std::string CarriedMetrics::added_to(std::string_view text) const {
    std::string out;
    out.reserve(text.size());
    std::map<std::string, double> left;  // of the family that is being told
    const auto tell_left = [&] {
        for (const auto& [series, value] : left) out += series + " " + sum_text(value) + "\n";
        left.clear();
    };
    while (!text.empty()) {
        const std::string_view line = take_line(text);
        if (line.starts_with('#')) {
            if (!line.starts_with(type_begin)) tell_left();
            if (const auto family = family_of(line)) {
                const bool is_gauge = family->kind == "gauge";
                const auto found = families_.find(is_gauge ? std::string(family->name) + " now"
                                                           : std::string(common_name(family->name)));
                if (found != families_.end()) left = found->second;
            }
            out.append(line) += '\n';
            continue;
        }
        const auto sample = left.empty() ? std::nullopt : sample_of(line);
        const auto other = sample ? left.find(common_series(sample->series)) : left.end();
        if (other == left.end()) {
            out.append(line) += '\n';
            continue;
        }
        out.append(sample->series).append(" ").append(sum_text(sample->value + other->second)).append(sample->rest);
        out += '\n';
        left.erase(other);
    }
    tell_left();
    return out;
}

}  // namespace proxy
