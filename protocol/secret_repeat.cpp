#include "protocol/secret_repeat.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "protocol/base64.hpp"
#include "protocol/known_text.hpp"

namespace protocol {
namespace {

/// A token may be cut, or quoted in part.
constexpr std::size_t secret_piece = 8;
/// Shorter ones are in other words too often: they are looked for as they are, and in another case.
constexpr std::size_t shortest_secret = 4;
/// Of base64, for eight bytes wherever they begin; of hex.
constexpr std::size_t base64_piece = 10, hex_piece = 2 * secret_piece;

constexpr char uncased(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }
/// In lower case. A byte of no ASCII character belongs to a word.
constexpr bool is_of_a_word(char c) {
    return is_ascii_digit(c) || (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80;
}
constexpr int hex_value(char c) {
    if (is_ascii_digit(c)) return c - '0';
    return uncased(c) >= 'a' && uncased(c) <= 'f' ? uncased(c) - 'a' + 10 : -1;
}

std::string all_uncased(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), uncased);
    return out;
}

/// Without case and separators.
std::string folded(std::string_view text) {
    std::string out = all_uncased(text);
    std::erase_if(out, [](char c) { return !is_of_a_word(c); });
    return out;
}

std::string backwards(std::string_view text) { return {text.rbegin(), text.rend()}; }

std::string hex_of(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out += {digits[byte >> 4], digits[byte & 15]};
    }
    return out;
}

/// Of "0x53, \x75" as well.
std::string hex_digits_of(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool is_prefix = text[i] == '0' && i + 1 < text.size() && uncased(text[i + 1]) == 'x';
        if (!is_prefix && hex_value(text[i]) >= 0) out += uncased(text[i]);
    }
    return out;
}

std::string percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool is_code =
            text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0;
        out += is_code ? static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2])) : text[i];
        if (is_code) i += 2;
    }
    return out;
}

/// What `secret` alone decides of its base64, behind so many bytes of another text.
std::string base64_behind(std::size_t before, std::string_view secret) {
    const std::string all = base64_encode(as_bytes(std::string(before, 'x') + std::string(secret)));
    const std::size_t begin = (before * 8 + 5) / 6, end = (before + secret.size()) * 8 / 6;
    return folded(std::string_view(all).substr(begin, end - begin));
}

/// `size` characters in a row of `secret` are in `text`; all of them, if there are fewer.
bool shares(std::string_view text, std::string_view secret, std::size_t size) {
    size = std::min(size, secret.size());
    if (size == 0 || text.size() < size) return false;
    std::vector<std::string_view> pieces;
    for (std::size_t i = 0; i + size <= text.size(); ++i) pieces.push_back(text.substr(i, size));
    std::sort(pieces.begin(), pieces.end());
    for (std::size_t i = 0; i + size <= secret.size(); ++i) {
        if (std::binary_search(pieces.begin(), pieces.end(), secret.substr(i, size))) return true;
    }
    return false;
}

std::string_view behind_known_words(std::string_view text) {
    KnownText known(known_sentences());
    std::size_t size = 0;
    while (size < text.size() && known.goes_on(text[size])) ++size;
    return text.substr(size);
}

}  // namespace

bool repeats_secret(std::string_view text, std::string_view secret) {
    text = behind_known_words(text);
    if (shares(all_uncased(text), all_uncased(secret), secret_piece)) return true;
    if (secret.size() < shortest_secret) return false;
    const std::string words = folded(text);
    if (shares(hex_digits_of(text), hex_of(secret), hex_piece)) return true;
    for (const std::size_t before : {0U, 1U, 2U}) {
        const std::string encoded = base64_behind(before, secret);
        if (encoded.size() >= shortest_secret && shares(words, encoded, base64_piece)) return true;
    }
    const std::string plain = folded(secret);
    if (plain.size() < shortest_secret) return false;
    return shares(words, plain, secret_piece) || shares(words, backwards(plain), secret_piece) ||
           shares(folded(percent_decoded(text)), plain, secret_piece);
}

bool is_part_of_secret(std::string_view text, std::string_view secret) {
    return all_uncased(secret).find(all_uncased(text)) != std::string::npos;
}

}  // namespace protocol
