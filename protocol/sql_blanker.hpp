// Blanks what SQL may not show, in place, by as many '*', in pieces of any size: what becomes of a
// byte depends on those before it only.
//
// Fails closed: where a text has two readings, what either calls a literal is blanked. They differ
// behind a backslash in '...', by standard_conforming_strings, and behind the first byte that is no
// ASCII where client_encoding is none of the safe ones: from there on all is blanked.
#pragma once

#include <optional>
#include <span>

#include "protocol/sql_lexer.hpp"
#include "protocol/sql_statement.hpp"

namespace protocol {

class SqlBlanker {
   public:
    /// `session` outlives it.
    SqlBlanker(SqlContent content, SqlSession& session) noexcept
        : content_(content), session_(session), main_(content) {}

    /// A text begins: of one message, with any number of statements.
    void begin();
    void blank(std::span<std::uint8_t> text);
    void end();
    /// Of the text so far: a word announced a secret, or it could not be read.
    bool may_hold_secrets() const noexcept;
    /// From some byte on.
    bool is_unreadable() const noexcept { return unreadable_; }

   private:
    struct Reading {
        explicit Reading(SqlContent content) noexcept : statement(content) {}
        bool hides(std::uint8_t c, SqlSession& session) { return statement.hides(lexer.take(c), c, session); }

        SqlLexer lexer;
        SqlStatement statement;
    };

    bool hides(std::uint8_t c);
    std::size_t blank_run(std::span<std::uint8_t> text);

    SqlContent content_;
    SqlSession& session_;
    Reading main_;
    std::optional<Reading> with_backslashes_;  // where it may differ
    bool ascii_only_ = false;
    bool unreadable_ = false;  // from here on
};

}  // namespace protocol
