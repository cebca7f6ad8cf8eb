// A line of a configuration file that TOML does not take, as far as it can be understood all the
// same: its key, its value, and how that value is written in TOML. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/known_key.hpp"

namespace config {

/// What stands in a line "key = value # comment", blanks around the parts left away. All views are
/// of that line.
struct TomlLine {
    std::string_view key;        ///< of letters, digits, '_', '-' and '.'; empty: the line begins with none
    std::string_view separator;  ///< "=", or what stands in its place: "==", "= =", ":=", "=>", ":"; empty: none
    std::string_view value;      ///< empty: none

    std::string_view last_name() const noexcept { return key.substr(key.rfind('.') + 1); }
};

TomlLine split_line(std::string_view line);

/// Without blanks at both ends, which are space, tab, carriage return.
std::string_view trimmed(std::string_view text) noexcept;

/// The comment that a line ends with is left away; a '#' within quotes begins none.
std::string_view without_comment(std::string_view line) noexcept;

/// What a value is made of: strings with their quotes, words, and each of the characters ",[]{}".
/// A string that is not closed goes on to the end.
std::vector<std::string_view> value_parts(std::string_view value);

bool is_quoted(std::string_view part) noexcept;

/// It begins with a quote, and does not end with the same one.
bool is_unclosed(std::string_view part) noexcept;

/// “x”, ‘x’, „x“, «x»: with plain quotes instead. nullopt: there are none in it.
std::optional<std::string> with_plain_quotes(std::string_view text);

/// The value as TOML has it, for a key of this shape: info is "info", True is true, 1,000 is 1000.
/// nullopt: it is nothing of the kind.
std::optional<std::string> as_toml(std::string_view value, KnownKey::Shape shape);

}  // namespace config
