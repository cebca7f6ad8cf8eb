#include "config/load.hpp"

// "[." fails an assertion in builds that have them, a moment before it would be told as an error.
#define TOML_ASSERT(expression) static_cast<void>(0)
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <tuple>

#include "config/read.hpp"
#include "config/secret.hpp"
#include "config/toml_slip.hpp"
#include "config/value.hpp"

namespace config {
namespace {

/// A configuration has a few KiB; more is a mistake in the path, such as a device.
constexpr std::size_t max_size = 16 * 1024 * 1024;

/// What is wrong with the rest of a file is not told beyond so many.
constexpr std::size_t max_slips = 20;

Loaded failure(Origin origin, std::string message);
Loaded slips(std::string text, const std::string& name);
bool blank_out(std::string& text, std::size_t line);
Origin start_of(std::string file);
std::filesystem::path folder_of(const std::string& file);
Node to_node(const toml::node& value, Origin origin);
void add_table(const toml::table& table, Node& node);
void add_array(const toml::array& array, Node& node);
Origin at(Origin origin, const toml::source_position& position);
std::string_view in_words(toml::node_type type) noexcept;

}  // namespace

Loaded load(const std::string& path) {
    if (const auto why = why_unreadable(path))
        return failure(start_of(path), "cannot read the configuration file: " + *why);
    std::ifstream file{path, std::ios::binary};
    std::string text;
    std::array<char, 4096> part;
    while (text.size() <= max_size && (file.read(part.data(), part.size()) || file.gcount() > 0)) {
        text.append(part.data(), static_cast<std::size_t>(file.gcount()));
    }
    if (text.size() > max_size)
        return failure(start_of(path),
                       "cannot read the configuration file: it is larger than 16 MiB, which none needs to be");
    if (file.bad())
        return failure(start_of(path), std::string{"cannot read the configuration file: "} + std::strerror(errno));
    return load_text(text, path);
}

Loaded load_text(std::string_view text, const std::string& name) {
    try {
        const toml::table table = toml::parse(text, std::string_view{name});
        Node root = to_node(table, start_of(name));
        // Something missing at the top of the file is not missing at line 1.
        root.origin = start_of(name);
        Loaded loaded = read(root, {.folder = folder_of(name)});
        if (loaded.config) loaded.config->file = name;
        if (loaded.incomplete) loaded.incomplete->file = name;
        return loaded;
    } catch (const toml::parse_error&) {
        return slips(std::string(text), name);
    }
}

namespace {

Loaded failure(Origin origin, std::string message) {
    return {.config = {}, .errors = {{std::move(origin), std::move(message)}}, .warnings = {}};
}

/// The parser stops at the first thing that is no TOML. Without a line that is wrong by itself it
/// goes on to the next: nobody wants to be told of them one by one.
Loaded slips(std::string text, const std::string& name) {
    Loaded loaded;
    while (loaded.errors.size() < max_slips) {
        try {
            const toml::table rest = toml::parse(text, std::string_view{name});
            break;
        } catch (const toml::parse_error& error) {
            const toml::source_position place = error.source().begin;
            TomlSlip slip = explain_slip(text, name, static_cast<int>(place.line), static_cast<int>(place.column),
                                         error.description());
            loaded.errors.push_back(std::move(slip.diagnostic));
            if (!slip.is_of_one_line || !blank_out(text, place.line)) break;
        }
    }
    return loaded;
}

/// False: nothing was in that line.
bool blank_out(std::string& text, std::size_t line) {
    std::size_t begin = 0;
    for (; line > 1 && begin < text.size(); --line) begin = std::min(text.find('\n', begin), text.size() - 1) + 1;
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const bool has_something =
        std::any_of(text.begin() + static_cast<std::ptrdiff_t>(begin), text.begin() + static_cast<std::ptrdiff_t>(end),
                    [](char c) { return c != ' '; });
    std::fill(text.begin() + static_cast<std::ptrdiff_t>(begin), text.begin() + static_cast<std::ptrdiff_t>(end), ' ');
    return has_something;
}

/// The file as a whole: no line, no key.
Origin start_of(std::string file) { return {.file = std::move(file), .line = 0, .column = 0, .key = {}}; }

std::filesystem::path folder_of(const std::string& file) {
    std::error_code no_current_folder;  // then relative paths stay relative, and are reported as unreadable
    return std::filesystem::absolute(file, no_current_folder).parent_path();
}

/// `origin` names the file and the key; the position is the value's.
Node to_node(const toml::node& value, Origin origin) {
    Node node{.kind = Node::Kind::other, .origin = at(std::move(origin), value.source().begin)};
    node.key_origin = node.origin;
    if (const auto* const boolean = value.as_boolean()) {
        node.kind = Node::Kind::boolean;
        node.boolean = boolean->get();
    } else if (const auto* const integer = value.as_integer()) {
        node.kind = Node::Kind::integer;
        node.integer = integer->get();
    } else if (const auto* const number = value.as_floating_point()) {
        node.kind = Node::Kind::number;
        node.number = number->get();
    } else if (const auto* const string = value.as_string()) {
        node.kind = Node::Kind::string;
        node.text = string->get();
    } else if (const auto* const array = value.as_array()) {
        add_array(*array, node);
    } else if (const auto* const table = value.as_table()) {
        add_table(*table, node);
    } else {
        node.text = in_words(value.type());
    }
    return node;
}

void add_table(const toml::table& table, Node& node) {
    node.kind = Node::Kind::table;
    for (const auto& [key, value] : table) {
        Origin origin = node.origin;
        const std::string_view name = key.str();
        origin.key += (origin.key.empty() ? "" : ".") + std::string{may_hold_secret(name) ? "..." : name};
        Node child = to_node(value, origin);
        child.name = key.str();
        child.key_origin = at(std::move(origin), key.source().begin);
        node.children.push_back(std::move(child));
    }
    // toml++ sorts by name; the order of the file is the operator's.
    std::sort(node.children.begin(), node.children.end(), [](const Node& a, const Node& b) {
        return std::tie(a.key_origin.line, a.key_origin.column) < std::tie(b.key_origin.line, b.key_origin.column);
    });
}

void add_array(const toml::array& array, Node& node) {
    node.kind = Node::Kind::array;
    for (const toml::node& value : array) node.children.push_back(to_node(value, node.origin));
}

Origin at(Origin origin, const toml::source_position& position) {
    origin.line = static_cast<int>(position.line);
    origin.column = static_cast<int>(position.column);
    return origin;
}

std::string_view in_words(toml::node_type type) noexcept {
    switch (type) {
        case toml::node_type::date: return "a date";
        case toml::node_type::time: return "a time";
        default: return "a date and time";
    }
}

}  // namespace
}  // namespace config
