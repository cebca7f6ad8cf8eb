#include "bench/replay/sql_rules.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace bench::replay {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_letter(char c) { return (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' || (c & 0x80); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) { return lower(c); });
    return out;
}

enum class Kind { word, quoted, comment, other };
struct Token {
    Kind kind = Kind::other;
    std::string_view text;  // of what is quoted: what is between the quotes
};

/// PostgreSQL's lexical rules (docs, "Lexical Structure"), as far as they tell where quotes and
/// comments end. Backslashes count in E'...' only.
class Lexer {
   public:
    explicit Lexer(std::string_view text) : rest_(text) {}

    bool next(Token& token) {
        if (rest_.empty()) return false;
        const char c = rest_.front();
        if (rest_.starts_with("--")) {
            token = {Kind::comment, take(rest_.find('\n'))};
        } else if (rest_.starts_with("/*")) {
            token = {Kind::comment, take(comment_end())};
        } else if (c == '\'' || c == '"') {
            token = {Kind::quoted, quoted(c, c == '\'' && escapes_)};
        } else if (c == '$' && dollar_quoted(token)) {
        } else if (is_letter(c)) {
            const auto end = std::find_if_not(rest_.begin(), rest_.end(),
                                              [](char d) { return is_letter(d) || is_digit(d) || d == '$'; });
            token = {Kind::word, take(static_cast<std::size_t>(end - rest_.begin()))};
            escapes_ = token.text == "e" || token.text == "E";
            return true;
        } else {
            token = {Kind::other, take(1)};
        }
        escapes_ = false;
        return true;
    }

   private:
    std::string_view take(std::size_t size) {
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(taken.size());
        return taken;
    }

    std::size_t comment_end() const {
        unsigned depth = 0;
        for (std::size_t i = 0; i + 1 < rest_.size(); ++i) {
            const std::string_view two = rest_.substr(i, 2);
            if (two == "/*") ++depth;
            if (two == "*/" && --depth == 0) return i + 2;
            if (two == "/*" || two == "*/") ++i;
        }
        return rest_.size();
    }

    std::string_view quoted(char quote, bool escapes) {
        std::size_t end = 1;
        for (; end < rest_.size(); ++end) {
            if (escapes && rest_[end] == '\\') {
                ++end;
            } else if (rest_[end] == quote) {
                if (end + 1 >= rest_.size() || rest_[end + 1] != quote) break;
                ++end;
            }
        }
        const std::string_view whole = take(std::min(end + 1, rest_.size()));
        return whole.substr(1, std::min(end, whole.size()) - 1);
    }

    bool dollar_quoted(Token& token) {
        std::size_t end = 1;
        while (end < rest_.size() && (is_letter(rest_[end]) || (end > 1 && is_digit(rest_[end])))) ++end;
        if (end >= rest_.size() || rest_[end] != '$') return false;
        const std::string_view mark = take(end + 1);
        const std::size_t size = std::min(rest_.find(mark), rest_.size());
        token = {Kind::quoted, take(size)};
        take(mark.size());
        return true;
    }

    std::string_view rest_;
    bool escapes_ = false;  // the last token was an E
};

/// Its words in lower case, and the single quoted texts that could name a setting.
struct Words {
    std::vector<std::string> words;

    bool has(std::string_view word) const { return std::find(words.begin(), words.end(), word) != words.end(); }
    bool has(std::string_view first, std::string_view second) const {
        for (std::size_t i = 0; i + 1 < words.size(); ++i) {
            if (words[i] == first && words[i + 1] == second) return true;
        }
        return false;
    }
};

constexpr auto readers = std::to_array<std::string_view>(
    {"select",  "show",    "values",  "table",      "with",    "begin",   "start",    "commit", "end",   "rollback",
     "abort",   "set",     "reset",   "savepoint",  "release", "declare", "fetch",    "move",   "close", "copy",
     "explain", "prepare", "execute", "deallocate", "discard", "listen",  "unlisten", "lock"});

