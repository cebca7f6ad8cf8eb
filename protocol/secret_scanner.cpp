#include "protocol/secret_scanner.hpp"

#include "protocol/secret_words.hpp"

namespace protocol {
namespace {

// '-' is in SCRAM-SHA-256.
constexpr bool is_word(std::uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}
constexpr bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
constexpr bool is_one_of(std::string_view set, std::uint8_t c) { return set.find(static_cast<char>(c)) != set.npos; }

}  // namespace

void SecretScanner::begin(Kind kind) noexcept {
    kind_ = kind;
    hidden_ = announced_ = names_password_ = false;
    key_ = Key::none;
    hex_ = true;
    address_ = Address::none;
    word_size_ = 0;
}

bool SecretScanner::hides(std::uint8_t c) noexcept {
    const bool next_value = kind_ == Kind::rows && (c == '\t' || c == '\n');
    if (next_value) begin(Kind::rows);
    if (hidden_) return true;
    if (is_word(c)) return take_word(c);
    take_mark(c);
    return false;
}

bool SecretScanner::take_word(std::uint8_t c) noexcept {
    const char lower = to_lower(c);
    const std::size_t at = word_size_;
    if (at < word_.size()) word_[word_size_++] = lower;
    if (address_ != Address::authority) address_ = Address::none;
    if (at < 3) {
        hex_ = hex_ && lower == std::string_view("md5")[at];
        return false;
    }
    hex_ = hex_ && is_hex(lower);
    return hex_;
}

void SecretScanner::take_mark(std::uint8_t c) noexcept {
    const std::string_view word = this->word();
    names_password_ = names_password();
    if (word.ends_with("scram-sha-256") && c == '$') hidden_ = true;
    if (kind_ != Kind::literal) {
        if (begins_secret_of_key(c, word)) hidden_ = true;
    } else {
        announced_ = announced_ || (!word.empty() && announces_secret(word));
        if (announced_ && is_one_of("'\"=:$,(", c)) hidden_ = true;
    }
    take_address(c, word);
    word_size_ = 0;
    hex_ = true;
}

bool SecretScanner::begins_secret_of_key(std::uint8_t c, std::string_view word) noexcept {
    // E'...' and U&'...' are a password as '...' is.
    const bool prefix = key_ == Key::blank_behind && (word == "e" || word == "u") && is_one_of("'&", c);
    if (!word.empty() && !prefix) key_ = is_password_key(word) ? Key::ended : Key::none;
    if (key_ == Key::none) return false;
    if (is_one_of("=:", c)) return true;
    if (key_ == Key::blank_behind && is_one_of("'$", c)) return true;
    if (is_one_of(" \t\r\n", c))
        key_ = Key::blank_behind;
    else if (!prefix && !is_one_of("\"'\\", c))
        key_ = Key::none;
    return false;
}

/// What stands behind the user's name in scheme://user:password@host.
void SecretScanner::take_address(std::uint8_t c, std::string_view scheme) noexcept {
    if (address_ == Address::authority) {
        if (c == ':')
            hidden_ = true;
        else if (is_one_of("/?# \t\n\r'\",[", c))
            address_ = Address::none;
    } else if (address_ == Address::slash) {
        address_ = c == '/' ? Address::authority : Address::none;
    } else if (address_ == Address::colon) {
        address_ = c == '/' ? Address::slash : Address::none;
    } else {
        // In data many addresses have a port, and few a password.
        const bool may_begin = kind_ == Kind::literal ? !scheme.empty() : scheme.starts_with("postgres");
        address_ = c == ':' && may_begin ? Address::colon : Address::none;
    }
}

}  // namespace protocol
