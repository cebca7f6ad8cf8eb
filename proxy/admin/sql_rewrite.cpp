#include "proxy/admin/sql_rewrite.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "protocol/console_value.hpp"
#include "proxy/admin/sql_columns.hpp"
#include "proxy/admin/sql_complexity.hpp"
#include "proxy/admin/sql_idioms.hpp"
#include "proxy/admin/sql_tokens.hpp"

namespace proxy {
namespace {

using protocol::ColumnType;
using Kind = SqlToken::Kind;
using Tokens = std::vector<SqlToken>;
using namespace std::string_view_literals;

/// As many as PostgreSQL's protocol could number; whoever writes $70000 means nothing.
constexpr std::size_t max_parameters = 100;
/// Each takes as long as the statement is.
constexpr int max_casts = 100;

struct TypeName {
    std::string_view name;
    ColumnType type;
};
constexpr std::array type_names{
    TypeName{"bool", ColumnType::boolean},
    TypeName{"boolean", ColumnType::boolean},
    TypeName{"int2", ColumnType::int2},
    TypeName{"smallint", ColumnType::int2},
    TypeName{"int", ColumnType::int4},
    TypeName{"int4", ColumnType::int4},
    TypeName{"integer", ColumnType::int4},
    TypeName{"int8", ColumnType::int8},
    TypeName{"bigint", ColumnType::int8},
    TypeName{"oid", ColumnType::oid},
    TypeName{"xid", ColumnType::xid},
    TypeName{"float8", ColumnType::float8},
    TypeName{"float", ColumnType::float8},
    TypeName{"numeric", ColumnType::float8},
    TypeName{"text", ColumnType::text},
    TypeName{"varchar", ColumnType::text},
    TypeName{"regclass", ColumnType::text},
    TypeName{"regtype", ColumnType::text},
    TypeName{"name", ColumnType::name},
    TypeName{"inet", ColumnType::inet},
    TypeName{"timestamptz", ColumnType::timestamptz},
    TypeName{"timestamp", ColumnType::timestamptz},
    TypeName{"interval", ColumnType::interval},
};

std::string_view sqlite_type(ColumnType type) {
    switch (type) {
        case ColumnType::boolean:
        case ColumnType::int2:
        case ColumnType::int4:
        case ColumnType::int8:
        case ColumnType::oid:
        case ColumnType::xid:
        case ColumnType::timestamptz:
        case ColumnType::interval: return "INTEGER";
        case ColumnType::float8:
        case ColumnType::numeric: return "REAL";
        case ColumnType::text:
        case ColumnType::name:
        case ColumnType::inet: break;
    }
    return "TEXT";
}

bool is_comparison(const SqlToken& token) {
    for (const std::string_view op : {"="sv, "<>"sv, "!="sv, "<"sv, ">"sv, "<="sv, ">="sv}) {
        if (token.kind == Kind::symbol && token.text == op) return true;
    }
    return token.is("like") || token.is("match");
}

/// A time or a length of time that stands as a literal, as the number that it is here.
std::optional<SqlToken> as_number(const SqlToken& literal, ColumnType type) {
    if (literal.kind != Kind::string) return std::nullopt;
    if (type == ColumnType::float8 && literal.value == "NaN") {  // SQLite has none: a text, to be sent as it is
        SqlToken token = sql_number("'NaN'");
        token.value = "float8";
        return token;
    }
    std::optional<std::int64_t> number;
    if (type == ColumnType::timestamptz) number = protocol::parse_timestamp(literal.value);
    if (type == ColumnType::interval) number = protocol::parse_interval(literal.value);
    if (!number) return std::nullopt;
    SqlToken token = sql_number(std::to_string(*number));
    token.value = type == ColumnType::interval ? "interval" : "timestamptz";
    return token;
}

class Rewriting {
   public:
    Rewriting(Tokens tokens, const SqlNames& names) : in_(std::move(tokens)), names_(names) {}

    RewrittenSql result() {
        drop_schemas();
        translate_idioms(in_);
        translate_casts();
        translate_literals();
        find_parameters();
        SqlColumns columns = sql_columns(in_, names_);
        out_.types = std::move(columns.types);
        out_.names = std::move(columns.names);
        out_.text = sql_text(in_);
        return std::move(out_);
    }

