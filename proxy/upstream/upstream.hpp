// One verified connection to a server: addresses in order, sslmode's meaning as libpq's, and never
// less than it demands.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "protocol/messages.hpp"
#include "protocol/startup.hpp"
#include "proxy/observation/reason.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/upstream/attempts.hpp"
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
};

/// Where a connection leads and how it came about.
struct Reached {
    asio::generic::stream_protocol::endpoint endpoint{};
    std::string host{};     ///< the name its certificate was verified against
    std::string address{};  ///< "10.0.0.1:5432", for reports
    tls::ServerTls tls{};
    std::chrono::microseconds resolve{0};
    std::chrono::microseconds connect{0};
    std::chrono::microseconds tls_time{0};
    bool prewarmed = false;  ///< made before its client came
};

/// A server connection that is ready for a StartupMessage: encrypted and verified as the sslmode of
/// its upstream demands, because nobody but Connector can make one.
class VerifiedConnection {
   public:
    std::unique_ptr<tls::Stream> stream;
    Reached reached;

   private:
    friend class Connector;
    VerifiedConnection(std::unique_ptr<tls::Stream> s, Reached r) : stream(std::move(s)), reached(std::move(r)) {}
};

using Connected = std::variant<VerifiedConnection, UpstreamFailure>;

/// Makes connections, one at a time, and can be told to stop.
class Connector {
   public:
    using Endpoint = asio::generic::stream_protocol::endpoint;
    using Clock = std::chrono::steady_clock;

    explicit Connector(Resolver& resolver) : resolver_(resolver) {}

    /// Does what `attempts` says until there is a connection to log in through, or nothing else is
    /// left; each address gets connect_timeout, and all together have until `deadline`.
    tls::Awaitable<Connected> connect(Attempts& attempts, const UpstreamRoute& route, Clock::time_point deadline);
    /// One address only, such as the one that owns a cancel key.
    tls::Awaitable<Connected> connect_address(const UpstreamRoute& route, const Endpoint& endpoint,
                                              const std::string& host, Encryption encryption);
    /// Ends what is being tried, which fails with `why`; from now on everything does. On the
    /// thread of the connection.
    void abort(std::string why);

   private:
    using Attempted = std::variant<VerifiedConnection, AttemptFailure>;

    tls::Awaitable<Attempted> attempt(const UpstreamRoute& route, Reached to, Encryption encryption,
                                      Clock::time_point deadline);
    tls::Awaitable<Resolved> resolve(const config::Address& host, Clock::time_point deadline);

    Resolver& resolver_;
    tls::Stream* connecting_ = nullptr;       // the one that an attempt is waiting for
    std::shared_ptr<tls::Timer> looking_up_;  // while a name is
    std::string aborted_;                     // why; empty: it has not been
};

}  // namespace proxy
