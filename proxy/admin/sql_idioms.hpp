// What PostgreSQL's users and psql write and SQLite does not read, and can be said otherwise
// without knowing any column: ILIKE, regular expressions, OPERATOR(...), COLLATE, current_user,
// arrays of subqueries, names of VALUES' columns. Pure.
#pragma once

#include <vector>

#include "proxy/admin/sql_tokens.hpp"

namespace proxy {

void translate_idioms(std::vector<SqlToken>& tokens);

}  // namespace proxy
