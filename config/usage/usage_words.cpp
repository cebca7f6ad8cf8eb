#include "config/usage/usage_words.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "config/secret.hpp"
#include "config/spelling.hpp"

namespace usage {
namespace {

/// What stands before and behind `word`.
std::optional<std::pair<std::string_view, std::string_view>> split_at(std::string_view text, std::string_view word) {
    const std::size_t at = text.find(word);
    if (at == std::string_view::npos) return std::nullopt;
    return std::pair{text.substr(0, at), text.substr(at + word.size())};
}

/// "a,b,c" -> a, b, c.
std::vector<std::string_view> split_list(std::string_view text) {
    std::vector<std::string_view> words;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        words.push_back(text.substr(0, comma));
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    }
    return words;
}

/// Without short names, which stand before the long ones.
std::string long_names(std::string_view list) {
    std::string text;
    for (const std::string_view name : split_list(list)) {
        if (name.starts_with('-') && !name.starts_with("--")) continue;
        text += (text.empty() ? "" : ", ") + std::string(name);
    }
    return text;
}

/// "--format: tble not in {table,json}"
std::optional<std::string> not_among(std::string_view text) {
    const auto parts = split_at(text, " not in {");
    if (!parts || !parts->second.ends_with('}')) return std::nullopt;
    const auto option = split_at(parts->first, ": ");
    if (!option) return std::nullopt;
    const std::string_view list = parts->second.substr(0, parts->second.size() - 1);
    return std::string(option->first) + ": " + config::not_one_of(option->second, split_list(list));
}

/// "--clients: Value x not in range 1 to 100", or "[1 - 100]" by newer versions.
std::optional<std::string> not_in_range(std::string_view text) {
    const auto option = split_at(text, ": Value ");
    const auto value = option ? split_at(option->second, " not in range ") : std::nullopt;
    if (!value) return std::nullopt;
    std::string_view range = value->second;
    const bool has_brackets = range.starts_with('[') && range.ends_with(']');
    if (has_brackets) range = range.substr(1, range.size() - 2);
    const auto ends = split_at(range, has_brackets ? " - " : " to ");
    if (!ends) return std::nullopt;
    return std::string(option->first) + ": " + config::in_quotes(value->first) + " is not a number from " +
           std::string(ends->first) + " to " + std::string(ends->second);
}

/// "Exactly 1 option from [-c,--config,--url] is required and 2 were given"
std::optional<std::string> wrong_number(std::string_view text) {
    const auto parts = split_at(text, "option from [");
    if (!parts) return std::nullopt;
    const auto list = split_at(parts->second, "]");
    if (!list) return std::nullopt;
    const bool is_none = list->second.find("were given") == std::string_view::npos;
    return is_none ? "one of " + long_names(list->first) + " is needed"
                   : "only one of " + long_names(list->first) + " can be given";
}

}  // namespace

std::string in_our_words(const std::string& parser_says) {
    if (const auto parts = split_at(parser_says, " excludes "))
        return std::string(parts->first) + " and " + std::string(parts->second) + " cannot be given together";
    if (const auto parts = split_at(parser_says, " requires "))
        return std::string(parts->first) + " needs " + std::string(parts->second) + " as well";
    if (auto text = not_among(parser_says)) return *text;
    if (auto text = not_in_range(parser_says)) return *text;
    if (auto text = wrong_number(parser_says)) return *text;
    if (const auto parts = split_at(parser_says, ": 1 required ")) return std::string(parts->first) + " needs a value";
    if (const auto parts = split_at(parser_says, "Could not convert: ")) {
        if (const auto value = split_at(parts->second, " = "))
            return std::string(value->first) + ": " + config::in_quotes(value->second) + " is not a whole number";
    }
    // An argument too many, or whatever the parser found wrong, in its words and with the value.
    if (config::may_hold_secret(parser_says)) return "an argument is not expected here, or is not what is";
    return parser_says;
}

std::string first_sentence(const std::string& text) {
    std::string sentence = text.substr(0, std::min(text.find(". "), text.find('\n')));
    if (sentence.ends_with('.')) sentence.pop_back();
    return sentence;
}

}  // namespace usage