/// What writes inside a statement that begins as if it only read. FOR UPDATE is among them.
constexpr auto writers = std::to_array<std::string_view>(
    {"insert", "update", "delete", "merge", "into", "nextval", "setval", "transaction_read_only"});

/// Functions that do something which a read-only transaction does not keep them from.
constexpr auto doers = std::to_array<std::string_view>({"pg_terminate_backend", "pg_cancel_backend", "pg_reload_conf",
                                                        "pg_rotate_logfile", "pg_promote", "pg_switch_", "pg_create_",
                                                        "pg_drop_", "pg_logical_", "pg_replication_", "pg_stat_reset",
                                                        "dblink", "pg_wal_replay_", "lo_", "pg_backup_", "pg_notify"});

bool only_reads(const Words& statement) {
    const auto& words = statement.words;
    if (words.empty()) return true;
    if (std::find(readers.begin(), readers.end(), words.front()) == readers.end()) return false;
    for (const std::string& word : words) {
        if (std::find(writers.begin(), writers.end(), word) != writers.end() && words.front() != "show") return false;
        if (word == "default_transaction_read_only" && words.front() != "show") return false;
        if (std::any_of(doers.begin(), doers.end(), [&](std::string_view doer) { return word.starts_with(doer); }))
            return false;
    }
    if (statement.has("read", "write")) return false;
    if (statement.has("for", "share") || statement.has("for", "key") || statement.has("for", "no")) return false;
    if (words.front() == "copy") return statement.has("to", "stdout");
    if (words.front() == "prepare" && statement.has("prepare", "transaction")) return false;
    if (words.front() == "lock") return statement.has("access", "share");
    return !statement.has("prepared");  // COMMIT PREPARED
}

bool has_stars(std::string_view text) { return text.find("**") != std::string_view::npos; }

}  // namespace

bool may_write(std::string_view sql) {
    Lexer lexer(sql);
    Words statement;
    bool set_config = false;
    for (Token token; lexer.next(token);) {
        if (token.kind == Kind::word) {
            statement.words.push_back(lower(token.text));
            set_config = set_config || statement.words.back() == "set_config";
        } else if (token.kind == Kind::quoted && set_config) {
            statement.words.push_back(lower(token.text));  // the setting's name
        } else if (token.kind == Kind::other && token.text == ";") {
            if (!only_reads(statement)) return true;
            statement = {};
            set_config = false;
        }
    }
    return !only_reads(statement);
}

bool mentions_secrets(std::string_view sql) {
    const std::string text = lower(sql);
    constexpr auto words = std::to_array<std::string_view>(
        {"passw", "secret", "token", "crypt", "dblink", "connection", "user mapping", "options", "identified"});
    return std::any_of(words.begin(), words.end(),
                       [&](std::string_view word) { return text.find(word) != std::string::npos; });
}

bool looks_blanked(std::string_view sql) {
    if (sql.find('*') == std::string_view::npos) return false;
    const bool by_a_secret = mentions_secrets(sql);
    Lexer lexer(sql);
    bool star = false;
    for (Token token; lexer.next(token);) {
        const bool is_star = token.kind == Kind::other && token.text == "*";
        if (star && is_star) return true;
        star = is_star;
        if (token.kind != Kind::quoted) continue;
        const bool one = token.text == "*" || token.text.ends_with("=*") || token.text.find("=* ") != token.text.npos;
        if (has_stars(token.text) || (by_a_secret && one)) return true;
    }
    return false;
}

bool value_looks_blanked(protocol::Bytes value, bool by_a_secret) {
    const std::string_view text = protocol::as_text(value);
    if (has_stars(text)) return true;
    const bool nothing_else = std::all_of(text.begin(), text.end(), [](char c) { return c == '*' || c == '\0'; });
    return by_a_secret && !text.empty() && nothing_else;
}

}  // namespace bench::replay
