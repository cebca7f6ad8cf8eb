// A CancelRequest on its way to the server that gave its key out.
#pragma once

#include <memory>
#include <string>

#include "proxy/session/cancel_registry.hpp"
#include "proxy/upstream/upstream.hpp"

namespace proxy {

/// Sends the request, and waits until the server has acted on it. Returns why it was not delivered;
/// empty: it was, however the server behaved after that. Never throws.
/// `server` holds the connection meanwhile, so that whoever ends the session can close it.
tls::Awaitable<std::string> deliver_cancel(Connector& connector, const CancelTarget& target,
                                           const protocol::CancelRequest& request,
                                           std::unique_ptr<tls::Stream>& server);

}  // namespace proxy
