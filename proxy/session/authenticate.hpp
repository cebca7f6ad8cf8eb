// The I/O of a login: moves whole messages between two streams as protocol::Login says.
#pragma once

#include <functional>
#include <optional>

#include "protocol/login.hpp"
#include "tls/stream.hpp"

namespace proxy {

enum class LoginEnd {
    established,  // ReadyForQuery has been passed on, and every byte that came with it
    denied,       // the server's ErrorResponse has been passed on
    retry,        // the server refused at once, and nothing was passed on
    failed,       // login.fault()
    no_key,       // derive_key had none
    client_closed,
    server_closed,
};

struct LoginOptions {
    protocol::Bytes startup;  ///< the client's StartupMessage, passed on first
    /// The salted password; nullopt when there is none in time.
    std::function<tls::Awaitable<std::optional<protocol::ScramKey>>(protocol::KeyDerivation)> derive_key = {};
    bool may_retry = false;             ///< a refusal that is the server's first message is kept from the client
    std::function<void()> on_key = {};  ///< called before BackendKeyData is passed on: the client may cancel at once
    std::function<void()> on_established = {};  ///< called before ReadyForQuery is passed on
    std::function<void()> on_denied = {};       ///< called before the server's ErrorResponse is passed on
};

/// Throws tls::StreamError when a leg breaks, which says which one it was.
tls::Awaitable<LoginEnd> authenticate(tls::Stream& client, tls::Stream& server, protocol::Login& login,
                                      LoginOptions options);

}  // namespace proxy
