// What a server says of itself at a login: whether it is in hot standby, and whether sessions begin
// read-only. PostgreSQL 14 and later report it (ParameterStatus `in_hot_standby` and
// `default_transaction_read_only`); others say nothing, and have to be asked, as libpq asks them.
#pragma once

#include <optional>
#include <string_view>

#include "protocol/messages.hpp"

namespace protocol {

enum class HostRole { unknown, primary, standby };

/// "unknown", "primary", "standby".
std::string_view to_string(HostRole role) noexcept;

/// What the body of a ParameterStatus message says; unknown: it is about something else.
HostRole told_role(Bytes parameter_status) noexcept;

/// The same of `default_transaction_read_only`.
std::optional<bool> told_read_only(Bytes parameter_status) noexcept;

/// What somebody needs to know of a session.
enum class RoleQuestion {
    none,
    read_only,    // SHOW transaction_read_only
    in_recovery,  // SELECT pg_catalog.pg_is_in_recovery()
};

/// The Query that asks for it.
Buffer query(RoleQuestion question);

/// What the body of its DataRow says: one column, a boolean as PostgreSQL prints it. nullopt:
/// something else.
std::optional<bool> answer(Bytes data_row) noexcept;

}  // namespace protocol
