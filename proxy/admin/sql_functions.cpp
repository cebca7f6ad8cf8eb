// What SQL on the console may call: a few of SQLite's own functions, PostgreSQL's that are cheap,
// and those that drivers and psql call. LIKE, instr(), replace() and trim() are ours: SQLite's take
// for ever on some arguments, in one step, within which it does not ask whether it is to end.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/admin/console_parameters.hpp"
#include "proxy/admin/sql_connection.hpp"
#include "proxy/admin/sql_texts.hpp"
#include "proxy/version.hpp"

namespace proxy {
namespace {

using namespace std::string_view_literals;

/// None of SQLite's touches a file, a setting or the clock of another time zone, or works for long
/// without asking whether it is to end: printf('%.900000000c') does.
constexpr std::array allowed{
    "abs"sv,          "avg"sv,          "coalesce"sv, "count"sv,      "cume_dist"sv, "date"sv,       "dense_rank"sv,
    "first_value"sv,  "group_concat"sv, "ifnull"sv,   "iif"sv,        "lag"sv,       "last_value"sv, "lead"sv,
    "length"sv,       "lower"sv,        "max"sv,      "min"sv,        "nth_value"sv, "ntile"sv,      "nullif"sv,
    "percent_rank"sv, "rank"sv,         "round"sv,    "row_number"sv, "sign"sv,      "strftime"sv,   "substr"sv,
    "substring"sv,    "sum"sv,          "total"sv,    "typeof"sv,     "upper"sv};

std::string_view text_of(sqlite3_value* value) {
    const auto* const bytes = reinterpret_cast<const char*>(sqlite3_value_text(value));
    return bytes ? std::string_view(bytes, static_cast<std::size_t>(sqlite3_value_bytes(value))) : std::string_view();
}

bool is_null(sqlite3_value* value) { return sqlite3_value_type(value) == SQLITE_NULL; }

void give(sqlite3_context* context, std::string_view text) {
    sqlite3_result_text64(context, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// A byte of a pattern: itself, one of any kind, or any number of those.
struct Part {
    enum class Kind { byte, one, many };
    Kind kind;
    char byte;
};

/// `escape`: takes the next byte as it is; NUL: none does.
std::vector<Part> like_pattern(std::string_view pattern, char escape) {
    std::vector<Part> parts;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const bool escaped = escape != '\0' && pattern[i] == escape && i + 1 < pattern.size();
        if (escaped) ++i;
        if (!escaped && pattern[i] == '%') {
            parts.push_back({Part::Kind::many, 0});
        } else if (!escaped && pattern[i] == '_') {
            parts.push_back({Part::Kind::one, 0});
        } else {
            parts.push_back({Part::Kind::byte, pattern[i]});
        }
    }
    return parts;
}

/// What psql makes of a name's pattern: "^(a.*b)$", or "^pg_toast". nullopt: more than that.
std::optional<std::vector<Part>> psql_pattern(std::string_view pattern) {
    std::vector<Part> parts;
    const bool from_begin = pattern.starts_with('^');
    if (from_begin) pattern.remove_prefix(1);
    const bool to_end = pattern.ends_with('$');
    if (to_end) pattern.remove_suffix(1);
    if (pattern.starts_with('(') && pattern.ends_with(')')) pattern = pattern.substr(1, pattern.size() - 2);
    if (!from_begin) parts.push_back({Part::Kind::many, 0});
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const bool repeats = i + 1 < pattern.size() && pattern[i + 1] == '*';
        if (pattern[i] == '.') {
            parts.push_back({repeats ? Part::Kind::many : Part::Kind::one, 0});
            if (repeats) ++i;
        } else if (pattern[i] == '\\' && i + 1 < pattern.size()) {
            parts.push_back({Part::Kind::byte, pattern[++i]});
        } else if (repeats || "()[]{}|*+?^$\\"sv.find(pattern[i]) != std::string_view::npos) {
            return std::nullopt;
        } else {
            parts.push_back({Part::Kind::byte, pattern[i]});
        }
    }
    if (!to_end) parts.push_back({Part::Kind::many, 0});
    return parts;
}

constexpr unsigned characters_between_looks = 4096;

const SqlConnection& connection_of(sqlite3_context* context) {
    return *static_cast<const SqlConnection*>(sqlite3_user_data(context));
}

/// In at most as many steps as the one is long times the other. nullopt: the statement is to end.
std::optional<bool> matches(const SqlConnection& connection, std::string_view text, const std::vector<Part>& pattern,
                            bool any_case) {
    unsigned steps = 0;
    std::size_t t = 0;
    std::size_t p = 0;
    std::optional<std::size_t> star;  // the last that takes any number, and where it began to
    std::size_t star_text = 0;
    const auto fits = [&](const Part& part, char c) {
        if (part.kind == Part::Kind::one) return true;
        return part.kind == Part::Kind::byte && (any_case ? lower(part.byte) == lower(c) : part.byte == c);
    };
    while (t < text.size()) {
        if (++steps % characters_between_looks == 0 && connection.is_over()) return std::nullopt;
        if (p < pattern.size() && pattern[p].kind == Part::Kind::many) {
            star = p++;
            star_text = t;
        } else if (p < pattern.size() && fits(pattern[p], text[t])) {
            ++p;
            ++t;
        } else if (star) {
            p = *star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p].kind == Part::Kind::many) ++p;
    return p == pattern.size();
}

void give_match(sqlite3_context* context, std::string_view text, const std::vector<Part>& pattern, bool any_case) {
    const auto matched = matches(connection_of(context), text, pattern, any_case);
    if (!matched) return sqlite3_result_error_code(context, SQLITE_INTERRUPT);
    sqlite3_result_int(context, *matched ? 1 : 0);
}

constexpr std::size_t max_pattern = 1000;

/// SQLite gives the pattern first: LIKE, and ILIKE, which stands as MATCH.
template <bool any_case>
void like(sqlite3_context* context, int count, sqlite3_value** values) {
    if (is_null(values[0]) || is_null(values[1]) || (count > 2 && is_null(values[2]))) return;
    const std::string_view pattern = text_of(values[0]);
    if (pattern.size() > max_pattern) return sqlite3_result_error_toobig(context);
    const std::string_view escape = count > 2 ? text_of(values[2]) : "\\";
    const auto parts = like_pattern(pattern, escape.empty() ? '\0' : escape.front());
    give_match(context, text_of(values[1]), parts, any_case);
}

void regexp(sqlite3_context* context, int, sqlite3_value** values) {
    if (is_null(values[0]) || is_null(values[1])) return;
    const std::string_view pattern = text_of(values[0]);
    if (pattern.size() > max_pattern) return sqlite3_result_error_toobig(context);
    const auto parts = psql_pattern(pattern);
    if (!parts)
        return sqlite3_result_error(context, "the console's regular expressions are literals, \".\" and \".*\"", -1);
    give_match(context, text_of(values[1]), *parts, false);
}

void now(sqlite3_context* context, int, sqlite3_value**) {
    const auto time = std::chrono::system_clock::now().time_since_epoch();
    sqlite3_result_int64(context, std::chrono::duration_cast<std::chrono::microseconds>(time).count());
}

void version_text(sqlite3_context* context, int, sqlite3_value**) {
    give(context, "PostgreSQL 14.0 (the console of pgairlock " + version() + ")");
}

void database_name(sqlite3_context* context, int, sqlite3_value**) { give(context, "pgairlock"); }
void schema_name(sqlite3_context* context, int, sqlite3_value**) { give(context, "public"); }
void user_name(sqlite3_context* context, int, sqlite3_value**) { give(context, connection_of(context).user()); }
void owner_name(sqlite3_context* context, int, sqlite3_value**) { give(context, "pgairlock"); }
void yes(sqlite3_context* context, int, sqlite3_value**) { sqlite3_result_int(context, 1); }
void nothing(sqlite3_context*, int, sqlite3_value**) {}
void zero(sqlite3_context* context, int, sqlite3_value**) { sqlite3_result_int(context, 0); }
void utf8(sqlite3_context* context, int, sqlite3_value**) { give(context, "UTF8"); }

/// age(x): since then; age(x, y): between them. In microseconds.
void age(sqlite3_context* context, int count, sqlite3_value** values) {
    if (is_null(values[0]) || (count > 1 && is_null(values[1]))) return;
    const auto current = std::chrono::system_clock::now().time_since_epoch();
    const std::int64_t to = count > 1 ? sqlite3_value_int64(values[0])
                                      : std::chrono::duration_cast<std::chrono::microseconds>(current).count();
    sqlite3_result_int64(context, to - sqlite3_value_int64(values[count > 1 ? 1 : 0]));
}

void concat(sqlite3_context* context, int count, sqlite3_value** values) {
    std::string text;
    for (int i = 0; i < count; ++i) {
        text += text_of(values[i]);
        if (text.size() > max_sql_text) return sqlite3_result_error_toobig(context);
    }
    give(context, text);
}

void instr(sqlite3_context* context, int, sqlite3_value** values) {
    if (is_null(values[0]) || is_null(values[1])) return;
    sqlite3_result_int64(context, static_cast<std::int64_t>(place_of(text_of(values[1]), text_of(values[0]))));
}

void replace(sqlite3_context* context, int, sqlite3_value** values) {
    if (is_null(values[0]) || is_null(values[1]) || is_null(values[2])) return;
    const auto text = replaced(text_of(values[0]), text_of(values[1]), text_of(values[2]), max_sql_text);
    if (!text) return sqlite3_result_error_toobig(context);
    give(context, *text);
}

template <bool from_begin, bool from_end>
void trim(sqlite3_context* context, int count, sqlite3_value** values) {
    if (is_null(values[0]) || (count > 1 && is_null(values[1]))) return;
    give(context, trimmed(text_of(values[0]), count > 1 ? text_of(values[1]) : " ", from_begin, from_end));
}

/// Of an array as a text, which is empty here or NULL.
void first_argument(sqlite3_context* context, int, sqlite3_value** values) { sqlite3_result_value(context, values[0]); }

/// As it is written in SQL.
template <char quote>
void quoted(sqlite3_context* context, int, sqlite3_value** values) {
    if (is_null(values[0])) return;
    const std::string_view value = text_of(values[0]);
    const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
    if (quote == '"' && !value.empty() && !(value[0] >= '0' && value[0] <= '9') &&
        std::all_of(value.begin(), value.end(), is_plain))
        return give(context, value);
    std::string text(1, quote);
    for (const char c : value) text.append(c == quote ? 2 : 1, c);
    give(context, text + quote);
}

/// Of what all clients are told alike.
void current_setting(sqlite3_context* context, int, sqlite3_value** values) {
    const std::string_view wanted = text_of(values[0]);
    for (const auto& [name, value] : shown_settings({})) {
        if (name == wanted && name != "statement_timeout") return give(context, value);
    }
}

struct TypeText {
    std::int64_t oid;
    std::string_view name;
};
/// PostgreSQL's names of them, as psql shows them.
constexpr std::array type_texts{
    TypeText{16, "boolean"},
    TypeText{19, "name"},
    TypeText{20, "bigint"},
    TypeText{21, "smallint"},
    TypeText{23, "integer"},
    TypeText{25, "text"},
    TypeText{26, "oid"},
    TypeText{28, "xid"},
    TypeText{701, "double precision"},
    TypeText{869, "inet"},
    TypeText{1184, "timestamp with time zone"},
    TypeText{1186, "interval"},
    TypeText{1700, "numeric"},
};
void format_type(sqlite3_context* context, int, sqlite3_value** values) {
    if (is_null(values[0])) return;
    const std::int64_t oid = sqlite3_value_int64(values[0]);
    const auto found =
        std::find_if(type_texts.begin(), type_texts.end(), [oid](const TypeText& one) { return one.oid == oid; });
    give(context, found == type_texts.end() ? "???" : found->name);
}

struct Function {
    const char* name;
    int arguments;  ///< -1: any number
    void (*call)(sqlite3_context*, int, sqlite3_value**);
};
constexpr std::array functions{
    Function{"like", 2, like<false>},
    Function{"like", 3, like<false>},
    Function{"match", 2, like<true>},
    Function{"regexp", 2, regexp},
    Function{"now", 0, now},
    Function{"clock_timestamp", 0, now},
    Function{"age", 1, age},
    Function{"age", 2, age},
    Function{"concat", -1, concat},
    Function{"instr", 2, instr},
    Function{"replace", 3, replace},
    Function{"trim", 1, trim<true, true>},
    Function{"trim", 2, trim<true, true>},
    Function{"ltrim", 1, trim<true, false>},
    Function{"ltrim", 2, trim<true, false>},
    Function{"rtrim", 1, trim<false, true>},
    Function{"rtrim", 2, trim<false, true>},
    Function{"version", 0, version_text},
    Function{"current_database", 0, database_name},
    Function{"current_catalog", 0, database_name},
    Function{"current_schema", 0, schema_name},
    Function{"current_user", 0, user_name},
    Function{"session_user", 0, user_name},
    Function{"pg_get_userbyid", 1, owner_name},
    Function{"pg_table_is_visible", 1, yes},
    Function{"pg_type_is_visible", 1, yes},
    Function{"pg_function_is_visible", 1, yes},
    Function{"pg_is_in_recovery", 0, zero},
    Function{"pg_backend_pid", 0, zero},
    Function{"pg_advisory_unlock_all", 0, nothing},
    Function{"pg_encoding_to_char", 1, utf8},
    Function{"obj_description", 1, nothing},
    Function{"obj_description", 2, nothing},
    Function{"col_description", 2, nothing},
    Function{"shobj_description", 2, nothing},
    Function{"array_to_string", 2, first_argument},
    Function{"array_to_string", 3, first_argument},
    Function{"array_length", 2, nothing},
    Function{"array_upper", 2, nothing},
    Function{"quote_ident", 1, quoted<'"'>},
    Function{"quote_literal", 1, quoted<'\''>},
    Function{"format_type", 2, format_type},
    Function{"pg_get_expr", 2, nothing},
    Function{"pg_get_expr", 3, nothing},
    Function{"pg_get_viewdef", 1, nothing},
    Function{"pg_get_viewdef", 2, nothing},
    Function{"pg_get_function_result", 1, nothing},
    Function{"pg_get_function_arguments", 1, nothing},
    Function{"pg_get_function_identity_arguments", 1, nothing},
    Function{"pg_get_constraintdef", 1, nothing},
    Function{"pg_get_constraintdef", 2, nothing},
    Function{"pg_get_indexdef", 1, nothing},
    Function{"pg_get_indexdef", 3, nothing},
    Function{"pg_get_ruledef", 1, nothing},
    Function{"pg_get_ruledef", 2, nothing},
    Function{"pg_get_triggerdef", 1, nothing},
    Function{"pg_get_triggerdef", 2, nothing},
    Function{"pg_get_partkeydef", 1, nothing},
    Function{"pg_size_pretty", 1, nothing},
    Function{"pg_table_size", 1, nothing},
    Function{"pg_relation_size", 1, nothing},
    Function{"pg_total_relation_size", 1, nothing},
    Function{"pg_database_size", 1, nothing},
    Function{"pg_tablespace_size", 1, nothing},
    Function{"pg_tablespace_location", 1, nothing},
    Function{"pg_opclass_is_visible", 1, yes},
    Function{"pg_operator_is_visible", 1, yes},
    Function{"pg_collation_is_visible", 1, yes},
    Function{"pg_statistics_obj_is_visible", 1, yes},
    Function{"has_database_privilege", 2, yes},
    Function{"has_database_privilege", 3, yes},
    Function{"has_schema_privilege", 2, yes},
    Function{"has_schema_privilege", 3, yes},
    Function{"has_table_privilege", 2, yes},
    Function{"has_table_privilege", 3, yes},
    Function{"has_tablespace_privilege", 2, yes},
    Function{"current_setting", 1, current_setting},
    Function{"current_setting", 2, current_setting},
    Function{"pg_my_temp_schema", 0, zero},
    Function{"pg_is_other_temp_schema", 1, zero},
    Function{"inet_server_addr", 0, nothing},
    Function{"inet_server_port", 0, nothing},
    Function{"inet_client_addr", 0, nothing},
    Function{"inet_client_port", 0, nothing},
};

bool equal(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

void add_sql_functions(sqlite3* db, const SqlConnection& connection) {
    for (const Function& function : functions) {
        sqlite3_create_function_v2(db, function.name, function.arguments, SQLITE_UTF8 | SQLITE_INNOCUOUS,
                                   const_cast<SqlConnection*>(&connection), function.call, nullptr, nullptr, nullptr);
    }
}

bool is_sql_function(std::string_view name) noexcept {
    const auto is_it = [name](std::string_view known) { return equal(known, name); };
    return std::any_of(allowed.begin(), allowed.end(), is_it) ||
           std::any_of(functions.begin(), functions.end(), [&](const Function& one) { return is_it(one.name); });
}

}  // namespace proxy
