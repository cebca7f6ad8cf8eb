// The I/O of a login: moves whole messages between two streams as protocol::Login says.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "protocol/boundary.hpp"
#include "protocol/login.hpp"
#include "tls/stream.hpp"

namespace proxy {

enum class LoginEnd {
    established,  // ReadyForQuery has been passed on, and every byte that came with it
    denied,       // the server's ErrorResponse has been passed on
    retry,        // the server refused at once, and nothing was passed on
    unwanted,     // the login has succeeded, and is_wanted was not the case: the client has not heard of it
    failed,       // login.fault()
    unanswered,   // the server said nothing until the first deadline, tls::Deadline::connect
    no_key,       // derive_key had none
    client_closed,
    server_closed,
};

struct LoginOptions {
    protocol::Bytes startup;               ///< the client's StartupMessage, passed on first
    protocol::MessageBuffer& from_client;  ///< what the client has said ahead; outlives the login
    protocol::Boundary& boundary;          ///< told what is passed on behind ReadyForQuery; outlives the login
    std::size_t& within_message;           ///< what is missing of a message that is passed on in pieces; outlives it
    /// The salted password; nullopt when there is none in time.
    std::function<tls::Awaitable<std::optional<protocol::ScramKey>>(protocol::KeyDerivation)> derive_key = {};
    /// Whether a refusal that is the server's first message is kept from the client.
    std::function<bool(const protocol::ErrorResponse& refusal)> may_retry = {};
    /// Asked once what has to be known of the server is (LoginPolicy::question).
    std::function<bool()> is_wanted = {};
    std::function<void()> on_answer = {};  ///< called at the server's first byte
    std::function<void()> on_key = {};     ///< called before BackendKeyData is passed on: the client may cancel at once
    std::function<void()> on_left = {};    ///< called when the client leaves while derive_key works: it may give up
    std::chrono::milliseconds servers_time{5000};  ///< what a server may take for what it is to say next
    /// Called at most once: when the client lets the server wait for a second, or the server takes
    /// longer than `servers_time`. It counts from when it became that side's turn, whatever bytes
    /// that says.
    std::function<void()> on_silence = {};
    std::function<void()> on_established = {};  ///< called before ReadyForQuery is passed on
    std::function<void()> on_denied = {};       ///< called before the server's ErrorResponse is passed on
};

/// Throws tls::StreamError when a leg breaks, which says which one it was.
tls::Awaitable<LoginEnd> authenticate(tls::Stream& client, tls::Stream& server, protocol::Login& login,
                                      LoginOptions options);

}  // namespace proxy
