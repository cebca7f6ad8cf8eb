#include "proxy/admin/sql_idioms.hpp"

namespace proxy {
namespace {

using Kind = SqlToken::Kind;
using Tokens = std::vector<SqlToken>;

/// Each takes as long as the statement is.
constexpr int max_arrays = 20;
/// The end of each is looked for to the end of the statement.
constexpr int max_looked_at = 20;

class Translating {
   public:
    explicit Translating(Tokens tokens) : in_(std::move(tokens)) {}

    Tokens result() {
        translate_words();
        translate_arrays();
        name_values();
        empty_unnest();
        return std::move(in_);
    }

   private:
    const SqlToken* at(std::size_t i) const { return i < in_.size() ? &in_[i] : nullptr; }
    bool is(std::size_t i, std::string_view what) const { return i < in_.size() && in_[i].is(what); }

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

    /// Behind the bracket that token `i` opens.
    std::size_t end_of_brackets(std::size_t i) const {
        int depth = 0;
        for (; i < in_.size(); ++i) {
            if (is(i, "(")) ++depth;
            if (is(i, ")") && --depth == 0) return i + 1;
        }
        return i;
    }

    /// ARRAY(SELECT x FROM ...), as psql asks for roles, is a text: '{a,b}'.
    void translate_arrays() {
        for (int left = max_arrays; left > 0; --left) {
            std::size_t begin = 0;
            while (begin < in_.size() && !(is(begin, "array") && is(begin + 1, "(") && is(begin + 2, "select")))
                ++begin;
            if (begin == in_.size()) return;
            std::size_t from = begin + 3;
            while (from < in_.size() && !is(from, "from") && !is(from, ")"))
                from = is(from, "(") ? end_of_brackets(from) : from + 1;
            static const Tokens opening = sql_tokens("'{' || coalesce(group_concat(");
            static const Tokens closing = sql_tokens("), '') || '}'");
            in_.insert(in_.begin() + static_cast<std::ptrdiff_t>(from), closing.begin(), closing.end());
            in_.insert(in_.begin() + static_cast<std::ptrdiff_t>(begin + 3), opening.begin(), opening.end());
            in_.erase(in_.begin() + static_cast<std::ptrdiff_t>(begin));
        }
    }

    /// (VALUES ...) [AS] s (a, b), as psql's \gdesc asks for types, has its columns named in a
    /// subquery here.
    void name_values() {
        int left = max_looked_at;
        for (std::size_t i = 0; i + 1 < in_.size() && left > 0; ++i) {
            if (!is(i, "(") || !is(i + 1, "values")) continue;
            --left;
            const std::size_t end = end_of_brackets(i);
            const std::size_t alias = is(end, "as") ? end + 1 : end;
            if (!at(alias) || !in_[alias].is_name() || !is(alias + 1, "(")) continue;
            Tokens columns = sql_tokens("SELECT");
            std::size_t last = alias + 2;
            for (int number = 1; at(last) && in_[last].is_name(); ++number) {
                if (number > 1) columns.push_back(sql_symbol(","));
                columns.push_back(sql_word("column" + std::to_string(number)));
                columns.push_back(sql_word("AS"));
                columns.push_back(in_[last]);
                last += is(last + 1, ",") ? 2 : 1;
            }
            if (!is(last, ")") || columns.size() == 1) continue;
            columns.push_back(sql_word("FROM"));
            columns.push_back(sql_symbol("("));
            in_.erase(in_.begin() + static_cast<std::ptrdiff_t>(alias + 1),
                      in_.begin() + static_cast<std::ptrdiff_t>(last + 1));
            in_.insert(in_.begin() + static_cast<std::ptrdiff_t>(end), sql_symbol(")"));
            in_.insert(in_.begin() + static_cast<std::ptrdiff_t>(i + 1), columns.begin(), columns.end());
            return;  // a second one is hardly ever there
        }
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

    /// FROM unnest(...) [AS] x: arrays are NULL here, of which nothing comes.
    void empty_unnest() {
        static const Tokens empty = sql_tokens("(SELECT NULL AS");
        static const Tokens end = sql_tokens("WHERE 0)");
        int left = max_looked_at;
        for (std::size_t i = 0; i + 1 < in_.size() && left > 0; ++i) {
            if (!is(i, "unnest") || !is(i + 1, "(")) continue;
            --left;
            const std::size_t after = end_of_brackets(i + 1);
            const std::size_t alias = is(after, "as") ? after + 1 : after;
            if (!at(alias) || !in_[alias].is_name()) continue;
            Tokens made = empty;
            made.push_back(in_[alias]);
            made.insert(made.end(), end.begin(), end.end());
            const auto begin = in_.begin() + static_cast<std::ptrdiff_t>(i);
            in_.erase(begin, in_.begin() + static_cast<std::ptrdiff_t>(after));
            in_.insert(in_.begin() + static_cast<std::ptrdiff_t>(i), made.begin(), made.end());
            return;  // a second one is hardly ever there
        }
    }

    Tokens in_;
};

}  // namespace

void translate_idioms(std::vector<SqlToken>& tokens) { tokens = Translating(std::move(tokens)).result(); }

}  // namespace proxy
