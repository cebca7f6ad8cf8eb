#include "bench/replay/sql_statement.hpp"

#include <algorithm>
#include <array>

#include "bench/replay/guarded_settings.hpp"
#include "bench/replay/harmless_functions.hpp"

namespace bench::replay {
namespace {

using Names = std::string_view;

template <std::size_t size>
bool among(const std::array<Names, size>& names, Names name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr auto readers = std::to_array<Names>(
    {"select",  "show",    "values",  "table",      "with",    "begin",   "start",    "commit", "end",   "rollback",
     "abort",   "set",     "reset",   "savepoint",  "release", "declare", "fetch",    "move",   "close", "copy",
     "explain", "prepare", "execute", "deallocate", "discard", "listen",  "unlisten", "lock"});

/// What writes inside a statement that begins as if it only read. FOR UPDATE is among them.
constexpr auto writers = std::to_array<Names>({"insert", "update", "delete", "merge", "into", "create"});

/// Reserved: no function has such a name without quotes, and a bracket may follow.
constexpr auto before_brackets = std::to_array<Names>(
    {"all",    "and",  "any",   "array",  "as",   "asymmetric", "case",    "cast",      "distinct", "else",   "except",
     "exists", "from", "group", "having", "in",   "intersect",  "lateral", "limit",     "not",      "offset", "on",
     "only",   "or",   "order", "select", "some", "symmetric",  "then",    "union",     "using",    "values", "when",
     "where",  "with", "fetch", "for",    "to",   "end",        "default", "returning", "between",  "setof"});

std::string meaning(const Token& token) {
    if (token.kind == Kind::word) return lower(token.text);
    std::string out(token.text);
    for (std::size_t at = 0; token.kind == Kind::name && (at = out.find("\"\"", at)) != out.npos; ++at)
        out.erase(at, 1);
    return out;
}

/// In a search_path each token that is quoted, in whatever quotes, is one name.
std::string as_schema(const Token& token) {
    if (token.kind == Kind::name) return '"' + std::string(token.text) + '"';
    if (token.kind != Kind::literal) return std::string(token.text);
    std::string out = "\"";
    for (const char c : token.text) out += c == '"' ? "\"\"" : std::string(1, c);
    return out + '"';
}

bool is_plain_literal(const Token& token) { return token.kind == Kind::literal && !token.escapes; }

}  // namespace

void SqlStatement::add(const Token& token) {
    unreadable_ = unreadable_ || token.unreadable;
    if (token.kind == Kind::comment) return;
    if (token.is(")") && depth_ > 0) --depth_;
    tokens_.push_back({.token = token, .text = meaning(token), .depth = depth_});
    if (token.is("(")) ++depth_;
}

const SqlStatement::Part& SqlStatement::at(std::size_t i) const {
    static const Part nothing;
    return i < tokens_.size() ? tokens_[i] : nothing;
}

bool SqlStatement::is(std::size_t i, std::string_view keyword) const {
    return at(i).token.kind == Kind::word && at(i).text == keyword;
}

bool SqlStatement::is_name(std::size_t i) const {
    return at(i).token.kind == Kind::word || at(i).token.kind == Kind::name;
}

bool SqlStatement::has(std::string_view keyword) const {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
        if (is(i, keyword)) return true;
    }
    return false;
}

bool SqlStatement::has(std::string_view first, std::string_view second) const {
    for (std::size_t i = 0; i + 1 < tokens_.size(); ++i) {
        if (is(i, first) && is(i + 1, second)) return true;
    }
    return false;
}

std::size_t SqlStatement::first_word() const {
    std::size_t i = 0;
    while (is_sign(i, "(")) ++i;
    return i;
}

bool SqlStatement::only_reads() const {
    if (unreadable_) return false;
    if (tokens_.empty()) return true;
    const std::size_t begin = first_word();
    const std::string& verb = at(begin).text;
    if (at(begin).token.kind != Kind::word || !among(readers, verb)) return false;
    if (verb == "show") return true;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
        if (at(i).token.kind == Kind::word && among(writers, at(i).text)) return false;
    }
    if (has("read", "write") || has("for", "share") || has("for", "key") || has("for", "no")) return false;
    if (has("prepared") || has("prepare", "transaction")) return false;  // COMMIT PREPARED
    if (verb == "explain" && has("refresh")) return false;
    if (verb == "set") return reads_only_set(begin + 1);
    if (verb == "reset" && names_guarded(begin + 1)) return false;
    if (verb == "copy" && !copies_to_client()) return false;
    if (verb == "lock") return locks_for_reading();
    return reads_only_set_config();
}

/// What is guarded may stand nowhere, quoted or not. (RESET transaction_read_only makes a
/// transaction one that writes, before PostgreSQL 16.)
bool SqlStatement::names_guarded(std::size_t begin) const {
    for (std::size_t i = begin; i < tokens_.size(); ++i) {
        if (is_guarded(at(i).text) || is(i, "authorization")) return true;
    }
    return false;
}

/// SET [SESSION | LOCAL] name = value.
bool SqlStatement::reads_only_set(std::size_t begin) const {
    if (is(begin, "session") || is(begin, "local")) ++begin;
    const bool strings = lower(at(begin).text) == "standard_conforming_strings";
    const bool on = at(begin + 2).text == "on" && tokens_.size() == begin + 3;
    if (strings) return on;
    if (names_guarded(begin)) return false;
    std::string value;
    for (std::size_t i = begin; i < tokens_.size(); ++i) {
        if (at(i).token.escapes) return false;
        if (i > begin + 1) value += as_schema(at(i).token);
    }
    return lower(at(begin).text) != "search_path" || !hides_pg_catalog(value);
}

