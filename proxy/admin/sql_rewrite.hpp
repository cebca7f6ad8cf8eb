// PostgreSQL's SQL as SQLite's, as far as that is cheap: casts, schemas in front of names, ILIKE
// and the regular expressions of psql, times as numbers, and of what types the results are. What it
// does not know is left as it is, for SQLite to refuse. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/backend_messages.hpp"

namespace proxy {

/// What a statement may speak of.
struct SqlNames {
    /// Of a column, whichever relation it is in: one name has one type. nullopt: there is none.
    std::function<std::optional<protocol::ColumnType>(std::string_view column)> type;
    std::function<bool(std::string_view name)> is_relation;
};

struct RewrittenSql {
    std::string text{};  ///< for SQLite
    /// Of the parameters $1, $2, ...: what they are compared with, or cast to; text where nobody
    /// knows.
    std::vector<protocol::ColumnType> parameters{};
    /// Of the columns that the statement gives; nullopt: not known. Empty: nothing is (SELECT *).
    std::vector<std::optional<protocol::ColumnType>> types{};
    /// What PostgreSQL would call those that have no name of their own; empty: they have.
    std::vector<std::string> names{};
    /// A relation of pg_catalog or information_schema that is none here: the first.
    std::string unknown_relation{};
    std::vector<std::string> relations{};  ///< that are named, each once
    bool too_long = false;
    std::string too_complex{};  ///< what makes it so, for people; empty: it is not
};

/// A longer statement is not looked at, and `too_long`: it would take too long.
inline constexpr std::size_t max_sql = 32 * 1024;

RewrittenSql rewrite_sql(std::string_view sql, const SqlNames& names);

/// PostgreSQL's name of a type, as in a cast; nullopt: there is none of that name here.
std::optional<protocol::ColumnType> type_named(std::string_view name);

}  // namespace proxy
