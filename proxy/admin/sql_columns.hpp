// Of which types the columns of a statement are, and what PostgreSQL would call them: as far as can
// be told from its text. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proxy/admin/sql_rewrite.hpp"
#include "proxy/admin/sql_tokens.hpp"

namespace proxy {

struct SqlColumns {
    /// nullopt: not known. Empty: nothing is (SELECT *).
    std::vector<std::optional<protocol::ColumnType>> types{};
    /// Empty: they have one of their own.
    std::vector<std::string> names{};
};

/// `tokens`: as SQLite is given them.
SqlColumns sql_columns(const std::vector<SqlToken>& tokens, const SqlNames& names);

}  // namespace proxy
