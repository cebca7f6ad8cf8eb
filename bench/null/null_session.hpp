// The I/O of one client of the null backend: negotiation as a PostgreSQL server does it, then
// whatever NullBackend says.
#pragma once

#include "tls/listener_context.hpp"
#include "tls/stream.hpp"

namespace bench {

/// Serves the client until either closes, and never throws. `tls` nullptr: SSLRequest is answered
/// with 'N'.
tls::Awaitable<> serve_client(tls::Socket socket, const tls::ListenerContext* tls);

}  // namespace bench
