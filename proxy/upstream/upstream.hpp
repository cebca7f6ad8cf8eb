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

/// Why one address did not serve.
struct AttemptFailure {
    std::string error;
    Reason reason = Reason::server_not_reached;
    std::optional<tls::VerifyFailure> verify{};
    bool suspicious = false;  ///< bytes that no honest server sends: clear text must not be tried after them
    std::string host{};
    std::string address{};
};

/// Makes connections, one at a time, and can be told to stop.
class Connector {
   public:
    using Endpoint = asio::generic::stream_protocol::endpoint;

    explicit Connector(Resolver& resolver) : resolver_(resolver) {}

    /// Tries every address of every host with `encrypted`, each within connect_timeout and all
    /// before `deadline`. When sslmode allows clear text too, a server's 'N' is taken as the
    /// answer, as libpq's prefer does.
    tls::Awaitable<UpstreamConnection> connect(const UpstreamRoute& route, bool encrypted,
                                               std::chrono::steady_clock::time_point deadline);
    /// One address only, such as the one that owns a cancel key.
    tls::Awaitable<UpstreamConnection> connect_address(const UpstreamRoute& route, const Endpoint& endpoint,
                                                       const std::string& host, bool encrypted);
    /// Ends what is being tried, which fails with `why`; from now on everything does. On the
    /// thread of the connection.
    void abort(std::string why);

   private:
    tls::Awaitable<std::optional<AttemptFailure>> attempt(UpstreamConnection& connection, const UpstreamRoute& route,
                                                          bool encrypted,
                                                          std::chrono::steady_clock::time_point deadline);
    tls::Awaitable<Resolved> resolve(const config::Address& host, std::chrono::steady_clock::time_point deadline);

    Resolver& resolver_;
    tls::Stream* connecting_ = nullptr;       // the one that an attempt is waiting for
    std::shared_ptr<tls::Timer> looking_up_;  // while a name is
    std::string aborted_;                     // why; empty: it has not been
};

}  // namespace proxy
