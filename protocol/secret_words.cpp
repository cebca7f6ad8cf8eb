#include "protocol/secret_words.hpp"

#include <algorithm>

namespace protocol {
namespace {

bool has_any(std::string_view word, std::initializer_list<std::string_view> parts) {
    return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) { return word.find(part) != word.npos; });
}

}  // namespace

bool is_password_key(std::string_view word) noexcept {
    return word == "pwd" || has_any(word, {"passw", "passphrase", "secret", "token", "credential", "api_key", "apikey",
                                           "access_key", "private_key"});
}

bool announces_secret(std::string_view word) noexcept {
    // Longer words are not looked at whole.
    if (word.size() >= max_secret_word || is_password_key(word)) return true;
    // "options" and "mapping": of foreign servers and their users.
    if (word == "connection" || word == "options" || word == "mapping" || word == "hmac") return true;
    return has_any(word, {"conninfo", "dblink", "crypt", "pgp_sym", "pgp_pub", "pgp_key", "scram"});
}

}  // namespace protocol
