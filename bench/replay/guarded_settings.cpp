#include "bench/replay/guarded_settings.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "bench/replay/sql_lexer.hpp"

namespace bench::replay {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// As PostgreSQL compares names of settings; in `options`, '-' stands for '_'.
std::string plain_name(std::string_view name) {
    std::string out;
    for (const char c : name) {
        if (is_space(c)) continue;
        out += c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return out;
}

/// pg_split_opts(): a backslash keeps the space behind it.
std::vector<std::string> split_options(std::string_view options) {
    std::vector<std::string> out;
    bool in_word = false;
    for (std::size_t i = 0; i < options.size(); ++i) {
        if (is_space(options[i])) {
            in_word = false;
            continue;
        }
        if (!std::exchange(in_word, true)) out.emplace_back();
        if (options[i] == '\\' && ++i == options.size()) break;
        out.back() += options[i];
    }
    return out;
}

std::string escaped(std::string_view word) {
    std::string out;
    for (const char c : word) {
        if (c == '\\' || is_space(c)) out += '\\';
        out += c;
    }
    return out;
}

constexpr std::string_view pg_catalog = "pg_catalog";

/// As SplitIdentifierString() reads it: quoted as it stands there, otherwise in any case.
bool begins_with_pg_catalog(std::string_view search_path) {
    const auto skip_space = [&] {
        while (!search_path.empty() && is_space(search_path.front())) search_path.remove_prefix(1);
    };
    skip_space();
    const bool quoted = search_path.starts_with('"');
    if (quoted) search_path.remove_prefix(1);
    const std::string_view name = search_path.substr(0, pg_catalog.size());
    if (quoted ? name != pg_catalog : lower(name) != pg_catalog) return false;
    search_path.remove_prefix(name.size());
    if (quoted && !search_path.starts_with('"')) return false;
    if (quoted) search_path.remove_prefix(1);
    skip_space();
    return search_path.empty() || search_path.front() == ',';
}

bool may_be_sent(std::string_view name, std::string_view value) {
    return !is_guarded(name) && (plain_name(name) != "search_path" || !hides_pg_catalog(value));
}

std::string without_guarded(std::string_view options, bool& removed) {
    const auto words = split_options(options);
    std::string out;
    for (std::size_t i = 0; i < words.size(); ++i) {
        std::string_view setting = words[i];
        const bool two = setting == "-c" && i + 1 < words.size();
        if (two) {
            setting = words[++i];
        } else if (setting.starts_with("-c") || setting.starts_with("--")) {
            setting.remove_prefix(2);
        } else {
            setting = {};
        }
        const std::size_t equals = setting.find('=');
        if (equals == 0 || equals == setting.npos ||
            !may_be_sent(setting.substr(0, equals), setting.substr(equals + 1))) {
            removed = true;
            continue;
        }
        out += (out.empty() ? "" : " ") + (two ? "-c " + escaped(setting) : escaped(words[i]));
    }
    return out;
}

}  // namespace

bool is_guarded(std::string_view name) {
    constexpr auto guarded = std::to_array<std::string_view>(
        {"default_transaction_read_only", "transaction_read_only", "session_authorization", "role",
         "standard_conforming_strings", "session_preload_libraries", "local_preload_libraries", "dynamic_library_path",
         "zero_damaged_pages"});
    return std::find(guarded.begin(), guarded.end(), plain_name(name)) != guarded.end();
}

/// Loosely for what it may name, exactly for what may stand first: "PG_CATALOG" is another schema.
bool hides_pg_catalog(std::string_view search_path) {
    return plain_name(search_path).find(pg_catalog) != std::string::npos && !begins_with_pg_catalog(search_path);
}

bool remove_guarded(protocol::StartupMessage& startup) {
    bool removed = std::erase_if(startup.parameters, [](const auto& parameter) {
                       return !may_be_sent(parameter.first, parameter.second);
                   }) > 0;
    for (auto& [name, value] : startup.parameters) {
        if (name == "options") value = without_guarded(value, removed);
    }
    return removed;
}

}  // namespace bench::replay
