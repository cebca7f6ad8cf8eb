#include "config/toml_finding.hpp"

namespace config {
namespace {

std::string example_of(const KnownKey* key) {
    if (key != nullptr && !key->default_value.empty() && key->default_value != R"("")") {
        return std::string(key->default_value);
    }
    return key != nullptr && key->name == "hosts" ? R"("db.example.com:5432")" : R"("...")";
}

std::string in_words_of(const KnownKey* key, std::string_view value) {
    using Shape = KnownKey::Shape;
    if (key != nullptr && key->shape == Shape::boolean && as_toml(value, Shape::boolean)) {
        return "true and false are written in lower case and without quotes";
    }
    if (key != nullptr && (key->shape == Shape::integer || key->shape == Shape::number)) {
        return "expected a number in digits alone";
    }
    return "strings need quotes";
}

std::optional<Finding> wrong_string(const TomlLine& line, std::string_view description, const KnownKey* key) {
    const auto parts = value_parts(line.value);
    if (parts.empty()) return std::nullopt;
    const auto said = [&](std::string what) {
        return Finding{.what = std::move(what), .fix = assignment(line, key, line.value), .at = parts.front()};
    };
    if (is_unclosed(parts.front())) return said("the closing quote is missing");
    if (description.find("escape") != std::string_view::npos) {
        return said(R"(within "..." a backslash begins an escape; within '...' it is a backslash)");
    }
    if (parts.size() < 2) return std::nullopt;
    Finding behind = said("nothing but a comment (#) stands behind a value");
    const bool is_list = key != nullptr && key->shape == KnownKey::Shape::list;
    if (is_list && (is_quoted(parts[1]) || (parts[1] == "," && parts.size() > 2))) {
        behind.what = "several values need brackets, and a comma between them";
    } else {
        behind.fix = assignment(line, key, parts.front());
    }
    behind.at = parts[1];
    return behind;
}

std::optional<Finding> wrong_list(const TomlLine& line, const KnownKey* key) {
    const auto parts = value_parts(line.value);
    std::string_view before;
    for (const std::string_view part : parts) {
        const bool is_symbol = part == "[" || part == "]" || part == "," || part == "{" || part == "}";
        const bool is_number = part.find_first_not_of("+-0123456789._") == std::string_view::npos;
        const auto said = [&](std::string what) {
            return Finding{.what = std::move(what), .fix = assignment(line, key, line.value), .at = part};
        };
        if (before == "]") return said("nothing but a comment (#) stands behind a value");
        if (!is_symbol && is_unclosed(part)) return said("the closing quote is missing");
        if (!is_symbol && !is_number && !is_quoted(part)) return said("strings need quotes");
        if (!is_symbol && !before.empty() && before != "[" && before != ",") {
            return said("a comma is missing between two values");
        }
        before = part;
    }
    if (open_brackets(line.value) <= 0) return std::nullopt;
    return Finding{
        .what = R"(the list's "]" is missing)", .fix = assignment(line, key, line.value), .at = parts.front()};
}

}  // namespace

std::string assignment(const TomlLine& line, const KnownKey* key, std::string_view value) {
    std::string fix = std::string(line.key) + " = ";
    if (!may_be_shown(key, value)) return fix + R"("...")";
    const std::string plain = with_plain_quotes(value).value_or(std::string(value));
    return fix + as_toml(plain, key->shape).value_or(example_of(key));
}

std::optional<Finding> wrong_value(const TomlLine& line, std::string_view description, const KnownKey* key) {
    const auto said = [&](std::string what) {
        return Finding{.what = std::move(what), .fix = assignment(line, key, line.value), .at = line.value};
    };
    if (line.value.empty()) {
        return Finding{.what = "the value is missing",
                       .fix = std::string(line.key) + " = " + example_of(key),
                       .at = line.separator};
    }
    if (line.separator != "=") {
        Finding finding = said("between a key and its value stands one \"=\"");
        finding.at = line.separator;
        return finding;
    }
    const auto plain = with_plain_quotes(line.value);
    if (plain && !is_quoted(line.value)) return said("these quotes are typographic, and TOML's are \" and '");
    if (is_quoted(line.value)) return wrong_string(line, description, key);
    if (line.value.starts_with('[') && as_toml(line.value, KnownKey::Shape::list).value_or("").starts_with('[')) {
        return wrong_list(line, key);
    }
    if (line.value.starts_with('{')) return std::nullopt;
    return said(in_words_of(key, line.value));
}

}  // namespace config