/// Only set_config('name', 'value', ...) is read.
bool SqlStatement::reads_only_set_config() const {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
        if (!is_name(i) || at(i).text != "set_config" || !is_sign(i + 1, "(")) continue;
        const bool literals = is_plain_literal(at(i + 2).token) && is_sign(i + 3, ",") &&
                              is_plain_literal(at(i + 4).token) && is_sign(i + 5, ",");
        if (!literals) return false;
        const std::string name = lower(at(i + 2).text);
        if (is_guarded(name) || (name == "search_path" && hides_pg_catalog(at(i + 4).text))) return false;
    }
    return true;
}

/// COPY ... TO STDOUT: no file and no PROGRAM. TO is looked for outside of all brackets.
bool SqlStatement::copies_to_client() const {
    unsigned targets = 0;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
        if (at(i).depth > 0) continue;
        if (is(i, "from") || is(i, "program")) return false;
        if (!is(i, "to")) continue;
        if (++targets > 1 || !is(i + 1, "stdout")) return false;
    }
    return targets == 1;
}

bool SqlStatement::locks_for_reading() const {
    const std::size_t end = tokens_.size() - (is(tokens_.size() - 1, "nowait") ? 1 : 0);
    return end > 5 && is(end - 4, "in") && is(end - 3, "access") && is(end - 2, "share") && is(end - 1, "mode");
}

std::optional<SqlName> SqlStatement::name() const {
    using Of = SqlName::Of;
    using Role = SqlName::Role;
    const std::size_t verb = first_word();
    std::size_t runs = verb;
    if (is(verb, "explain")) {
        while (runs < tokens_.size() && !is(runs, "execute")) ++runs;
    }
    const auto named = [&](std::size_t i, Of of, Role role) -> std::optional<SqlName> {
        if (!is_name(i)) return std::nullopt;
        return SqlName{.of = of, .role = role, .name = at(i).text};
    };
    if (is(verb, "prepare")) return named(verb + 1, Of::prepared, Role::made);
    if (is(runs, "execute")) return named(runs + 1, Of::prepared, Role::run);
    if (is(verb, "deallocate")) return named(tokens_.size() - 1, Of::prepared, Role::ended);
    if (is(verb, "declare")) return named(verb + 1, Of::cursor, Role::made);
    if (is(verb, "fetch") || is(verb, "move")) return named(tokens_.size() - 1, Of::cursor, Role::run);
    if (is(verb, "close")) return named(tokens_.size() - 1, Of::cursor, Role::ended);
    return std::nullopt;
}

bool SqlStatement::calls_unknown() const {
    for (std::size_t i = 1; i < tokens_.size(); ++i) {
        if (is_sign(i, "(") && calls_unknown_at(i)) return true;
    }
    return false;
}

/// Whether what stands before this bracket makes it the call of an unknown function.
bool SqlStatement::calls_unknown_at(std::size_t bracket) const {
    const std::size_t last = bracket - 1;
    if (!is_name(last)) return false;
    std::size_t begin = last;  // of the whole name
    while (begin >= 2 && is_sign(begin - 1, ".") && is_name(begin - 2)) begin -= 2;
    const bool qualified = begin < last || (begin > 0 && is_sign(begin - 1, "."));
    const auto before = [&](std::size_t back, std::string_view keyword) {
        return begin >= back && is(begin - back, keyword);
    };
    const std::string& name = at(last).text;
    const bool keyword = at(last).token.kind == Kind::word && !qualified;
    const std::size_t verb = first_word();
    // A query cannot be the argument of a function.
    if (is(bracket + 1, "select") || is(bracket + 1, "with") || is(bracket + 1, "values")) return false;
    if (keyword && among(before_brackets, name)) return false;
    if (keyword && (name == "over" || name == "filter") && begin > 0 && is_sign(begin - 1, ")")) return false;
    if (keyword && name == "sets" && before(1, "grouping")) return false;
    if (keyword && name == "by" && (before(1, "group") || before(1, "order") || before(1, "partition"))) return false;
    if (keyword && (name == "rollup" || name == "cube") && before(1, "by") && before(2, "group")) return false;
    if (keyword && name == "varying" && (before(1, "character") || before(1, "char") || before(1, "bit"))) return false;
    if (keyword && name == "join") {
        for (const char* kind : {"left", "right", "full", "inner", "outer", "cross"}) {
            if (before(1, kind)) return false;
        }
    }
    // Aliases with columns, common table expressions, and types with their size.
    const bool alias = begin > 0 && !(begin > 1 && is_sign(begin - 2, "."));
    if (alias && !qualified && (before(1, "as") || before(1, "recursive") || before(1, "with"))) return false;
    if (begin > 1 && is_sign(begin - 1, ":") && is_sign(begin - 2, ":")) return false;
    if (begin == verb + 1 && (is(verb, "execute") || is(verb, "prepare"))) return false;
    if (begin == 2 && is(0, "explain") && is(1, "execute")) return false;
    if (is(verb, "explain") && last == verb) return false;
    if (is(verb, "copy") && at(bracket).depth == 0) return false;
    if (keyword && name == "operator") {
        constexpr std::string_view signs = "~=<>!@#%^&|?+-/";
        const bool sign = at(bracket + 3).token.kind == Kind::other && signs.find(at(bracket + 3).text) != signs.npos;
        return !(at(bracket + 1).text == "pg_catalog" && is_sign(bracket + 2, ".") && sign);
    }
    if (qualified && !(begin + 2 == last && at(begin).text == "pg_catalog")) return true;
    return name != "set_config" && !is_harmless_function(name);
}

}  // namespace bench::replay
