#include "proxy/admin/sql_tokens.hpp"

#include <algorithm>
#include <array>

namespace proxy {
namespace {

using Kind = SqlToken::Kind;
using namespace std::string_view_literals;

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool begins_word(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
constexpr bool is_space(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

/// The longest first.
constexpr std::array operators{"!~~"sv, "!~*"sv, "::"sv, "<="sv, ">="sv, "<>"sv,
                               "!="sv,  "||"sv,  "!~"sv, "~*"sv, "~~"sv};

class Cutter {
   public:
    explicit Cutter(std::string_view sql) : rest_(sql) {}

    std::vector<SqlToken> all() {
        std::vector<SqlToken> tokens;
        while (skip_blank()) tokens.push_back(next());
        return tokens;
    }

   private:
    /// False: nothing follows.
    bool skip_blank() {
        for (;;) {
            while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
            if (rest_.starts_with("--")) {
                rest_.remove_prefix(std::min(rest_.find_first_of("\r\n"), rest_.size()));
            } else if (rest_.starts_with("/*")) {
                skip_comment();
            } else {
                return !rest_.empty();
            }
        }
    }

    /// They nest.
    void skip_comment() {
        std::size_t depth = 0;
        do {
            const bool opens = rest_.starts_with("/*");
            const bool closes = rest_.starts_with("*/");
            if (opens) ++depth;
            if (closes) --depth;
            rest_.remove_prefix(std::min<std::size_t>(opens || closes ? 2 : 1, rest_.size()));
        } while (depth > 0 && !rest_.empty());
    }

    std::string take(std::size_t n) {
        std::string text(rest_.substr(0, n));
        rest_.remove_prefix(std::min(n, rest_.size()));
        return text;
    }

    SqlToken next() {
        const char c = rest_.front();
        if ((c == 'e' || c == 'E') && rest_.substr(1).starts_with('\'')) return escaped();
        if (begins_word(c)) return word();
        if (is_digit(c) || (c == '.' && rest_.size() > 1 && is_digit(rest_[1]))) return number();
        if (c == '$' && rest_.size() > 1 && is_digit(rest_[1])) return parameter();
        if (c == '\'' || c == '"') return quoted(c);
        for (const std::string_view op : operators) {
            if (rest_.starts_with(op)) return sql_symbol(take(op.size()));
        }
        return sql_symbol(take(1));
    }

    SqlToken word() {
        std::size_t n = 1;
        while (n < rest_.size() && (begins_word(rest_[n]) || is_digit(rest_[n]) || rest_[n] == '$')) ++n;
        return sql_word(take(n));
    }

    SqlToken number() {
        std::size_t n = 1;
        while (n < rest_.size() && (is_digit(rest_[n]) || rest_[n] == '.')) ++n;
        if (n < rest_.size() && (rest_[n] == 'e' || rest_[n] == 'E')) {
            ++n;
            if (n < rest_.size() && (rest_[n] == '+' || rest_[n] == '-')) ++n;
            while (n < rest_.size() && is_digit(rest_[n])) ++n;
        }
        return sql_number(take(n));
    }

    SqlToken parameter() {
        std::size_t n = 1;
        while (n < rest_.size() && is_digit(rest_[n])) ++n;
        SqlToken token{.kind = Kind::parameter, .text = take(n), .value = {}};
        token.value = token.text.substr(1);
        return token;
    }

    /// A quote within is written twice.
    SqlToken quoted(char quote) {
        SqlToken token{.kind = quote == '\'' ? Kind::string : Kind::quoted_name, .text = {}, .value = {}};
        std::size_t n = 1;
        for (; n < rest_.size(); ++n) {
            if (rest_[n] == quote) {
                if (n + 1 >= rest_.size() || rest_[n + 1] != quote) break;
                ++n;
            }
            token.value += rest_[n];
        }
        token.text = take(n + 1);
        return token;
    }

    /// E'...\n...', as a text without escapes.
    SqlToken escaped() {
        SqlToken token{.kind = Kind::string, .text = "'", .value = {}};
        rest_.remove_prefix(2);
        while (!rest_.empty()) {
            const bool is_double = rest_.starts_with("''");
            if (rest_.front() == '\'' && !is_double) break;
            const bool is_escaped = rest_.front() == '\\' && rest_.size() > 1;
            if (is_double || is_escaped) rest_.remove_prefix(1);
            token.value += is_escaped ? unescaped(rest_.front()) : rest_.front();
            rest_.remove_prefix(1);
        }
        if (!rest_.empty()) rest_.remove_prefix(1);
        for (const char c : token.value) token.text += c == '\'' ? std::string("''") : std::string(1, c);
        token.text += '\'';
        return token;
    }

    /// Codes of characters, such as \x41, are not known: PostgreSQL's users hardly write them.
    static char unescaped(char c) {
        switch (c) {
            case 'b': return '\b';
            case 'f': return '\f';
            case 'n': return '\n';
            case 'r': return '\r';
            case 't': return '\t';
            default: return c;
        }
    }

    std::string_view rest_;
};

}  // namespace

SqlToken sql_word(std::string text) {
    std::string value = lower(text);
    return {.kind = Kind::word, .text = std::move(text), .value = std::move(value)};
}
SqlToken sql_symbol(std::string text) { return {.kind = Kind::symbol, .text = std::move(text), .value = {}}; }
SqlToken sql_number(std::string text) { return {.kind = Kind::number, .text = std::move(text), .value = {}}; }

std::vector<SqlToken> sql_tokens(std::string_view sql) { return Cutter(sql).all(); }

std::string sql_text(const std::vector<SqlToken>& tokens) {
    std::string text;
    for (const SqlToken& token : tokens) {
        if (!text.empty()) text += ' ';
        text += token.text;
    }
    return text;
}

}  // namespace proxy