   private:
    const SqlToken* at(std::size_t i) const { return i < in_.size() ? &in_[i] : nullptr; }
    bool is(std::size_t i, std::string_view what) const { return i < in_.size() && in_[i].is(what); }

    static std::string name_of(const SqlToken& token) { return token.value; }

    /// pg_catalog.x is x; and which relations are named behind FROM, JOIN and commas.
    void drop_schemas() {
        Tokens kept;
        bool names_relation = false;  // whether a relation may follow
        std::vector<bool> within_from;
        bool from = false;
        for (std::size_t i = 0; i < in_.size(); ++i) {
            const bool is_operator = i > 1 && is(i - 1, "(") && is(i - 2, "operator");  // OPERATOR(pg_catalog.~)
            const bool has_schema =
                in_[i].is_name() && is(i + 1, ".") && at(i + 2) && (is_operator || at(i + 2)->is_name());
            const std::string schema = has_schema ? name_of(in_[i]) : "";
            const bool is_catalog = schema == "pg_catalog" || schema == "information_schema";
            if (is_catalog || schema == "public") {
                i += 2;
                const std::string name = name_of(in_[i]);
                const bool known = names_.is_relation(name) && schema != "information_schema";
                if (names_relation && !is(i + 1, "(") && !known && out_.unknown_relation.empty())
                    out_.unknown_relation = schema + "." + name;
            }
            const SqlToken& token = in_[i];
            if (names_relation && token.is_name() && names_.is_relation(name_of(token))) note_relation(name_of(token));
            if (token.is("(")) {
                within_from.push_back(from);
                // What is in brackets behind FROM is a join or a subquery of its own.
                if (!names_relation) from = false;
            } else if (token.is(")")) {
                from = !within_from.empty() && within_from.back();
                if (!within_from.empty()) within_from.pop_back();
            } else if (token.is("from") || token.is("join")) {
                from = true;
            } else if (token.is("where") || token.is("group") || token.is("order") || token.is("select") ||
                       token.is("limit") || token.is("union") || token.is("having")) {
                from = false;
            }
            names_relation = token.is("from") || token.is("join") || (from && (token.is(",") || token.is("(")));
            kept.push_back(token);
        }
        in_ = std::move(kept);
    }

    void note_relation(const std::string& name) {
        if (std::find(out_.relations.begin(), out_.relations.end(), name) == out_.relations.end())
            out_.relations.push_back(name);
    }

    /// x::type is CAST(x AS type); timestamptz '...' and interval '...' are numbers.
    void translate_casts() {
        Tokens kept;
        int casts = 0;
        for (std::size_t i = 0; i < in_.size(); ++i) {
            const std::optional<ColumnType> type = at(i + 1) && in_[i + 1].kind == Kind::string && !is(i + 2, "::")
                                                       ? type_named(in_[i].value)
                                                       : std::nullopt;
            const bool is_typed = in_[i].kind == Kind::word && type;
            if (const auto number = is_typed ? as_number(in_[i + 1], *type) : std::nullopt) {
                kept.push_back(*number);
                ++i;
                continue;
            }
            if (!in_[i].is("::") || kept.empty() || !at(i + 1) || !in_[i + 1].is_name() || ++casts > max_casts) {
                kept.push_back(in_[i]);
                continue;
            }
            const auto to = type_named(in_[i + 1].value).value_or(ColumnType::text);
            i += 1 + type_arguments(i + 2);
            cast(kept, to);
        }
        in_ = std::move(kept);
    }

    /// How many tokens "(10, 2)" or "[]" behind a type's name are.
    std::size_t type_arguments(std::size_t i) const {
        if (!is(i, "(") && !is(i, "[")) return 0;
        std::size_t n = 1;
        while (at(i + n) && !is(i + n - 1, ")") && !is(i + n - 1, "]")) ++n;
        return n;
    }

    void cast(Tokens& kept, ColumnType to) {
        if (const auto number = as_number(kept.back(), to)) {
            kept.back() = *number;
            return;
        }
        if (kept.back().kind == Kind::parameter) {
            const std::size_t number = number_of(kept.back());
            if (number > 0) casts_.resize(std::max(casts_.size(), number));
            if (number > 0) casts_[number - 1] = to;
        }
        const auto begin = kept.begin() + static_cast<std::ptrdiff_t>(operand(kept));
        const Tokens opening{sql_word("CAST"), sql_symbol("(")};
        kept.insert(begin, opening.begin(), opening.end());
        kept.push_back(sql_word("AS"));
        kept.push_back(sql_word(std::string(sqlite_type(to))));
        kept.push_back(sql_symbol(")"));
    }

