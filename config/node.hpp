// What was written, before it means anything: a tree of values that remember where they stand.
// load.cpp makes it from TOML, flags.cpp from the command line, read.cpp turns it into a Config.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.hpp"

namespace config {

struct Node {
    enum class Kind { boolean, integer, number, string, array, table, other };

    Kind kind = Kind::table;
    Origin origin{};      ///< of the value
    Origin key_origin{};  ///< of the key in front of it; like `origin` for elements of an array
    std::string name{};   ///< that key; empty for elements of an array
    bool boolean = false;
    std::int64_t integer = 0;
    double number = 0;
    std::string text{};            ///< of a string; for Kind::other the type in words
    std::vector<Node> children{};  ///< of an array or a table, in file order

    const Node* find(std::string_view key) const noexcept {
        const auto found =
            std::find_if(children.begin(), children.end(), [&](const Node& child) { return child.name == key; });
        return found == children.end() ? nullptr : &*found;
    }

    /// Present, and neither "" nor [], which mean "not given" throughout.
    bool gives(std::string_view key) const noexcept {
        const Node* const child = find(key);
        if (child == nullptr) return false;
        if (child->kind == Kind::string) return !child->text.empty();
        return child->kind != Kind::array || !child->children.empty();
    }

    /// Where to point for `key`: at its value, or at the table it is missing from.
    Origin where(std::string_view key) const {
        if (const Node* const child = find(key)) return child->origin;
        Origin missing = origin;
        // A flag has no table: its own name says enough.
        if (origin.file != "command line") missing.key += (missing.key.empty() ? "" : ".") + std::string{key};
        return missing;
    }
};

/// What accompanies a reading: the anchor of relative paths, and everything found wrong so far.
struct Reading {
    std::filesystem::path folder;
    std::vector<Diagnostic> errors{};
    std::vector<Diagnostic> warnings{};

    void error(Origin origin, std::string message) { errors.push_back({std::move(origin), std::move(message)}); }
    void error_that_may_pass(Origin origin, std::string message) {
        errors.push_back({.origin = std::move(origin), .message = std::move(message), .may_pass = true});
    }
    void warn(Origin origin, std::string message) { warnings.push_back({std::move(origin), std::move(message)}); }
};

}  // namespace config
