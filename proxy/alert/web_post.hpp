// One POST to a web server, over TLS that is verified in full unless it is of this host. No
// redirect is followed; of the answer only its head is read.
#pragma once

#include <string>

#include "proxy/alert/attempt.hpp"
#include "proxy/route/alert_route.hpp"

namespace proxy {

/// SIGPIPE has to be ignored. `id`: sent as Idempotency-Key, by which a receiver knows what it has
/// had.
AttemptResult post(const AlertRoute& route, const std::string& body, const std::string& id, const Attempt& attempt);

}  // namespace proxy
