#include "proxy/admin/sql_columns.hpp"

#include <algorithm>
#include <string_view>

namespace proxy {
namespace {

using protocol::ColumnType;
using Kind = SqlToken::Kind;
using namespace std::string_view_literals;

/// Of expressions whose type is looked for.
constexpr int max_nested = 20;
constexpr std::size_t max_columns = 500;

class Describing {
   public:
    Describing(const std::vector<SqlToken>& tokens, const SqlNames& names) : in_(tokens), names_(names) {}

    SqlColumns result() {
        describe_columns();
        return std::move(out_);
    }

   private:
    const SqlToken* at(std::size_t i) const { return i < in_.size() ? &in_[i] : nullptr; }
    bool is(std::size_t i, std::string_view what) const { return i < in_.size() && in_[i].is(what); }

    /// A column that begins with token `i`: a.b is b.
    std::optional<ColumnType> column_from(std::size_t i) const {
        while (is(i + 1, ".")) i += 2;
        if (!at(i) || !in_[i].is_name() || is(i + 1, "(")) return std::nullopt;
        return names_.type(in_[i].value);
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
                if (out_.names.size() == max_columns) break;  // SQLite will refuse it
                if (!describe(begin, i)) break;               // "*", whose columns are known by their names
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

    /// Unless another SELECT gives the same column something larger.
    bool is_int4(const SqlToken& number) const {
        return !has_union_ && number.value.empty() && number.text.size() < 10 &&
               number.text.find_first_not_of("0123456789") == std::string::npos;
    }

    std::optional<ColumnType> type_of(std::size_t begin, std::size_t end, int within = 0) const {
        if (begin >= end || within > max_nested) return std::nullopt;
        if (is_name_alone(begin, end)) return names_.type(in_[end - 1].value);
        if (end - begin == 1 && in_[begin].kind == Kind::number)
            return is_int4(in_[begin]) ? ColumnType::int4 : type_named(in_[begin].value);
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

    const std::vector<SqlToken>& in_;
    const SqlNames& names_;
    const bool has_union_ = std::any_of(in_.begin(), in_.end(), [](const SqlToken& one) { return one.is("union"); });
    SqlColumns out_;
};

}  // namespace

SqlColumns sql_columns(const std::vector<SqlToken>& tokens, const SqlNames& names) {
    return Describing(tokens, names).result();
}

}  // namespace proxy
