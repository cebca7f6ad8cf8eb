#include "bench/replay/sql_rules.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace bench::replay {
namespace {

bool has_stars(std::string_view text) { return text.find("**") != std::string_view::npos; }

template <typename Take>
void each_statement(std::string_view sql, const Take& take) {
    Lexer lexer(sql);
    SqlStatement statement;
    for (Token token; lexer.next(token);) {
        if (!token.is(";")) {
            statement.add(token);
            continue;
        }
        take(statement);
        statement = {};
    }
    take(statement);
}

}  // namespace

Effect effect_of(std::string_view sql) {
    Effect effect = Effect::reads;
    each_statement(sql, [&](const SqlStatement& statement) {
        if (!statement.only_reads()) effect = Effect::writes;
        if (effect == Effect::reads && statement.calls_unknown()) effect = Effect::calls;
    });
    return effect;
}

std::vector<SqlName> names_in(std::string_view sql) {
    std::vector<SqlName> out;
    each_statement(sql, [&](const SqlStatement& statement) {
        if (auto name = statement.name()) out.push_back(std::move(*name));
    });
    return out;
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
        const bool is_star = token.is("*");
        if (star && is_star) return true;
        star = is_star;
        if (token.kind != Kind::name && token.kind != Kind::literal) continue;
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
