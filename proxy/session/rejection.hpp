// What a client is told when it is refused, as PostgreSQL would put it: what happened, and what to
// do about it.
#pragma once

#include <string>

#include "protocol/messages.hpp"
#include "proxy/observation/reason.hpp"

namespace proxy {

/// Why a connection is refused: told to the client as an ErrorResponse and to the audit as a
/// reason.
struct Refusal {
    Reason reason = Reason::none;
    protocol::ErrorResponse response;
};

/// `usename`: whose login it was, if it had come so far.
Refusal refusal(protocol::Fault fault, const std::string& usename);
/// For a reason whose sentence needs nothing beside it.
Refusal refusal(Reason reason);
Refusal address_not_allowed(const std::string& listener, const std::string& address);
/// `key`: of [runtime], the limit that is reached.
Refusal too_many_connections(const std::string& key);

}  // namespace proxy
