// What each byte of SQL belongs to, by PostgreSQL's lexical rules (PostgreSQL docs, "Lexical
// Structure", and its src/backend/parser/scan.l). Says it of a byte when it comes, before the next
// one is known, so that the pieces that a text arrives in make no difference. Where the server
// would refuse a text, what could be a literal is called one.
//
// One lexer has one reading. Backslashes in '...' have two, by standard_conforming_strings: see
// SqlBlanker, which asks both.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace protocol {

enum class SqlByte : std::uint8_t {
    space,      // also what ends a comment's line
    word,       // keywords and names without quotes; also the tag of a dollar quote
    name,       // inside of "..."
    mark,       // operators, brackets, the quotes of a name, the signs that open and end a comment
    parameter,  // the number of $1
    quote,      // of a literal, also doubled ones inside of it
    number,
    literal,  // also the second delimiter of a dollar quote: before its last byte it may be text
    comment,
    unknown,  // bytes that SQL has outside of quotes in no place
};

class SqlLexer {
   public:
    SqlByte take(std::uint8_t c) noexcept;

    /// In '...' without a letter in front, where what a backslash means depends on a setting.
    bool in_plain_literal() const noexcept { return state_ == State::literal; }
    /// Takes bytes that surely belong to the same word, literal or comment as the last one, and
    /// says how many.
    std::size_t take_run(std::span<const std::uint8_t> text) noexcept;
    /// From here on a backslash in '...' takes the next byte with it.
    void read_backslashes() noexcept { backslashes_ = true; }
    /// Both will say the same of all that is to come, except for backslashes.
    bool agrees_with(const SqlLexer& other) const noexcept;

   private:
    enum class State : std::uint8_t {
        code,
        word,
        number,
        exponent,  // behind the e of a number
        exponent_sign,
        parameter,
        dollar,  // behind a $
        tag,     // of a dollar quote, or a name behind a $
        dollar_body,
        literal,
        literal_escape,
        literal_quote,  // its end, or the first of two
        escaped,        // E'...'
        escaped_escape,
        escaped_quote,
        name,
        name_quote,
        line_comment,
        block_comment,
        unknown,  // up to the end
    };
    /// A literal goes on behind white space with a newline, with the rules that it began with.
    enum class Gap : std::uint8_t { none, same_line, newline };
    // More may be a tag, but nobody writes one: what it quotes does not end.
    static constexpr std::size_t max_tag = 63;

    SqlByte take_code(std::uint8_t c) noexcept;
    SqlByte take_word(std::uint8_t c) noexcept;
    SqlByte take_number(std::uint8_t c) noexcept;
    SqlByte take_exponent_sign(std::uint8_t c) noexcept;
    SqlByte take_dollar(std::uint8_t c) noexcept;
    SqlByte take_tag(std::uint8_t c) noexcept;
    SqlByte take_dollar_body(std::uint8_t c) noexcept;
    SqlByte take_block_comment(std::uint8_t c) noexcept;
    SqlByte leave(State next, SqlByte what) noexcept {
        state_ = next;
        return what;
    }
    void close_gap(std::uint8_t c, std::uint8_t previous) noexcept;

    State state_ = State::code;
    Gap gap_ = Gap::none;
    bool backslashes_ = false;
    bool single_e_ = false;        // the word is e so far
    bool letters_ = false;         // in the number
    std::uint8_t previous_ = 0;    // the byte before, where it may be half of a sign
    std::uint32_t depth_ = 0;      // of comments
    bool matching_ = false;        // what comes may be the second delimiter
    std::uint8_t match_size_ = 0;  // so much of its tag was there
    std::uint8_t tag_size_ = 0;
    bool tag_too_long_ = false;
    std::array<std::uint8_t, max_tag> tag_{};
};

}  // namespace protocol
