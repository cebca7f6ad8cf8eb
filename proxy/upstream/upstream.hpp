// One verified connection to a server: addresses in order, sslmode's meaning as libpq's, and never
// less than it demands.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/messages.hpp"
#include "protocol/startup.hpp"
#include "proxy/observation/reason.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/upstream/resolver.hpp"
#include "tls/stream.hpp"

namespace proxy {

/// What a client is told, and what the audit says, when there is no server connection.
struct UpstreamFailure {
    Reason reason = Reason::none;
    protocol::ErrorResponse response;
    std::string address;       ///< the one that `response` speaks of
    std::string error;         ///< every attempt, "; " between them
    std::string verify_error;  ///< set when a certificate was refused
    bool may_try_clear =
        false;  ///< TLS was the matter, and nothing looked like an attack: libpq's prefer would go on in clear
};

/// A server connection that is ready for a StartupMessage.
struct UpstreamConnection {
    std::unique_ptr<tls::Stream> stream;
    asio::generic::stream_protocol::endpoint endpoint;
    std::string host;
    std::string address;
    tls::ServerTls tls;
    std::chrono::microseconds resolve{0};
    std::chrono::microseconds connect{0};
    std::chrono::microseconds tls_time{0};
    bool prewarmed = false;                  ///< made before its client came
    std::optional<UpstreamFailure> failure;  ///< set: there is no stream
};

/// In what order sslmode asks for TLS (true) and clear text (false).
std::vector<bool> encryption_attempts(protocol::SslMode mode);

/// Tries every address of every host with `encrypted`, each within connect_timeout and all before
/// `deadline`. When sslmode allows clear text too, a server's 'N' is taken as the answer, as
/// libpq's prefer does.
tls::Awaitable<UpstreamConnection> connect_upstream(Resolver& resolver, const UpstreamRoute& route, bool encrypted,
                                                    std::chrono::steady_clock::time_point deadline);

/// One address only: the one that owns a cancel key.
tls::Awaitable<UpstreamConnection> connect_address(const UpstreamRoute& route,
                                                   const asio::generic::stream_protocol::endpoint& endpoint,
                                                   const std::string& host, bool encrypted);

}  // namespace proxy
