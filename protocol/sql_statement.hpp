// What the words of a statement say of the secrets in it: which of its bytes to hide. Sees each
// byte once, with what SqlLexer says of it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/client_encoding.hpp"
#include "protocol/known_text.hpp"
#include "protocol/secret_scanner.hpp"
#include "protocol/secret_words.hpp"
#include "protocol/sql_lexer.hpp"
#include "protocol/statement_names.hpp"

namespace protocol {

/// What is left of SQL.
enum class SqlContent : std::uint8_t {
    without_literals,  // nor numbers nor comments
    without_secrets,   // all else is there
};

/// What SQL says to the messages behind it.
struct SqlSession {
    EncodingTrust encoding;
    StatementNames names;
};

class SqlStatement {
   public:
    explicit SqlStatement(SqlContent content) noexcept : content_(content) {}

    /// The next byte.
    bool hides(SqlByte what, std::uint8_t c, SqlSession& session);
    /// More of the word, literal or comment that the last byte belonged to can come at once.
    bool takes_run() const noexcept {
        return token_ == Token::word || token_ == Token::literal || token_ == Token::comment;
    }
    /// Blanks in it, without any quote.
    void take_run(std::span<std::uint8_t> bytes) noexcept;
    /// Nor what follows.
    void cannot_be_read(SqlSession& session) noexcept;
    /// The text has ended.
    void end(SqlSession& session);
    /// Both readings are in the same place of the same statement, but for what one can learn.
    bool agrees_with(const SqlStatement& other) const noexcept;
    /// What another reading of the same text knows.
    void learn_from(const SqlStatement& other) noexcept;
    /// Any of its statements has a word that announces a secret.
    bool may_hold_secrets() const noexcept { return any_secret_; }

   private:
    enum class Token : std::uint8_t { none, word, name, literal, comment };
    enum class Head : std::uint8_t { none, create, alter, set, prepare, other };
    enum class Hide : std::uint8_t { nothing, next_word, word, rest };

    static Token token_of(SqlByte what, Token open) noexcept;
    bool hides_as_word(SqlByte what, std::uint8_t c) noexcept;
    bool hides_text(SqlByte what, std::uint8_t c) noexcept;
    bool hides_all_text() const noexcept;
    void end_token(SqlSession& session);
    void end_word(std::string_view word, SqlSession& session);
    static bool is_key_of_secret(std::string_view literal) noexcept;
    void name_encoding(std::string_view text, SqlSession& session);
    bool hides_in_setting(std::uint8_t c) noexcept;
    bool is_setting_value(SqlByte what) const noexcept;
    void be_puzzled(SqlSession& session);
    void take_name(std::string_view word) noexcept;
    void end_statement(SqlSession& session);
    void announce() noexcept { secret_ = any_secret_ = true; }

    SqlContent content_;
    bool any_secret_ = false;

    // Of the statement.
    bool secret_ = false;
    Head head_ = Head::none;
    bool second_ = false;     // the second word has come
    bool role_ = false;       // CREATE or ALTER ROLE, USER, GROUP
    bool setting_ = false;    // SET, also in ALTER
    bool function_ = false;   // CREATE FUNCTION or PROCEDURE
    bool assigns_ = false;    // SET, also in CREATE FUNCTION
    bool value_ = false;      // behind its = or TO
    bool free_ = false;       // that may be any text
    bool encoding_ = false;   // the next token is a client_encoding
    bool valid_ = false;      // the last word
    bool until_ = false;      // the last two are VALID UNTIL
    bool execute_ = false;    // the last word
    bool in_name_ = false;    // the last word was a name of PREPARE or EXECUTE, and may go on
    bool odd_name_ = false;   // such a name was none of those that can be told here
    std::uint64_t name_ = 0;  // of PREPARE or EXECUTE
    Hide hide_ = Hide::nothing;

    // Of the token: its beginning, in lower case.
    Token token_ = Token::none;
    std::uint8_t size_ = 0;
    bool backslash_ = false;
    std::array<char, max_secret_word> text_{};
    SecretScanner scanner_;
    KnownText setting_word_{known_setting_words()};
};

}  // namespace protocol
