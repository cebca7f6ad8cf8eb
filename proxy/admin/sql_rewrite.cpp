#include "proxy/admin/sql_rewrite.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "protocol/console_value.hpp"
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
/// Of expressions whose type is looked for.
constexpr int max_nested = 20;

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
        translate_words();
        translate_casts();
        translate_literals();
        find_parameters();
        describe_columns();
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

    void translate_words() {
        Tokens kept;
        for (std::size_t i = 0; i < in_.size(); ++i) {
            const SqlToken& token = in_[i];
            const bool is_called = is(i + 1, "(");
            const bool is_qualified = i > 0 && in_[i - 1].is(".");
            if (token.is("operator") && is_called && at(i + 3) && is(i + 3, ")")) {
                push_operator(kept, in_[i + 2]);
                i += 3;
            } else if (token.is("collate") && at(i + 1)) {
                ++i;  // there is one collation, the plain one
            } else if (token.is("ilike")) {
                kept.push_back(sql_word("MATCH"));
            } else if (token.kind == Kind::symbol) {
                push_operator(kept, token);
            } else if (token.is("e") && at(i + 1) && in_[i + 1].kind == Kind::string &&
                       in_[i + 1].text.find('\\') == std::string::npos) {
                continue;  // E'...' that needs none
            } else if (!is_called && !is_qualified &&
                       (token.is("current_user") || token.is("session_user") || token.is("current_catalog") ||
                        token.is("current_schema") || token.is("current_timestamp"))) {
                kept.push_back(sql_word(token.is("current_timestamp") ? "now" : token.text));
                kept.push_back(sql_symbol("("));
                kept.push_back(sql_symbol(")"));
            } else {
                kept.push_back(token);
            }
        }
        in_ = std::move(kept);
    }

    static void push_operator(Tokens& kept, const SqlToken& op) {
        if (op.text == "~") {
            kept.push_back(sql_word("REGEXP"));
        } else if (op.text == "!~") {
            kept.push_back(sql_word("NOT"));
            kept.push_back(sql_word("REGEXP"));
        } else if (op.text == "~~") {
            kept.push_back(sql_word("LIKE"));
        } else if (op.text == "!~~") {
            kept.push_back(sql_word("NOT"));
            kept.push_back(sql_word("LIKE"));
        } else {
            kept.push_back(op);
        }
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

    /// What stands between the outer SELECT and its FROM, cut at the commas.
    void describe_columns() {
        std::size_t i = 0;
        int depth = 0;
        for (; i < in_.size(); ++i) {  // behind WITH ...
            if (in_[i].is("(")) ++depth;
            if (in_[i].is(")")) --depth;
            if (depth == 0 && in_[i].is("select")) break;
        }
        if (is(i + 1, "distinct") || is(i + 1, "all")) ++i;
        std::size_t begin = ++i;
        for (; i <= in_.size(); ++i) {
            const bool ends =
                i == in_.size() ||
                (depth == 0 && (in_[i].is("from") || in_[i].is("union") || in_[i].is("where") || in_[i].is("order") ||
                                in_[i].is("limit") || in_[i].is("except") || in_[i].is("intersect") || in_[i].is(";")));
            if (ends || (depth == 0 && in_[i].is(","))) {
                if (begin >= in_.size() || i == begin) break;
                if (!describe(begin, i)) break;  // "*", whose columns are known by their names
                begin = i + 1;
            }
            if (ends) return;
            if (in_[i].is("(")) ++depth;
            if (in_[i].is(")")) --depth;
        }
        out_.types.clear();
        out_.names.clear();
    }

    /// False: nobody knows how many columns it is.
    bool describe(std::size_t begin, std::size_t end) {
        if (is(end - 1, "*") && (end - begin == 1 || is(end - 2, "."))) return false;
        bool has_name = false;
        if (end - begin >= 3 && is(end - 2, "as")) {
            end -= 2;
            has_name = true;
        } else if (end - begin >= 2 && in_[end - 1].is_name() && !is(end - 2, ".") && !is(end - 1, "end") &&
                   !is(end - 1, "null") && !is(end - 1, "true") && !is(end - 1, "false") &&
                   (in_[end - 2].is(")") || in_[end - 2].kind != Kind::symbol)) {
            --end;
            has_name = true;
        }
        out_.types.push_back(type_of(begin, end));
        out_.names.push_back(has_name ? "" : name_of_expression(begin, end));
        return true;
    }

    /// As PostgreSQL names a column: by the function, or by what is cast.
    std::string name_of_expression(std::size_t begin, std::size_t end) const {
        if (is(begin, "cast") && is(begin + 1, "(") && at(begin + 2)) {
            const SqlToken* inner = at(begin + 2);
            std::size_t i = begin + 2;
            while (is(i + 1, ".")) i += 2;
            if (inner->is_name() && is(i + 1, "as")) return in_[i].value;
            if (inner->is_name() && is(i + 1, "(")) return in_[i].value;
            return is(end - 2, "integer") ? "int4" : is(end - 2, "real") ? "float8" : "text";
        }
        if (is_name_alone(begin, end)) return {};
        if (is_call(begin, end)) return in_[begin].value;
        if (is(begin, "case")) return "case";
        return "?column?";
    }

    bool is_name_alone(std::size_t begin, std::size_t end) const {
        for (std::size_t i = begin; i < end; ++i) {
            if ((i - begin) % 2 == 0 ? !in_[i].is_name() : !in_[i].is(".")) return false;
        }
        return !is(begin, "null") && !is(begin, "true") && !is(begin, "false");
    }

    /// All of it: f(...).
    bool is_call(std::size_t begin, std::size_t end) const {
        if (end - begin < 3 || !in_[begin].is_name() || !is(begin + 1, "(") || !is(end - 1, ")")) return false;
        int depth = 0;
        for (std::size_t i = begin + 1; i < end; ++i) {
            if (in_[i].is("(")) ++depth;
            if (in_[i].is(")") && --depth == 0) return i == end - 1;
        }
        return false;
    }

    std::optional<ColumnType> type_of(std::size_t begin, std::size_t end, int within = 0) const {
        if (begin >= end || within > max_nested) return std::nullopt;
        if (is_name_alone(begin, end)) return names_.type(in_[end - 1].value);
        if (end - begin == 1 && in_[begin].kind == Kind::number) return type_named(in_[begin].value);
        int depth = 0;
        bool in_brackets = is(begin, "(");
        for (std::size_t i = begin; i < end; ++i) {
            if (in_[i].is("(")) ++depth;
            if (in_[i].is(")")) --depth;
            if (depth == 0 && i + 1 < end) in_brackets = false;
            if (depth == 0 && i > begin && (in_[i].is("-") || in_[i].is("+")))
                return difference(type_of(begin, i, within + 1), type_of(i + 1, end, within + 1));
        }
        if (in_brackets) return type_of(begin + 1, end - 1, within + 1);
        if (!is_call(begin, end)) return std::nullopt;
        if (is(begin, "now") || is(begin, "clock_timestamp") || is(begin, "current_timestamp"))
            return ColumnType::timestamptz;
        if (is(begin, "count")) return ColumnType::int8;
        if (is(begin, "cast")) return std::nullopt;
        for (const std::string_view same : {"max"sv, "min"sv, "coalesce"sv, "nullif"sv}) {
            if (is(begin, same) && column_from(begin + 2)) return column_from(begin + 2);
        }
        if (is(begin, "age")) return ColumnType::interval;
        return std::nullopt;
    }

    /// Of times and their differences.
    static std::optional<ColumnType> difference(std::optional<ColumnType> left, std::optional<ColumnType> right) {
        if (left == ColumnType::timestamptz) return right == left ? ColumnType::interval : ColumnType::timestamptz;
        if (left == ColumnType::interval) return right == ColumnType::timestamptz ? right : left;
        return std::nullopt;
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
    return Rewriting(sql_tokens(sql), names).result();
}

}  // namespace proxy
