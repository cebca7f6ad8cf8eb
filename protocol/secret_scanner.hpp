// Finds the beginning of a secret in text of which nothing else is known, byte by byte: what
// follows is to be blanked. Verifiers as PostgreSQL stores them, passwords in connection strings
// and addresses, and in literals also what is behind a word that announces one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace protocol {

class SecretScanner {
   public:
    enum class Kind : std::uint8_t {
        literal,  // of SQL, or another text that a person wrote
        value,    // of a column or a parameter: less is taken for a secret
        rows,     // of COPY: the same, and a tab or a newline begins another value
    };
    void begin(Kind kind) noexcept;
    /// `c` belongs to a secret.
    bool hides(std::uint8_t c) noexcept;
    /// The text so far has PASSWORD as a word of its own, as what is made into a statement or a
    /// connection string has.
    bool names_password() const noexcept { return names_password_ || word() == "password"; }

   private:
    enum class Address : std::uint8_t { none, colon, slash, authority };
    /// Of a password's key, such as PASSWORD 'x', password = x, "password": "x".
    enum class Key : std::uint8_t { none, ended, blank_behind };

    bool take_word(std::uint8_t c) noexcept;
    bool begins_secret_of_key(std::uint8_t c, std::string_view word) noexcept;
    std::string_view word() const noexcept { return {word_.data(), word_size_}; }
    void take_mark(std::uint8_t c) noexcept;
    void take_address(std::uint8_t c, std::string_view scheme) noexcept;

    Kind kind_ = Kind::literal;
    bool hidden_ = false;     // the rest
    bool announced_ = false;  // by a word
    bool names_password_ = false;
    Key key_ = Key::none;
    bool hex_ = true;  // the word is md5 and hexadecimal digits so far
    Address address_ = Address::none;
    std::uint8_t word_size_ = 0;
    std::array<char, 64> word_{};
};

}  // namespace protocol
