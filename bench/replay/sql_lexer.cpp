#include "bench/replay/sql_lexer.hpp"

#include <algorithm>
#include <utility>

namespace bench::replay {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_high(char c) { return (c & 0x80) != 0; }
bool is_letter(char c) { return (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' || is_high(c); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool in_word(char c) { return is_letter(c) || is_digit(c) || c == '$'; }
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// In encodings such as SJIS the second byte of a letter may look like one of these.
bool may_be_half_a_letter(char c) { return std::string_view("@[\\]^`{|}~").find(c) != std::string_view::npos; }

}  // namespace

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) { return lower(c); });
    return out;
}

bool Lexer::next(Token& token) {
    token = {};
    while (!rest_.empty() && is_space(rest_.front())) take(1);
    if (rest_.empty()) return false;
    const char c = rest_.front();
    const bool after_escapes = after_escapes_;
    if (rest_.starts_with("--")) {
        token = {.kind = Kind::comment, .text = take(rest_.find_first_of("\n\r"))};
        return true;
    }
    if (rest_.starts_with("/*")) {
        token = {.kind = Kind::comment, .text = take(comment_end())};
        token.unreadable = !token.text.ends_with("*/");
        return true;
    }
    after_escapes_ = false;
    if (c == '\'' || c == '"') {
        quoted(c, token);
        token.unreadable = token.unreadable || (after_escapes && c == '\'');
    } else if (c == '$' && dollar_quoted(token)) {
    } else if (is_letter(c)) {
        word(token);
    } else if (is_digit(c) || (c == '.' && rest_.size() > 1 && is_digit(rest_[1]))) {
        number(token);
    } else {
        // Outside of quotes a backslash is no SQL.
        token = {.kind = Kind::other, .text = take(1), .unreadable = c == '\\'};
    }
    return true;
}

std::string_view Lexer::take(std::size_t size) {
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
}

std::size_t Lexer::comment_end() const {
    unsigned depth = 0;
    for (std::size_t i = 0; i + 1 < rest_.size(); ++i) {
        const std::string_view two = rest_.substr(i, 2);
        if (two == "/*") ++depth;
        if (two == "*/" && --depth == 0) return i + 2;
        if (two == "/*" || two == "*/") ++i;
    }
    return rest_.size();
}

void Lexer::word(Token& token) {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), in_word);
    token = {.kind = Kind::word, .text = take(static_cast<std::size_t>(end - rest_.begin()))};
    token.unreadable = is_high(token.text.back()) && !rest_.empty() && may_be_half_a_letter(rest_.front());
    const std::string prefix = lower(token.text);
    const bool quote = rest_.starts_with('\'');
    if (prefix == "e" && quote) {
        escapes_ = true;
        next(token);
    } else if (prefix == "u" && (rest_.starts_with("&'") || rest_.starts_with("&\""))) {
        take(1);
        unicode_ = true;
        next(token);
    }
}

/// 1, 1.5e-3, 0x1f, 1_000. A letter right behind one is read in several ways by several versions.
void Lexer::number(Token& token) {
    std::size_t end = 0;
    const std::string_view text = rest_;
    const auto digits = [&] {
        while (end < text.size() && (is_digit(text[end]) || text[end] == '_')) ++end;
    };
    digits();
    if (end < text.size() && text[end] == '.') ++end;
    digits();
    if (end < text.size() && lower(text[end]) == 'e') {
        std::size_t power = end + 1;
        if (power < text.size() && (text[power] == '+' || text[power] == '-')) ++power;
        if (power < text.size() && is_digit(text[power])) end = power;
        digits();
    }
    token = {.kind = Kind::number, .text = take(end)};
    token.unreadable = !rest_.empty() && in_word(rest_.front());
}

void Lexer::quoted(char quote, Token& token) {
    const bool escapes = std::exchange(escapes_, false);
    token = {.kind = quote == '"' ? Kind::name : Kind::literal, .text = {}, .escapes = escapes};
    token.unreadable = std::exchange(unicode_, false);
    std::size_t end = 1;
    for (; end < rest_.size(); ++end) {
        if (escapes && rest_[end] == '\\') {
            token.unreadable = token.unreadable || is_high(rest_[end - 1]);  // may be half a letter
            ++end;
        } else if (rest_[end] == quote) {
            if (end + 1 >= rest_.size() || rest_[end + 1] != quote) break;
            ++end;
        }
    }
    const std::string_view whole = take(std::min(end + 1, rest_.size()));
    token.unreadable = token.unreadable || end >= whole.size();
    token.text = whole.substr(1, std::min(end, whole.size()) - 1);
    after_escapes_ = escapes;
}

bool Lexer::dollar_quoted(Token& token) {
    std::size_t end = 1;
    while (end < rest_.size() && (is_letter(rest_[end]) || (end > 1 && is_digit(rest_[end])))) ++end;
    if (end >= rest_.size() || rest_[end] != '$') return false;
    const std::string_view mark = take(end + 1);
    const std::size_t size = std::min(rest_.find(mark), rest_.size());
    token = {.kind = Kind::literal, .text = take(size)};
    token.unreadable = rest_.empty();
    take(mark.size());
    return true;
}

}  // namespace bench::replay
