// Going away from a server that nothing was asked of, so that it logs nothing.
#pragma once

#include "tls/stream.hpp"

namespace proxy {

/// Closes our side and waits, for two seconds at most, for the server's close: a reset would be a
/// line in its log.
tls::Awaitable<> leave(tls::Stream& stream);

}  // namespace proxy
