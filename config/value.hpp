// One value as written to one member: types, choices, ranges and files, each wrong value an error
// at its position.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "config/keys.hpp"
#include "config/node.hpp"

namespace config {

// Each leaves `into` alone when the value is wrong, having said so.
void read_value(const Node& node, Rule rule, std::string& into, Reading& reading);
void read_value(const Node& node, Rule rule, bool& into, Reading& reading);
void read_value(const Node& node, Rule rule, unsigned& into, Reading& reading);
void read_value(const Node& node, Rule rule, Duration& into, Reading& reading);
/// A size in bytes.
void read_value(const Node& node, Rule rule, std::uint64_t& into, Reading& reading);
void read_value(const Node& node, Rule rule, File& into, Reading& reading);
void read_value(const Node& node, Rule rule, std::vector<std::string>& into, Reading& reading);
void read_value(const Node& node, Rule rule, std::vector<File>& into, Reading& reading);
void read_value(const Node& node, Rule rule, std::vector<Address>& into, Reading& reading);
void read_value(const Node& node, Rule rule, std::vector<Cidr>& into, Reading& reading);
/// A share: 0 to 1.
void read_value(const Node& node, Rule rule, double& into, Reading& reading);
void read_value(const Node& node, Rule rule, std::vector<ProbeKind>& into, Reading& reading);
void read_value(const Node& node, Rule rule, std::vector<TimeWindow>& into, Reading& reading);
void read_value(const Node& node, Rule rule, std::vector<unsigned>& into, Reading& reading);
void read_value(const Node& node, Rule rule, std::vector<AlertKind>& into, Reading& reading);

/// The place of a word among the choices.
std::optional<std::size_t> read_choice(const Node& node, Rule rule, std::span<const std::string_view> choices,
                                       Reading& reading);

template <class Enum>
requires std::is_enum_v<Enum>
void read_value(const Node& node, Rule rule, Enum& into, Reading& reading) {
    if (const auto choice = read_choice(node, rule, names<Enum>(), reading)) into = static_cast<Enum>(*choice);
}

/// "expected a table, got an integer"
void wrong_type(const Node& node, std::string_view expected, Reading& reading);

/// Why the file cannot be read, in the system's words.
std::optional<std::string> why_unreadable(const std::string& path);

}  // namespace config
