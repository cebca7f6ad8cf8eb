// SQL as tokens: PostgreSQL's lexical rules (docs, "Lexical Structure"), for a server that has
// standard_conforming_strings=on. What it cannot be sure of, it says.
#pragma once

#include <string>
#include <string_view>

namespace bench::replay {

enum class Kind { word, name, literal, comment, number, other };

struct Token {
    Kind kind = Kind::other;
    std::string_view text;    ///< of what is quoted: what is between the quotes, as it stands there
    bool escapes = false;     ///< a literal in which backslashes count
    bool unreadable = false;  ///< a server may see something else here

    bool is(std::string_view sign) const { return kind == Kind::other && text == sign; }
};

/// ASCII only.
std::string lower(std::string_view text);

class Lexer {
   public:
    explicit Lexer(std::string_view text) : rest_(text) {}

    /// Space is not a token; false at the end.
    bool next(Token& token);

   private:
    std::string_view take(std::size_t size);
    std::size_t comment_end() const;
    void quoted(char quote, Token& token);
    bool dollar_quoted(Token& token);
    void word(Token& token);
    void number(Token& token);

    std::string_view rest_;
    bool escapes_ = false;        // an E stands before the next quote
    bool unicode_ = false;        // a U& does
    bool after_escapes_ = false;  // the last token was an E'...', which a further '...' continues
};

}  // namespace bench::replay
