#include "config/toml_line.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace config {
namespace {

constexpr std::string_view line_blanks = " \t\r";
constexpr std::string_view part_symbols = ",[]{}";

bool is_key_character(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
}

bool is_quote(char c) noexcept { return c == '"' || c == '\''; }

/// Behind the quote that closes what begins at `begin`; the end, where none does.
std::size_t end_of_string(std::string_view text, std::size_t begin) noexcept {
    for (std::size_t at = begin + 1; at < text.size(); ++at) {
        if (text[at] == '\\' && text[begin] == '"' && at + 1 < text.size()) {
            ++at;
        } else if (text[at] == text[begin]) {
            return at + 1;
        }
    }
    return text.size();
}

/// "[::1]:5432", which is no list: its length. 0: it is another thing.
std::size_t length_of_ipv6_host(std::string_view text) noexcept {
    const std::size_t end = text.find("]:");
    if (!text.starts_with('[') || end == std::string_view::npos) return 0;
    const bool is_address =
        text.substr(1, end - 1).find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
    return is_address ? end + 2 : 0;
}

std::string requoted(std::string_view part) {
    if (is_quoted(part)) {
        part.remove_prefix(1);
        if (!part.empty() && is_quote(part.back())) part.remove_suffix(1);
    }
    const bool needs_single = part.find_first_of("\\\"") != std::string_view::npos;
    const char quote = needs_single && part.find('\'') == std::string_view::npos ? '\'' : '"';
    return quote + std::string(part) + quote;
}

std::optional<std::string> as_boolean(std::string_view value) {
    std::string lower(is_quoted(value) ? value.substr(1, value.size() - 1 - (is_unclosed(value) ? 0 : 1)) : value);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    for (const std::string_view word : {"true", "yes", "on", "1", "t", "y", "enabled"}) {
        if (lower == word) return "true";
    }
    for (const std::string_view word : {"false", "no", "off", "0", "f", "n", "disabled"}) {
        if (lower == word) return "false";
    }
    return std::nullopt;
}

/// Thousands set apart, quotes, zeros in front.
std::optional<std::string> as_integer(std::string_view value) {
    std::string decimals;
    for (const char c : value) {
        if (c >= '0' && c <= '9') {
            decimals += c;
        } else if (!is_quote(c) && c != ',' && c != ' ' && c != '_' && c != '\'' && c != ';') {
            return std::nullopt;
        }
    }
    if (decimals.empty()) return std::nullopt;
    decimals.erase(0, std::min(decimals.find_first_not_of('0'), decimals.size() - 1));
    return decimals;
}

std::string as_list(std::string_view value) {
    std::vector<std::string> items;
    for (const std::string_view part : value_parts(value)) {
        const bool is_symbol = part.size() == 1 && part_symbols.find(part.front()) != std::string_view::npos;
        if (!is_symbol) items.push_back(requoted(part));
    }
    std::string text;
    for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
    const bool is_one = items.size() == 1 && (!value.starts_with('[') || length_of_ipv6_host(value) > 0);
    return is_one ? text : "[" + text + "]";
}

}  // namespace

std::string_view trimmed(std::string_view text) noexcept {
    const std::size_t begin = text.find_first_not_of(line_blanks);
    if (begin == std::string_view::npos) return text.substr(text.size());
    return text.substr(begin, text.find_last_not_of(line_blanks) - begin + 1);
}

std::string_view without_comment(std::string_view line) noexcept {
    for (std::size_t at = 0; at < line.size(); ++at) {
        // An apostrophe within a word is no quote.
        const bool begins = at == 0 || !is_key_character(line[at - 1]);
        if (is_quote(line[at]) && begins) {
            const std::size_t end = end_of_string(line, at);
            // One that is not closed does not hide the comment behind it.
            if (end < line.size() || line.back() == line[at]) at = end - 1;
        } else if (line[at] == '#') {
            return line.substr(0, at);
        }
    }
    return line;
}

TomlLine split_line(std::string_view line) {
    std::string_view rest = trimmed(without_comment(line));
    TomlLine split;
    const bool has_quotes = is_quoted(rest) && end_of_string(rest, 0) < rest.size();
    if (has_quotes) rest.remove_prefix(1);
    const auto end = std::find_if_not(rest.begin(), rest.end(), is_key_character);
    split.key = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
    if (split.key.empty()) return split;
    rest = trimmed(rest.substr(split.key.size() + (has_quotes ? 1 : 0)));
    constexpr std::array<std::string_view, 6> separators{"==", "= =", "=>", ":=", "=", ":"};
    for (const std::string_view separator : separators) {
        if (!rest.starts_with(separator)) continue;
        split.separator = rest.substr(0, separator.size());
        rest.remove_prefix(separator.size());
        break;
    }
    split.value = trimmed(rest);
    return split;
}

std::vector<std::string_view> value_parts(std::string_view value) {
    std::vector<std::string_view> parts;
    for (std::size_t at = 0; at < value.size();) {
        const std::size_t begin = at;
        if (line_blanks.find(value[at]) != std::string_view::npos) {
            ++at;
            continue;
        }
        if (is_quote(value[at])) {
            at = end_of_string(value, at);
        } else if (part_symbols.find(value[at]) != std::string_view::npos &&
                   length_of_ipv6_host(value.substr(at)) == 0) {
            ++at;
        } else {
            at += length_of_ipv6_host(value.substr(at));
            while (at < value.size() && line_blanks.find(value[at]) == std::string_view::npos && value[at] != ',' &&
                   value[at] != ']' && !is_quote(value[at]))
                ++at;
            if (at == begin) ++at;
        }
        parts.push_back(value.substr(begin, at - begin));
    }
    return parts;
}

bool is_quoted(std::string_view part) noexcept { return !part.empty() && is_quote(part.front()); }

bool is_unclosed(std::string_view part) noexcept {
    return is_quoted(part) && (part.size() == 1 || part.back() != part.front());
}

std::optional<std::string> with_plain_quotes(std::string_view text) {
    constexpr std::array<std::string_view, 10> double_quotes{"\u201c", "\u201d", "\u201e", "\u201f", "\u00ab",
                                                             "\u00bb", "\u2018", "\u2019", "\u201a", "\u201b"};
    std::string plain;
    bool is_other = false;
    while (!text.empty()) {
        const auto found = std::find_if(double_quotes.begin(), double_quotes.end(),
                                        [&](std::string_view quote) { return text.starts_with(quote); });
        if (found == double_quotes.end()) {
            plain += text.front();
            text.remove_prefix(1);
        } else {
            plain += '"';
            text.remove_prefix(found->size());
            is_other = true;
        }
    }
    return is_other ? std::optional(std::move(plain)) : std::nullopt;
}

std::optional<std::string> as_toml(std::string_view value, KnownKey::Shape shape) {
    value = trimmed(value);
    while (value.ends_with(';') || value.ends_with(',')) value = trimmed(value.substr(0, value.size() - 1));
    if (value.empty()) return std::nullopt;
    switch (shape) {
        case KnownKey::Shape::boolean: return as_boolean(value);
        case KnownKey::Shape::integer: return as_integer(value);
        case KnownKey::Shape::number: return std::nullopt;
        case KnownKey::Shape::list: return as_list(value);
        case KnownKey::Shape::text: break;
    }
    // What stands behind the string was no part of it.
    return requoted(is_quoted(value) ? value_parts(value).front() : value);
}

}  // namespace config
