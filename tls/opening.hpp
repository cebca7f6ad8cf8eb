// Obeys protocol::Negotiation on a stream: everything that needs no decision of whoever serves the
// client. What does is left to the caller, and named by where this returns.
#pragma once

#include <string>

#include "protocol/negotiation.hpp"
#include "tls/stream.hpp"

namespace tls {

/// Where the opening of a connection has come to.
struct Opening {
    enum class Stop {
        declining,  // an SSLRequest will be answered with 'N': note it now, before the client knows, and go on
        start_tls,  // do the handshake with a certificate of your choice; once complete tell the negotiation
                    // (tls_started), and go on
        started,    // the negotiation has a StartupMessage
        cancel,     // the negotiation has a CancelRequest
        reject,     // the negotiation has a fault
        closed,     // the client has gone; its negotiation is at what it was expected to send
    };
    Stop stop{};
    std::string error;  ///< closed: how it broke; empty: in order
};

/// Goes on with the opening until a Stop. Throws StreamError when the deadline has passed.
Awaitable<Opening> go_on(Stream& stream, protocol::Negotiation& negotiation);

}  // namespace tls
