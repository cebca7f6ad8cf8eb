#include "protocol/sql_lexer.hpp"

#include <algorithm>

namespace protocol {
namespace {

enum class Class : std::uint8_t { other, space, digit, letter, printable };

constexpr std::array<Class, 256> classes = [] {
    std::array<Class, 256> of{};
    for (std::size_t c = 0; c < of.size(); ++c) {
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
        if (is_letter)
            of[c] = Class::letter;
        else if (c >= '0' && c <= '9')
            of[c] = Class::digit;
        else if (c == ' ' || (c >= '\t' && c <= '\r'))
            of[c] = Class::space;
        else if (c > ' ' && c < 0x7f)
            of[c] = Class::printable;
    }
    return of;
}();

constexpr bool is_newline(std::uint8_t c) { return c == '\n' || c == '\r'; }
constexpr bool goes_on_in_word(std::uint8_t c) {
    return classes[c] == Class::letter || classes[c] == Class::digit || c == '$';
}
constexpr bool is_e(std::uint8_t c) { return c == 'e' || c == 'E'; }

}  // namespace

SqlByte SqlLexer::take(std::uint8_t c) noexcept {
    switch (state_) {
        case State::code: return take_code(c);
        case State::word: return take_word(c);
        case State::number: return take_number(c);
        case State::exponent:
            if (c == '+' || c == '-') {
                previous_ = c;
                return leave(State::exponent_sign, SqlByte::number);
            }
            return take_number(c);
        case State::exponent_sign: return take_exponent_sign(c);
        case State::parameter:
            if (classes[c] == Class::digit) return SqlByte::parameter;
            return take_code(c);
        case State::dollar: return take_dollar(c);
        case State::tag: return take_tag(c);
        case State::dollar_body: return take_dollar_body(c);
        case State::literal:
            if (c == '\'') return leave(State::literal_quote, SqlByte::quote);
            if (c == '\\' && backslashes_) state_ = State::literal_escape;
            return SqlByte::literal;
        case State::literal_escape: return leave(State::literal, SqlByte::literal);
        case State::literal_quote:
            if (c == '\'') return leave(State::literal, SqlByte::quote);
            return take_code(c);
        case State::escaped:
            if (c == '\'') return leave(State::escaped_quote, SqlByte::quote);
            if (c == '\\') state_ = State::escaped_escape;
            return SqlByte::literal;
        case State::escaped_escape: return leave(State::escaped, SqlByte::literal);
        case State::escaped_quote:
            if (c == '\'') return leave(State::escaped, SqlByte::quote);
            gap_ = Gap::same_line;
            return take_code(c);
        case State::name:
            if (c == '"') return leave(State::name_quote, SqlByte::mark);
            return SqlByte::name;
        case State::name_quote:
            if (c == '"') return leave(State::name, SqlByte::mark);
            return take_code(c);
        case State::line_comment:
            if (!is_newline(c)) return SqlByte::comment;
            return take_code(c);
        case State::block_comment: return take_block_comment(c);
        case State::unknown: break;
    }
    return SqlByte::unknown;
}

std::size_t SqlLexer::take_run(std::span<const std::uint8_t> text) noexcept {
    const auto up_to = [&](auto is_end) {
        return static_cast<std::size_t>(std::find_if(text.begin(), text.end(), is_end) - text.begin());
    };
    switch (state_) {
        case State::word: {
            const std::size_t size = up_to([](std::uint8_t c) { return !goes_on_in_word(c); });
            single_e_ = single_e_ && size == 0;
            return size;
        }
        case State::literal:
        case State::escaped: return up_to([](std::uint8_t c) { return c == '\'' || c == '\\'; });
        case State::dollar_body: return matching_ ? 0 : up_to([](std::uint8_t c) { return c == '$'; });
        case State::line_comment: return up_to(is_newline);
        case State::block_comment:
            if (previous_ == '*' || previous_ == '/') return 0;
            return up_to([](std::uint8_t c) { return c == '*' || c == '/'; });
        default: return 0;
    }
}

bool SqlLexer::agrees_with(const SqlLexer& other) const noexcept {
    // In '...' they will not agree for long, and comparing the rest would cost more than it gives.
    return state_ == State::code && other.state_ == State::code && gap_ == other.gap_ && previous_ == other.previous_;
}

/// Outside of everything: `c` begins something new.
SqlByte SqlLexer::take_code(std::uint8_t c) noexcept {
    const std::uint8_t previous = previous_;
    previous_ = 0;
    state_ = State::code;
    if (gap_ != Gap::none) close_gap(c, previous);
    switch (classes[c]) {
        case Class::space: return SqlByte::space;
        case Class::digit: letters_ = false; return leave(State::number, SqlByte::number);
        case Class::letter: single_e_ = is_e(c); return leave(State::word, SqlByte::word);
        case Class::other: return SqlByte::unknown;
        case Class::printable: break;
    }
    if (c == '\'') {
        const bool goes_on = gap_ == Gap::newline;
        gap_ = Gap::none;
        return leave(goes_on ? State::escaped : State::literal, SqlByte::quote);
    }
    if (c == '"') return leave(State::name, SqlByte::mark);
    if (c == '$') return leave(State::dollar, SqlByte::mark);
    if (c == '-' && previous == '-') return leave(State::line_comment, SqlByte::mark);
    if (c == '*' && previous == '/') {
        depth_ = 1;
        return leave(State::block_comment, SqlByte::mark);
    }
    previous_ = c;
    return SqlByte::mark;
}

/// White space and comments up to the line's end are the gap; all else ends it.
void SqlLexer::close_gap(std::uint8_t c, std::uint8_t previous) noexcept {
    if (previous == '-' && c != '-')
        gap_ = Gap::none;
    else if (is_newline(c))
        gap_ = Gap::newline;
    else if (classes[c] != Class::space && c != '-' && c != '\'')
        gap_ = Gap::none;
}

SqlByte SqlLexer::take_word(std::uint8_t c) noexcept {
    if (goes_on_in_word(c)) {
        single_e_ = false;
        return SqlByte::word;
    }
    if (c == '\'' && single_e_) return leave(State::escaped, SqlByte::quote);
    return take_code(c);
}

/// Letters directly behind digits are of the number: 0x1F, 1e5, and what the server refuses.
SqlByte SqlLexer::take_number(std::uint8_t c) noexcept {
    if (classes[c] == Class::letter) {
        letters_ = true;
        return leave(is_e(c) ? State::exponent : State::number, SqlByte::number);
    }
    if (classes[c] == Class::digit || c == '.') return leave(State::number, SqlByte::number);
    // In 1a$b$ older servers see a name, newer ones an error; in 0x1$b$ the newest a dollar quote.
    if (c == '$' && letters_) return leave(State::unknown, SqlByte::unknown);
    return take_code(c);
}

SqlByte SqlLexer::take_exponent_sign(std::uint8_t c) noexcept {
    if (classes[c] == Class::digit) return leave(State::number, SqlByte::number);
    return take_code(c);  // which knows the sign, for it may be half of "--"
}

SqlByte SqlLexer::take_dollar(std::uint8_t c) noexcept {
    tag_size_ = 0;
    tag_too_long_ = matching_ = false;
    if (classes[c] == Class::digit) return leave(State::parameter, SqlByte::parameter);
    if (c == '$') return leave(State::dollar_body, SqlByte::quote);
    if (classes[c] != Class::letter) return take_code(c);
    tag_[tag_size_++] = c;
    return leave(State::tag, SqlByte::word);
}

SqlByte SqlLexer::take_tag(std::uint8_t c) noexcept {
    if (c == '$') return leave(tag_too_long_ ? State::unknown : State::dollar_body, SqlByte::quote);
    if (classes[c] == Class::letter || classes[c] == Class::digit) {
        if (tag_size_ < max_tag)
            tag_[tag_size_++] = c;
        else
            tag_too_long_ = true;
        return SqlByte::word;
    }
    single_e_ = tag_size_ == 1 && is_e(tag_[0]);
    return take_word(c);
}

SqlByte SqlLexer::take_dollar_body(std::uint8_t c) noexcept {
    if (c == '$') {
        if (matching_ && match_size_ == tag_size_) return leave(State::code, SqlByte::literal);
        matching_ = true;
        match_size_ = 0;
    } else if (matching_) {
        matching_ = match_size_ < tag_size_ && tag_[match_size_] == c;
        ++match_size_;
    }
    return SqlByte::literal;
}

SqlByte SqlLexer::take_block_comment(std::uint8_t c) noexcept {
    const std::uint8_t previous = previous_;
    previous_ = 0;
    if (previous == '*' && c == '/') {
        if (--depth_ == 0) return leave(State::code, SqlByte::mark);
    } else if (previous == '/' && c == '*') {
        ++depth_;
    } else {
        previous_ = c;
    }
    return SqlByte::comment;
}

}  // namespace protocol
