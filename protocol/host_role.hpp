// What a server says of itself at a login: whether it is in hot standby. PostgreSQL 14 and later
// report it (ParameterStatus `in_hot_standby`); others say nothing, and nothing is concluded then.
#pragma once

#include <string_view>

#include "protocol/bytes.hpp"

namespace protocol {

enum class HostRole { unknown, primary, standby };

/// "unknown", "primary", "standby".
std::string_view to_string(HostRole role) noexcept;

/// What the body of a ParameterStatus message says; unknown: it is about something else.
HostRole told_role(Bytes parameter_status) noexcept;

}  // namespace protocol
