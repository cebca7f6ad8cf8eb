// What SQLite would take for ever to prepare, in which nothing interrupts it: told before it sees
// the statement. Pure.
#pragma once

#include <string>
#include <vector>

#include "proxy/admin/sql_tokens.hpp"

namespace proxy {

/// A query of WITH is prepared anew wherever it is named, and so is what it names.
inline constexpr std::size_t max_with_copies = 500;
/// Of window functions: each takes as long as there are others.
inline constexpr std::size_t max_windows = 50;

/// Why it is not to be prepared, for people; empty: it may be.
std::string too_complex(const std::vector<SqlToken>& tokens);

}  // namespace proxy
