// Which words announce a secret: in SQL, connection strings, parameters.
#pragma once

#include <cstdint>
#include <string_view>

namespace protocol {

/// Of them only the first bytes are looked at, by whoever collects a word.
inline constexpr std::size_t max_secret_word = 63;

/// PASSWORD, CONNECTION, OPTIONS, dblink, crypt, session_token ...; `word` is in lower case.
bool announces_secret(std::string_view word) noexcept;
/// What stands for a password in a connection string or as a parameter's name.
bool is_password_key(std::string_view word) noexcept;

/// ASCII only.
constexpr char to_lower(std::uint8_t c) noexcept { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); }

}  // namespace protocol
