// What a client is told when it is refused, as PostgreSQL would put it: what happened, and what to
// do about it.
#pragma once

#include <string>

#include "protocol/fault.hpp"
#include "protocol/messages.hpp"

namespace proxy {

/// Why a connection is refused: told to the client as an ErrorResponse and to the audit as a
/// reason.
struct Refusal {
    std::string reason;
    protocol::ErrorResponse response;
};

/// `usename`: whose login it was, if it had come so far.
Refusal refusal(protocol::Fault fault, const std::string& usename = {});
Refusal shutting_down();
Refusal login_timeout();

}  // namespace proxy
