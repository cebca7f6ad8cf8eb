#include <algorithm>

#include "config/secret.hpp"
#include "config/toml_finding.hpp"

namespace config {
namespace {

Finding table_given_twice(const Place& place, const std::string& name) {
    for (std::size_t i = 0; i + 1 < place.lines.size(); ++i) {
        const std::string_view line = trimmed(without_comment(place.lines[i]));
        const bool is_it =
            begins_table(line) && trimmed(line.substr(line.find_first_not_of('['))).starts_with(name + "]");
        if (!is_it) continue;
        const std::string first = ", and was in line " + std::to_string(i + 1) + " already";
        if (is_listed_table(name))
            return {.what = "this table is there a second time" + first + ": each is", .fix = header_text(name)};
        return {.what = "the table [" + name + "] is there a second time" + first + ": put its keys together there"};
    }
    return {.what = "what is called [" + name + "] is there in another form already: leave out one of them"};
}

}  // namespace

Finding wrong_table(const Place& place, std::string_view description) {
    const std::string_view line = trimmed(without_comment(place.lines.back()));
    std::string_view name = trimmed(line.substr(std::min(line.find_first_not_of("[ \t"), line.size())));
    const std::size_t end = std::min(name.find_first_of("];#"), name.size());
    const std::string_view rest = trimmed(name.substr(end));
    name = trimmed(name.substr(0, end));
    Finding finding;
    finding.at = line;
    finding.is_of_one_line = false;
    if (name.empty()) {
        finding.what = "a table has a name, such as [log]";
    } else if (may_hold_secret(line)) {
        finding.what = "a table's name is a word, such as [upstream.orders]";
    } else if (description.find("redefine") != std::string_view::npos) {
        finding = table_given_twice(place, std::string(name));
        finding.at = line;
        finding.is_of_one_line = false;
    } else if (name.find_first_of(" \t/:@") != std::string_view::npos && rest.starts_with(']')) {
        const std::size_t dot = name.find('.');
        const std::string prefix(dot == std::string_view::npos ? "" : name.substr(0, dot + 1));
        finding.what = "a name of other characters than letters, digits, '-' and '_' needs quotes";
        finding.fix = "[" + prefix + "\"" + std::string(name.substr(prefix.size())) + "\"]";
    } else if (rest.empty()) {
        finding.what = R"("]" is missing)";
        finding.fix = header_text(name);
    } else {
        const bool is_bracket = rest.find_first_not_of("[]") == std::string_view::npos;
        finding.what = is_bracket ? "as many brackets close a table's name as open it"
                                  : "nothing but a comment (#) stands behind a table's name";
        finding.fix = header_text(name);
    }
    return finding;
}

std::optional<Finding> wrong_other(const Place& place, const KnownKey* list) {
    const std::string_view line = trimmed(place.lines.back());
    for (const std::string_view mark : {"//", "/*", ";", "--", "!", "%"}) {
        if (line.starts_with(mark)) return Finding{.what = "a comment begins with #", .at = line};
    }
    if (place.opening < place.lines.size()) {
        const std::string_view item = trimmed(without_comment(line));
        if (begins_table(line) || split_line(line).separator == "=") {
            return Finding{
                .what = "the list that begins in line " + std::to_string(place.opening + 1) + R"( has no "]")",
                .at = line,
                .is_of_one_line = false};
        }
        if (item.empty()) return std::nullopt;
        const auto parts = value_parts(item);
        const bool is_word = parts.front().size() > 1 && !is_quoted(parts.front());
        const std::string shown =
            may_be_shown(list, item) ? as_toml(parts.front(), KnownKey::Shape::text).value_or("") : R"("...")";
        if (is_word) return Finding{.what = "strings need quotes", .fix = shown, .at = item, .is_of_one_line = false};
        return Finding{
            .what = "a comma is missing in the list that begins in line " + std::to_string(place.opening + 1),
            .at = item,
            .is_of_one_line = false};
    }
    if (line.empty() || begins_table(line)) return std::nullopt;
    return Finding{.what = R"(expected a table, such as [log], or a key and its value, such as level = "info")",
                   .at = line,
                   .is_of_one_line = false};
}

}  // namespace config
