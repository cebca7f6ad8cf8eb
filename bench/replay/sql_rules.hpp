// What may be said of SQL without understanding it: whether it is one of the statements that only
// read, and whether parts of it look as if a capture had blanked them. Both fail closed: what is
// not known to read may write, and stars that mean something are left out with those that do not.
#pragma once

#include <string_view>
#include <vector>

#include "bench/replay/sql_statement.hpp"
#include "protocol/bytes.hpp"

namespace bench::replay {

enum class Effect {
    reads,
    calls,   ///< it calls functions that are not known to read only
    writes,  ///< it may write, or cannot be read
};

/// Of all statements of `sql`, with standard_conforming_strings=on. A statement
/// does not name all that runs (views, operators, casts): sessions are played with
/// default_transaction_read_only=on as well.
Effect effect_of(std::string_view sql);

/// The prepared statements and cursors that `sql` names, in their order.
std::vector<SqlName> names_in(std::string_view sql);

/// A literal or name in it has been written over with '*', or what stands in no quotes.
bool looks_blanked(std::string_view sql);

/// It has a word that announces a secret: what a capture blanks beside it need not be long.
bool mentions_secrets(std::string_view sql);

/// A value of a parameter, or what COPY carries. `by_a_secret`: its statement mentions_secrets().
bool value_looks_blanked(protocol::Bytes value, bool by_a_secret);

}  // namespace bench::replay
