#include "protocol/utf8.hpp"

#include <algorithm>

namespace protocol {
namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";
constexpr std::string_view hex_digits = "0123456789abcdef";

bool is_hex_digit(char c) noexcept { return hex_digits.find(c) != std::string_view::npos; }

std::string escaped(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return {'\\', 'x', hex_digits[byte >> 4], hex_digits[byte & 15]};
}

bool begins_with_escape(std::string_view text) noexcept {
    return text.size() >= 4 && text[0] == '\\' && text[1] == 'x' && is_hex_digit(text[2]) && is_hex_digit(text[3]);
}

/// Of a character of at most three bytes, as all harmful ones are.
unsigned code_point(std::string_view character) noexcept {
    const auto at = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(character[i])); };
    if (character.size() == 1) return at(0);
    if (character.size() == 2) return (at(0) & 0x1f) << 6 | (at(1) & 0x3f);
    return (at(0) & 0x0f) << 12 | (at(1) & 0x3f) << 6 | (at(2) & 0x3f);
}

}  // namespace

std::size_t character_length(std::string_view text) noexcept {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = at(0);
    if (first < 0x80) return 1;
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((at(i) & 0xc0) != 0x80) return 0;
    }
    const unsigned char second = at(1);
    const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool surrogate_or_beyond = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
    return overlong || surrogate_or_beyond ? 0 : length;
}

std::string as_utf8(std::string_view text) { return as_utf8(text, std::string::npos); }

std::string as_utf8(std::string_view text, std::size_t limit) {
    std::string out;
    out.reserve(std::min(text.size(), limit));
    while (!text.empty()) {
        // Nearly every name is ASCII throughout.
        const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
        const auto ascii =
            static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_ascii) - text.begin());
        out += text.substr(0, std::min(ascii, limit - out.size()));
        text.remove_prefix(ascii);
        if (text.empty()) break;
        const std::size_t length = character_length(text);
        const std::string_view next = length > 0 ? text.substr(0, length) : replacement;
        if (out.size() + next.size() > limit) break;
        out += next;
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out;
}

std::string as_distinct_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const std::size_t length = character_length(text);
        if (length == 0 || text.front() == '\0' || begins_with_escape(text)) {
            out += escaped(text.front());
        } else {
            out += text.substr(0, length);
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out;
}

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const std::size_t length = character_length(text);
        const std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
        out += length == 0 || is_harmful(character) ? replacement : character;
        text.remove_prefix(character.size());
    }
    return out;
}

bool is_harmful(std::string_view character) noexcept {
    if (character.empty() || character.size() > 3) return false;
    const unsigned code = code_point(character);
    const bool control = code < 0x20 || (code >= 0x7f && code <= 0x9f);  // ASCII's, DEL, C1
    const bool mark = code == 0x61c || code == 0x200e || code == 0x200f;
    const bool direction = (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return control || mark || direction;
}

std::string printable_json(std::string json) {
    // Within JSON's strings, control characters of ASCII are escaped; between them are line feeds.
    const auto suspect = [](char c) { return static_cast<unsigned char>(c) >= 0x7f; };
    if (std::none_of(json.begin(), json.end(), suspect)) return json;
    std::string out;
    std::string_view rest = json;
    while (!rest.empty()) {
        const std::string_view character = rest.substr(0, std::max<std::size_t>(character_length(rest), 1));
        if (suspect(character.front()) && is_harmful(character)) {
            const unsigned code = code_point(character);
            out += "\\u";
            for (const int shift : {12, 8, 4, 0}) out += hex_digits[code >> shift & 15];
        } else {
            out += character;
        }
        rest.remove_prefix(character.size());
    }
    return out;
}

}  // namespace protocol
