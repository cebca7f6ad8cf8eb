#include "config/toml_slip.hpp"

#include <algorithm>

#include "config/keys.hpp"
#include "config/secret.hpp"
#include "config/toml_finding.hpp"
#include "protocol/utf8.hpp"

namespace config {
namespace {

/// Longer ones are cut: a message is a line.
constexpr std::size_t longest_shown = 120;

std::optional<Finding> wrong_encoding(std::string_view text, const Place& place) {
    if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff") ||
        text.substr(0, 256).find('\0') != std::string_view::npos) {
        return Finding{
            .what =
                "the file is UTF-16, as some editors save \"Unicode\": save it as UTF-8, or: iconv -f UTF-16 -t UTF-8",
            .is_of_one_line = false};
    }
    const std::string_view line = place.lines.back();
    for (std::size_t at = 0; at < line.size();) {
        const std::size_t length = protocol::character_length(line.substr(at));
        if (length == 0) {
            return Finding{
                .what = "a character here is not UTF-8: save the file as UTF-8, or: iconv -f WINDOWS-1252 -t UTF-8",
                .at = line.substr(at, 1),
                .is_of_one_line = false};
        }
        at += length;
    }
    const std::size_t lone = line.find('\r');
    if (lone != std::string_view::npos && lone + 1 < line.size()) {
        return Finding{
            .what = R"(a carriage return ends no line: save the file with line ends of Unix, or: tr '\r' '\n')",
            .at = line.substr(lone, 1),
            .is_of_one_line = false};
    }
    for (const std::string_view blank : {"\u00a0", "\u200b", "\ufeff", "\u2007", "\u202f"}) {
        const std::size_t at = line.find(blank);
        // Within a string it is the string's.
        const bool is_within =
            at != std::string_view::npos && line.substr(0, at).find_first_of("\"'#") != std::string_view::npos;
        if (at != std::string_view::npos && !is_within) {
            return Finding{
                .what = "there is a blank here that only looks like one (no-break or zero-width): type a space",
                .at = line.substr(at, 1)};
        }
    }
    return std::nullopt;
}

std::optional<Finding> given_twice(const Place& place, const TomlLine& line) {
    const std::size_t from = place.header == place.lines.size() ? 0 : place.header + 1;
    for (std::size_t i = from; i + 1 < place.lines.size(); ++i) {
        if (split_line(place.lines[i]).key != line.key) continue;
        return Finding{.what = "is given a second time, and was in line " + std::to_string(i + 1) +
                               " already: leave out one of them",
                       .at = line.key};
    }
    return std::nullopt;
}

std::optional<Finding> find_slip(std::string_view text, const Place& place, const TomlLine& line,
                                 std::string_view description, const KnownKey* key) {
    if (auto finding = wrong_encoding(text, place)) return finding;
    const std::string_view all = trimmed(place.lines.back());
    if (const std::size_t opening = opening_of_string(place); opening < place.lines.size()) {
        return Finding{.what = "the string between three quotes that begins in line " + std::to_string(opening + 1) +
                               " has no end, or what stands in it cannot",
                       .is_of_one_line = false};
    }
    const bool is_in_list = place.opening < place.lines.size();
    if (is_in_list) return wrong_other(place, known_key(split_line(place.lines[place.opening]).last_name()));
    if (all.starts_with('[')) return wrong_table(place, description);
    const auto tables = top_level_tables();
    const bool is_table = std::find(tables.begin(), tables.end(), line.key) != tables.end();
    if (is_table && line.separator == ":") {
        const std::string name(line.key);
        return Finding{.what = "a table is written",
                       .fix = name == "upstream" ? "[upstream.NAME]" : header_text(name),
                       .at = line.key,
                       .is_of_one_line = false};
    }
    if (!line.separator.empty()) {
        if (description.find("redefine") != std::string_view::npos) return given_twice(place, line);
        return wrong_value(line, description, key);
    }
    if (key != nullptr && !line.value.empty()) {
        return Finding{.what = "between a key and its value stands \"=\"",
                       .fix = assignment(line, key, line.value),
                       .at = line.key};
    }
    if (key != nullptr) return wrong_value(line, description, key);
    return wrong_other(place, nullptr);
}

/// As the parser counts: characters.
int column_of(std::string_view line, std::string_view part) {
    const std::string_view before = line.substr(0, static_cast<std::size_t>(part.data() - line.data()));
    const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
    return static_cast<int>(std::count_if(before.begin(), before.end(), begins)) + 1;
}

/// "Error while parsing array: expected ..." without what the place says.
std::string_view parser_words(std::string_view description) {
    const std::size_t colon = description.find(": ");
    if (description.starts_with("Error while parsing ") && colon != std::string_view::npos) {
        description.remove_prefix(colon + 2);
    }
    return description;
}

/// As much of the line as may be shown.
std::string shown_line(const Place& place, const TomlLine& line, const KnownKey* key) {
    const std::string_view text = trimmed(place.lines.back());
    if (opening_of_string(place) < place.lines.size() || may_hold_secret(text)) return {};
    const bool is_table = text.starts_with('[') && place.opening == place.lines.size() && begins_table(text);
    if (!is_table && (line.key.empty() || !may_be_shown(key, text))) return {};
    const std::string shown = protocol::printable(text);
    return shown.size() > longest_shown ? protocol::as_utf8(shown, longest_shown) + "..." : shown;
}

}  // namespace

TomlSlip explain_slip(std::string_view text, const std::string& file, int line, int column,
                      std::string_view description) {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
    const Place place = place_in(text, std::max(line, 1));
    const std::string_view wrong = place.lines.back();
    const TomlLine split = split_line(wrong);
    const KnownKey* const key = known_key(split.last_name());
    const auto found = find_slip(text, place, split, description, key);

    const bool is_in_list = place.opening < place.lines.size();
    const std::string_view name = is_in_list ? split_line(place.lines[place.opening]).key
                                             : (split.separator.empty() && key == nullptr ? "" : split.key);
    std::string table = begins_table(wrong) && !is_in_list ? "" : table_of(place);
    if (may_hold_secret(table)) table = "...";
    if (!table.empty() && !name.empty()) table += '.';
    TomlSlip slip;
    slip.diagnostic.origin = {.file = file, .line = line, .column = column, .key = table + std::string(name)};
    if (found && !found->at.empty()) slip.diagnostic.origin.column = column_of(wrong, found->at);
    slip.is_of_one_line = found && found->is_of_one_line;

    std::string& message = slip.diagnostic.message;
    message = found ? found->what : std::string(parser_words(description));
    if (found && !found->fix.empty()) message += ": " + found->fix;
    const std::string shown = shown_line(place, split, key);
    if (!shown.empty()) message += " (the line: " + shown + ")";
    return slip;
}

}  // namespace config
