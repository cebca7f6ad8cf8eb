#include "protocol/console_statement.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "protocol/console_absent.hpp"

namespace protocol {
namespace {

using namespace std::string_view_literals;
using Kind = ConsoleStatement::Kind;

constexpr std::string_view whitespace = " \t\n\r\f\v";

struct Token {
    enum class Kind { word, quoted_name, string, number, symbol, end };
    Kind kind = Kind::end;
    std::string_view text;  ///< as written, quotes and all
    std::string value;      ///< word: in upper case; quoted_name, string: what is within the quotes
};

/// Thrown from wherever something is wrong, and caught by parse_console.
struct Wrong {
    std::string message;
    std::size_t offset;
    std::string_view hint{};
    const char* sqlstate = "42601";
};

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
/// As PostgreSQL: a byte of no ASCII character may stand in a name.
constexpr bool begins_word(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
constexpr bool goes_on_word(char c) noexcept { return begins_word(c) || is_digit(c) || c == '$'; }

// ASCII alone, whatever the locale.
std::string changed_case(std::string_view text, char first, char last) {
    std::string out(text);
    for (char& c : out) {
        if (c >= first && c <= last) c = static_cast<char>(c ^ 0x20);
    }
    return out;
}
std::string to_upper(std::string_view text) { return changed_case(text, 'a', 'z'); }
std::string to_lower(std::string_view text) { return changed_case(text, 'A', 'Z'); }

/// Characters in front of `offset`, and one: as PostgreSQL counts them.
std::size_t position_of(std::string_view query, std::size_t offset) {
    const std::string_view before = query.substr(0, offset);
    const auto begins_character = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
    return static_cast<std::size_t>(std::count_if(before.begin(), before.end(), begins_character)) + 1;
}

class Lexer {
   public:
    explicit Lexer(std::string_view query) : query_(query) { advance(); }

    const Token& now() const noexcept { return now_; }
    std::size_t offset() const noexcept { return begin_; }
    std::size_t position() const { return position_of(query_, begin_); }

    Token take() {
        Token taken = std::move(now_);
        advance();
        return taken;
    }

    bool is_word(std::string_view upper) const { return now_.kind == Token::Kind::word && now_.value == upper; }
    bool is_symbol(char c) const { return now_.kind == Token::Kind::symbol && now_.text.front() == c; }

    bool take_word(std::string_view upper) {
        const bool is = is_word(upper);
        if (is) advance();
        return is;
    }
    bool take_symbol(char c) {
        const bool is = is_symbol(c);
        if (is) advance();
        return is;
    }

    bool at_end_of_statement() const { return now_.kind == Token::Kind::end || is_symbol(';'); }
    /// As far as the statement goes; what is in it must be readable all the same.
    void skip_statement() {
        while (!at_end_of_statement()) advance();
    }
    /// From `begin` on to the end of the statement, which is skipped.
    std::string text_from(std::size_t begin) {
        skip_statement();
        return std::string(query_.substr(begin, begin_ - begin));
    }

    [[noreturn]] void fail_here(std::string_view hint = {}) const {
        if (now_.kind == Token::Kind::end) throw Wrong{"syntax error at end of input", begin_, hint};
        throw Wrong{"syntax error at or near \"" + std::string(now_.text) + "\"", begin_, hint};
    }

   private:
    void advance() {
        skip_blank();
        begin_ = at_;
        now_ = Token{};
        if (at_ == query_.size()) return;
        const char c = query_[at_];
        if (begins_word(c)) {
            take_while(Token::Kind::word, goes_on_word);
            now_.value = to_upper(now_.text);
        } else if (is_digit(c)) {
            take_while(Token::Kind::number, [](char d) { return is_digit(d) || d == '.'; });
            take_exponent();
            if (at_ < query_.size() && begins_word(query_[at_]))
                throw Wrong{"trailing junk after numeric literal at or near \"" + std::string(now_.text) + "\"",
                            begin_};
        } else if (c == '\'' || c == '"') {
            take_quoted(c);
        } else {
            now_.kind = Token::Kind::symbol;
            now_.text = query_.substr(at_++, 1);
        }
    }

    /// "e-5", when a number goes on like that.
    void take_exponent() {
        std::size_t end = at_;
        if (end == query_.size() || (query_[end] | 0x20) != 'e') return;
        ++end;
        if (end < query_.size() && (query_[end] == '+' || query_[end] == '-')) ++end;
        if (end == query_.size() || !is_digit(query_[end])) return;
        while (end < query_.size() && is_digit(query_[end])) ++end;
        at_ = end;
        now_.text = query_.substr(begin_, at_ - begin_);
    }

    template <class Belongs>
    void take_while(Token::Kind kind, Belongs belongs) {
        while (at_ < query_.size() && belongs(query_[at_])) ++at_;
        now_.kind = kind;
        now_.text = query_.substr(begin_, at_ - begin_);
    }

    /// A quote within is written twice.
    void take_quoted(char quote) {
        now_.kind = quote == '\'' ? Token::Kind::string : Token::Kind::quoted_name;
        for (++at_;; ++at_) {
            if (at_ == query_.size()) {
                throw Wrong{quote == '\'' ? "unterminated quoted string" : "unterminated quoted identifier", begin_};
            }
            const bool is_quote = query_[at_] == quote;
            const bool is_double = is_quote && at_ + 1 < query_.size() && query_[at_ + 1] == quote;
            if (is_quote && !is_double) break;
            if (is_double) ++at_;
            now_.value += query_[at_];
        }
        ++at_;
        now_.text = query_.substr(begin_, at_ - begin_);
        if (quote == '"' && now_.value.empty())
            throw Wrong{"zero-length delimited identifier at or near \"\"\"\"", begin_};
    }

    void skip_blank() {
        for (;;) {
            while (at_ < query_.size() && whitespace.find(query_[at_]) != std::string_view::npos) ++at_;
            const std::string_view rest = query_.substr(at_);
            if (rest.starts_with("--")) {
                at_ = std::min(query_.find_first_of("\r\n", at_), query_.size());
            } else if (rest.starts_with("/*")) {
                skip_comment();
            } else {
                return;
            }
        }
    }

    /// They nest.
    void skip_comment() {
        const std::size_t begin = at_;
        std::size_t depth = 0;
        do {
            const std::string_view rest = query_.substr(at_);
            if (rest.empty()) throw Wrong{"unterminated /* comment", begin};
            const bool opens = rest.starts_with("/*");
            const bool closes = rest.starts_with("*/");
            if (opens) ++depth;
            if (closes) --depth;
            at_ += opens || closes ? 2 : 1;
        } while (depth > 0);
    }

    std::string_view query_;
    std::size_t at_ = 0;
    std::size_t begin_ = 0;  // of now_
    Token now_;
};

bool is_value(const Token& token) {
    return token.kind == Token::Kind::word || token.kind == Token::Kind::string || token.kind == Token::Kind::number;
}

/// As it was written, without quotes.
std::string value_of(const Token& token) {
    return token.kind == Token::Kind::string ? token.value : std::string(token.text);
}

std::vector<ConsoleOption> take_options(Lexer& lexer) {
    std::vector<ConsoleOption> options;
    do {
        ConsoleOption option{.name = {}, .value = {}, .position = lexer.position()};
        if (lexer.now().kind != Token::Kind::word) lexer.fail_here();
        option.name = to_lower(lexer.take().text);
        if (is_value(lexer.now())) option.value = value_of(lexer.take());
        options.push_back(std::move(option));
    } while (lexer.take_symbol(','));
    if (!lexer.take_symbol(')')) lexer.fail_here();
    return options;
}

ConsoleStatement take_capture_start(Lexer& lexer) {
    ConsoleStatement statement{.kind = Kind::capture_start};
    if (lexer.take_symbol('(')) statement.options = take_options(lexer);
    if (!lexer.take_word("TO")) return statement;
    statement.position = lexer.position();
    if (lexer.take_word("STDOUT")) {
        statement.to = ConsoleStatement::To::client;
    } else if (lexer.now().kind == Token::Kind::string) {
        statement.to = ConsoleStatement::To::file;
        statement.text = lexer.take().value;
    } else {
        lexer.fail_here();
    }
    return statement;
}

std::uint64_t take_id(Lexer& lexer) {
    std::uint64_t id = 0;
    const std::string_view digits = lexer.now().text;
    const char* const end = digits.data() + digits.size();
    const auto [rest, error] = std::from_chars(digits.data(), end, id);
    if (lexer.now().kind != Token::Kind::number || error != std::errc() || rest != end || id == 0) lexer.fail_here();
    lexer.take();
    return id;
}

ConsoleStatement take_capture(Lexer& lexer) {
    if (lexer.take_word("START")) return take_capture_start(lexer);
    if (lexer.take_word("STATUS")) return {.kind = Kind::capture_status};
    if (!lexer.take_word("STOP")) lexer.fail_here();
    ConsoleStatement statement{.kind = Kind::capture_stop};
    if (lexer.at_end_of_statement()) return statement;
    statement.position = lexer.position();
    statement.id = take_id(lexer);
    return statement;
}

ConsoleStatement take_show(Lexer& lexer) {
    ConsoleStatement statement{.kind = Kind::show, .position = lexer.position()};
    if (lexer.take_word("TRANSACTION")) {
        if (!lexer.take_word("ISOLATION") || !lexer.take_word("LEVEL")) lexer.fail_here();
        statement.text = "transaction_isolation";
        return statement;
    }
    const bool is_quoted = lexer.now().kind == Token::Kind::quoted_name;
    if (lexer.now().kind != Token::Kind::word && !is_quoted) lexer.fail_here();
    statement.text = is_quoted ? lexer.take().value : to_lower(lexer.take().text);
    return statement;
}

/// A sign of life is answered without SQL.
ConsoleStatement take_select(Lexer& lexer, std::size_t begin) {
    ConsoleStatement statement{.kind = Kind::select};
    if (lexer.at_end_of_statement()) return statement;
    if (lexer.now().kind == Token::Kind::string || lexer.now().kind == Token::Kind::number) {
        const bool is_whole = lexer.now().kind == Token::Kind::number && lexer.now().text.size() < 10 &&
                              lexer.now().text.find_first_not_of("0123456789") == std::string_view::npos;
        statement.has_text = true;
        statement.id = is_whole ? 1 : 0;
        statement.text = value_of(lexer.take());
        if (lexer.at_end_of_statement()) return statement;
    }
    return {.kind = Kind::sql, .text = lexer.text_from(begin)};
}

ConsoleStatement take_kill(Lexer& lexer) {
    ConsoleStatement statement{.kind = Kind::kill, .position = lexer.position()};
    if (lexer.now().kind == Token::Kind::string) {
        statement.text = lexer.take().value;
    } else if (lexer.now().kind == Token::Kind::number) {
        statement.id = take_id(lexer);
    } else {
        lexer.fail_here(
            "KILL takes one session, KILL 'session' or KILL pid, as pg_stat_activity has them; a database is not "
            "killed "
            "as a whole.");
    }
    return statement;
}

ConsoleStatement take_shutdown(Lexer& lexer) {
    if (lexer.is_word("WAIT_FOR_SERVERS") || lexer.is_word("WAIT_FOR_CLIENTS"))
        throw Wrong{"SHUTDOWN " + std::string(lexer.now().text) + " is PgBouncer's: SHUTDOWN waits for nobody here",
                    lexer.offset(), "DRAIN ends the process after its last session.", "0A000"};
    return {.kind = Kind::shutdown};
}

/// Of SET: what PostgreSQL takes without "=" or TO.
constexpr std::array special_settings{"time"sv,        "names"sv,           "role"sv,
                                      "transaction"sv, "constraints"sv,     "schema"sv,
                                      "xml"sv,         "characteristics"sv, "authorization"sv};

bool is_name(const Token& token) { return token.kind == Token::Kind::word || token.kind == Token::Kind::quoted_name; }

/// Names of settings are the same in any case, also within quotes.
std::string take_setting_name(Lexer& lexer) {
    const Token token = lexer.take();
    return to_lower(token.kind == Token::Kind::word ? token.text : token.value);
}

/// SET [SESSION | LOCAL] name { = | TO } value, RESET name, DISCARD ALL. Whatever is said otherwise
/// is skipped, but for a name without a value, with which nothing is set.
ConsoleStatement take_set(Lexer& lexer, const std::string& first) {
    ConsoleStatement statement{.kind = Kind::set, .text = first};
    if (first == "SET" && lexer.take_word("LOCAL")) {
        statement.id = 1;
    } else if (first == "SET") {
        lexer.take_word("SESSION");
    }
    if (!is_name(lexer.now())) lexer.fail_here();
    ConsoleOption option{.name = take_setting_name(lexer), .value = {}, .position = 0};
    while (lexer.take_symbol('.') && is_name(lexer.now())) option.name += "." + take_setting_name(lexer);
    const bool has_value = first == "SET" && (lexer.take_symbol('=') || lexer.take_word("TO"));
    const bool is_special =
        std::find(special_settings.begin(), special_settings.end(), option.name) != special_settings.end();
    const bool needs_more = first == "SET" && (lexer.at_end_of_statement() || (!has_value && !is_special));
    if (needs_more) lexer.fail_here();
    option.position = lexer.position();
    if (has_value && lexer.take_symbol('-')) option.value = "-";
    if (has_value && is_value(lexer.now())) {
        const bool is_word = lexer.now().kind == Token::Kind::word;
        const std::string value = value_of(lexer.take());
        option.value += is_word ? to_lower(value) : value;
    }
    if (has_value || first != "SET") statement.options.push_back(std::move(option));
    lexer.skip_statement();
    return statement;
}

ConsoleStatement take_statement(Lexer& lexer) {
    if (lexer.now().kind != Token::Kind::word) lexer.fail_here();
    const std::size_t offset = lexer.offset();
    const Token first = lexer.take();
    if (first.value == "CAPTURE") return take_capture(lexer);
    if (first.value == "SHOW") return take_show(lexer);
    if (first.value == "SELECT") return take_select(lexer, offset);
    for (const std::string_view word : {"WITH", "VALUES", "TABLE"}) {
        if (first.value == word) return {.kind = Kind::sql, .text = lexer.text_from(offset)};
    }
    if (first.value == "KILL") return take_kill(lexer);
    if (first.value == "RELOAD") return {.kind = Kind::reload};
    if (first.value == "DRAIN") return {.kind = Kind::drain};
    if (first.value == "SHUTDOWN") return take_shutdown(lexer);
    if (first.value == "UPGRADE") return {.kind = Kind::upgrade};
    // What stands behind these words says nothing here.
    const auto skipped = [&](Kind kind) {
        lexer.skip_statement();
        return ConsoleStatement{.kind = kind, .text = first.value};
    };
    if (first.value == "SET" || first.value == "RESET" || first.value == "DISCARD") return take_set(lexer, first.value);
    for (const std::string_view word : {"DEALLOCATE", "CLOSE", "UNLISTEN"}) {
        if (first.value == word) return skipped(Kind::set);
    }
    if (first.value == "BEGIN" || (first.value == "START" && lexer.is_word("TRANSACTION"))) return skipped(Kind::begin);
    if (first.value == "COMMIT" || first.value == "END") return skipped(Kind::commit);
    if (first.value == "ROLLBACK" || first.value == "ABORT") return skipped(Kind::rollback);
    if (const AbsentWord* const absent = find_absent(absent_commands(), first.value))
        throw Wrong{std::string(absent->told), offset, absent->hint, "0A000"};
    throw Wrong{"syntax error at or near \"" + std::string(first.text) + "\"", offset};
}

std::vector<ConsoleStatement> take_all(std::string_view query) {
    std::vector<ConsoleStatement> statements;
    for (Lexer lexer(query);;) {
        while (lexer.take_symbol(';')) {
        }
        if (lexer.now().kind == Token::Kind::end) return statements;
        if (statements.size() == max_console_statements) {
            throw Wrong{"more than " + std::to_string(max_console_statements) + " statements at once", lexer.offset()};
        }
        const std::size_t position = lexer.position();
        statements.push_back(take_statement(lexer));
        if (!lexer.at_end_of_statement()) lexer.fail_here();
        if (statements.back().position == 0) statements.back().position = position;
    }
}

}  // namespace

std::variant<std::vector<ConsoleStatement>, ErrorResponse> parse_console(std::string_view query) {
    try {
        return take_all(query);
    } catch (const Wrong& wrong) {
        return ErrorResponse{.severity = "ERROR",
                             .sqlstate = wrong.sqlstate,
                             .message = wrong.message + " (SHOW HELP lists the commands)",
                             .detail = {},
                             .hint = std::string(wrong.hint),
                             .position = position_of(query, wrong.offset)};
    }
}

}  // namespace protocol
