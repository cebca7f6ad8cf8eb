// The parts of toml_slip.cpp: what is wrong with a line of a configuration file, by what kind of
// line it is.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/known_key.hpp"
#include "config/toml_line.hpp"

namespace config {

/// What is wrong, where in the line, and what would be right.
struct Finding {
    std::string what;
    std::string fix{};      ///< as it would stand in the file; empty: `what` says it
    std::string_view at{};  ///< of the line; empty: where the parser stopped
    bool is_of_one_line = true;
};

/// The file up to the line that is wrong.
struct Place {
    std::vector<std::string_view> lines;  ///< the last one is it
    std::size_t header = 0;               ///< line of the table that it belongs to; lines.size(): none
    std::size_t opening = 0;              ///< line whose list goes on to here; lines.size(): none
};

/// The file up to `line`, which counts from 1.
Place place_in(std::string_view text, int line);

/// A table's header, whole or not.
bool begins_table(std::string_view line);

/// "upstream.orders" of "[upstream.orders]"; empty: none.
std::string table_of(const Place& place);

/// The line that a string of several lines, between three quotes, begins in and goes on from to
/// here; lines.size(): none.
std::size_t opening_of_string(const Place& place);

/// More opened than closed.
int open_brackets(std::string_view value);

/// nullptr: no key, or one that is not known.
const KnownKey* known_key(std::string_view name);

/// It holds no secret: no URL with a password, no token, no key that was pasted. What a key that is
/// not known holds, nobody knows.
bool may_be_shown(const KnownKey* key, std::string_view value);

/// "[log]", "[[listener]]".
std::string header_text(std::string_view name);
bool is_listed_table(std::string_view name);

/// Of a line with a key. nullopt: the parser knows better.
std::optional<Finding> wrong_value(const TomlLine& line, std::string_view description, const KnownKey* key);

/// key = value, as it is to be.
std::string assignment(const TomlLine& line, const KnownKey* key, std::string_view value);

/// Of a table's header.
Finding wrong_table(const Place& place, std::string_view description);

/// Of a line that is none of these; `list` is the key whose list it stands in.
std::optional<Finding> wrong_other(const Place& place, const KnownKey* list);

}  // namespace config
