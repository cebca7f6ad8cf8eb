#include "protocol/secret_words.hpp"

namespace protocol {
namespace {

bool begins_with_any(std::string_view text, std::initializer_list<std::string_view> parts) {
    for (const std::string_view part : parts) {
        if (text.starts_with(part)) return true;
    }
    return false;
}

bool is_password_part(std::string_view text) {
    switch (text[0]) {
        case 'a': return begins_with_any(text, {"access_key", "api_key", "apikey"});
        case 'c': return text.starts_with("credential");
        case 'p': return begins_with_any(text, {"passw", "passphrase", "private_key"});
        case 's': return text.starts_with("secret");
        case 't': return text.starts_with("token");
        default: return false;
    }
}

// Of functions and settings.
bool is_announcing_part(std::string_view text) {
    switch (text[0]) {
        case 'c': return begins_with_any(text, {"conninfo", "crypt"});
        case 'd': return text.starts_with("dblink");
        case 'p': return begins_with_any(text, {"pgp_key", "pgp_pub", "pgp_sym"});
        case 's': return text.starts_with("scram");
        default: return false;
    }
}

template <class IsPart>
bool has_any(std::string_view word, IsPart is_part) {
    constexpr std::size_t shortest = 5;
    for (; word.size() >= shortest; word.remove_prefix(1)) {
        if (is_part(word)) return true;
    }
    return false;
}

}  // namespace

bool is_password_key(std::string_view word) noexcept { return word == "pwd" || has_any(word, is_password_part); }

bool announces_secret(std::string_view word) noexcept {
    // Longer words are not looked at whole.
    if (word.size() >= max_secret_word || is_password_key(word)) return true;
    // "options" and "mapping": of foreign servers and their users.
    if (word == "connection" || word == "options" || word == "mapping" || word == "hmac") return true;
    return has_any(word, is_announcing_part);
}

}  // namespace protocol