    /// Where what ends with the last token begins: a literal, a name with those in front of it, or
    /// a bracket with the function's name.
    static std::size_t operand(const Tokens& tokens) {
        std::size_t i = tokens.size() - 1;
        if (tokens[i].is(")")) {
            for (int depth = 0;; --i) {
                if (tokens[i].is(")")) ++depth;
                if (tokens[i].is("(")) --depth;
                if (depth == 0 || i == 0) break;
            }
            const bool is_call =
                i > 0 && tokens[i - 1].is_name() && !tokens[i - 1].is("in") && !tokens[i - 1].is("and");
            if (is_call) --i;
        }
        while (i >= 2 && tokens[i].is_name() && tokens[i - 1].is(".")) i -= 2;
        return i;
    }

    /// A column's name that ends with token `i`.
    std::optional<ColumnType> column_type(std::size_t i) const {
        if (!at(i) || !in_[i].is_name() || is(i + 1, "(")) return std::nullopt;
        return names_.type(in_[i].value);
    }
    /// The one that begins with token `i`: a.b is b.
    std::optional<ColumnType> column_from(std::size_t i) const {
        while (is(i + 1, ".")) i += 2;
        return column_type(i);
    }

    /// The type of what token `i`, a literal or a parameter, is compared with.
    std::optional<ColumnType> compared_with(std::size_t i) const {
        if (i >= 2 && is_comparison(in_[i - 1])) {
            if (const auto type = column_type(i - 2)) return type;
        }
        if (at(i + 1) && is_comparison(in_[i + 1])) return column_from(i + 2);
        if (i >= 2 && is(i - 1, "between")) return column_type(i - 2);
        if (i >= 4 && is(i - 1, "and") && is(i - 3, "between")) return column_type(i - 4);
        if (i >= 1 && (is(i - 1, "limit") || is(i - 1, "offset"))) return ColumnType::int8;
        return std::nullopt;
    }

    void translate_literals() {
        for (std::size_t i = 0; i < in_.size(); ++i) {
            if (in_[i].kind != Kind::string) continue;
            const auto type = compared_with(i);
            const auto number = type ? as_number(in_[i], *type) : std::nullopt;
            if (number) {
                in_[i] = *number;
            } else if (type == ColumnType::boolean) {
                const std::string& value = in_[i].value;
                if (value == "t" || value == "true" || value == "on") in_[i] = sql_number("1");
                if (value == "f" || value == "false" || value == "off") in_[i] = sql_number("0");
            }
        }
    }

    static std::size_t number_of(const SqlToken& parameter) {
        std::size_t number = 0;
        std::from_chars(parameter.value.data(), parameter.value.data() + parameter.value.size(), number);
        return number <= max_parameters ? number : 0;
    }

    void find_parameters() {
        std::vector<std::optional<ColumnType>> found = casts_;
        for (std::size_t i = 0; i < in_.size(); ++i) {
            if (in_[i].kind != Kind::parameter) continue;
            const std::size_t number = number_of(in_[i]);
            if (number == 0) continue;
            found.resize(std::max(found.size(), number));
            if (!found[number - 1]) found[number - 1] = compared_with(i);
        }
        for (const auto& type : found) {
            const bool is_texty = type == ColumnType::name || type == ColumnType::inet;
            out_.parameters.push_back(is_texty ? ColumnType::text : type.value_or(ColumnType::text));
        }
    }

    Tokens in_;
    const SqlNames& names_;
    RewrittenSql out_;
    std::vector<std::optional<ColumnType>> casts_;  // of parameters
};

}  // namespace

std::optional<ColumnType> type_named(std::string_view name) {
    for (const TypeName& known : type_names) {
        if (known.name == name) return known.type;
    }
    return std::nullopt;
}

RewrittenSql rewrite_sql(std::string_view sql, const SqlNames& names) {
    if (sql.size() > max_sql) return {.text = {}, .too_long = true};
    auto tokens = sql_tokens(sql);
    if (auto why = too_complex(tokens); !why.empty()) return {.text = {}, .too_complex = std::move(why)};
    return Rewriting(std::move(tokens), names).result();
}

}  // namespace proxy
