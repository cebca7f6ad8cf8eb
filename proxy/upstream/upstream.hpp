// One verified connection to a server: addresses in order, sslmode's meaning as libpq's, and never
// less than it demands.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "protocol/messages.hpp"
#include "protocol/startup.hpp"
#include "proxy/observation/reason.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/upstream/attempts.hpp"
#include "proxy/upstream/host_roles.hpp"
#include "proxy/upstream/login_turns.hpp"
#include "proxy/upstream/outages.hpp"
#include "proxy/upstream/resolver.hpp"
#include "proxy/upstream/target_session.hpp"
#include "proxy/upstream/tcp_race.hpp"
#include "tls/stream.hpp"

namespace proxy {

/// What a client is told, and what the audit says, when there is no server connection.
struct UpstreamFailure {
    Reason reason = Reason::none;
    protocol::ErrorResponse response;
    std::string address;       ///< the one that `response` speaks of
    std::string error;         ///< every attempt, "; " between them
    std::string verify_error;  ///< set when a certificate was refused
    bool is_ours = false;      ///< it says nothing of the server (AttemptFailure)
    tls::Advice advice;        ///< what is known of the cause; in `response` as well
};

/// A login that was not over in time because others had their turn: `reason` is login_timeout.
UpstreamFailure waited_too_long(const UpstreamRoute& route, const std::string& host);

/// Where a connection leads and how it came about.
struct Reached {
    asio::generic::stream_protocol::endpoint endpoint{};
    std::string host{};        ///< the name its certificate was verified against
    std::string configured{};  ///< "db.internal:5432"
    std::string address{};     ///< "10.0.0.1:5432", for reports
    tls::ServerTls tls{};
    std::chrono::microseconds resolve{0};
    std::chrono::microseconds connect{0};
    std::chrono::microseconds tls_time{0};
    bool prewarmed = false;  ///< made before its client came
    bool stale = false;      ///< the name's answer was the one before (Resolver)
    /// The address has until then to answer the StartupMessage.
    std::chrono::steady_clock::time_point answer_by{};
    bool cut_short = false;  ///< which is less than connect_timeout: its client has no more time
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

/// Of a connection to a server that has a client.
SocketOptions socket_options(const config::Upstream& settings);

/// Makes the connections of one client, one at a time, and can be told to stop.
class Connector {
   public:
    using Endpoint = asio::generic::stream_protocol::endpoint;
    using Clock = std::chrono::steady_clock;

    /// `turns`: of whoever logs in; nullptr: nobody does.
    Connector(Resolver& resolver, Outages& outages, LoginTurns* turns = nullptr)
        : resolver_(resolver), outages_(outages), turns_(turns) {}

    /// From now on hosts and addresses come in the order of their roles, as far as
    /// Attempts::wanted() has any, and those whose role is known to be another are left out.
    /// Without it all are alike. `login`: of who may look again whether they still are; nullopt:
    /// nobody logs in. `roles` outlives it.
    void set_roles(HostRoles& roles, std::optional<HostRoles::Login> login) {
        roles_ = &roles;
        login_ = std::move(login);
        ordered_for_.reset();
    }
    /// From now on these are tried: those of the configuration, and those that were found by now
    /// (FoundHosts). How many they are, for Attempts. Without it: those of the configuration alone.
    std::size_t take_hosts(const UpstreamRoute& route);
    /// For the streams that it makes from now on.
    void set_tap(const tls::Tap& tap) noexcept { tap_ = tap; }
    /// Does what `attempts` says until there is a connection to log in through, or nothing else is
    /// left; each address gets connect_timeout, and all together have until `deadline`. Called
    /// again, with the same arguments, when the login says that `attempts` goes on. `on_wait` is
    /// called before a wait for a turn; nullptr: nobody needs to know.
    tls::Awaitable<Connected> connect(Attempts& attempts, const UpstreamRoute& route, Clock::time_point deadline,
                                      const std::function<void()>* on_wait = nullptr);
    /// Whether a connection to this host that is ready may be logged in through now, without
    /// waiting for a turn.
    bool may_log_in_at(const UpstreamRoute& route, const std::string& configured);
    /// The login is over, or one side keeps the other waiting: others have their turn, and look
    /// whether servers are still what they were.
    void end_turn() noexcept {
        turn_.end();
        looks_.clear();
    }
    /// The login goes on with us, and the host waits: others have their turn.
    void leave_turn() noexcept { turn_.end(); }
    /// How long it has waited for turns.
    std::chrono::microseconds waited() const noexcept { return waited_; }
    /// One address only, such as the one that owns a cancel key.
    tls::Awaitable<Connected> connect_address(const UpstreamRoute& route, const Endpoint& endpoint,
                                              const std::string& host, Encryption encryption);
    /// The server has answered the StartupMessage.
    void answered(const UpstreamRoute& route, const Reached& reached);
    /// It has not, until `answer_by`.
    void unanswered(Attempts& attempts, const UpstreamRoute& route, const Reached& reached);
    /// It refused the login at once, and Attempts::may_retry().
    void refused(Attempts& attempts, const protocol::ErrorResponse& refusal, const Reached& reached);
    /// The login has succeeded, at a server of another kind than is wanted.
    void unwanted(Attempts& attempts, const Reached& reached);
    /// What a client is told that cannot log in once more.
    UpstreamFailure refusal(const Attempts& attempts, const UpstreamRoute& route, const Reached& reached) const;
    /// Ends what is being tried, which fails with `why`; from now on everything does. On the
    /// thread of the connection.
    void abort(std::string why);

   private:
    using Attempted = std::variant<VerifiedConnection, AttemptFailure>;

    tls::Awaitable<bool> take_turn(Attempts& attempts, const UpstreamRoute& route, Clock::time_point deadline,
                                   const std::function<void()>* on_wait);
    tls::Awaitable<> resolve(Attempts& attempts, const UpstreamRoute& route, Clock::time_point deadline);
    void begin_address(Attempts& attempts, const UpstreamRoute& route, Clock::time_point deadline);
    tls::Awaitable<> wait_for_address(Attempts& attempts, const UpstreamRoute& route);
    void take(Attempts& attempts, const UpstreamRoute& route, TcpRace::Arrival arrival);
    tls::Awaitable<Attempted> establish_winner(const UpstreamRoute& route, Reached to, Encryption encryption);
    const std::vector<config::Address>& hosts(const UpstreamRoute& route) const noexcept {
        return hosts_ ? *hosts_ : route.settings.hosts;
    }
    const config::Address& host_of(const Attempts& attempts, const UpstreamRoute& route);
    bool was_tried(const Endpoint& endpoint) const;
    void order_hosts(const Attempts& attempts, const UpstreamRoute& route);
    void order_addresses(const Attempts& attempts, const UpstreamRoute& route);
    unsigned rank(const Attempts& attempts, const UpstreamRoute& route, const std::string& key);
    bool is_ruled_out(const Attempts& attempts, const UpstreamRoute& route, const std::string& address);
    Fit likely_fit_of(const Attempts& attempts, const UpstreamRoute& route, const std::string& key) const;
    using Report = std::function<void(AttemptFailure)>;
    void failed(const Attempts& attempts, const UpstreamRoute& route, AttemptFailure failure, const Report& report);

    Resolver& resolver_;
    Outages& outages_;
    LoginTurns* const turns_;
    LoginTurns::Turn turn_;  // at the host that is being tried
    std::chrono::microseconds waited_{0};
    HostRoles* roles_ = nullptr;
    std::optional<HostRoles::Login> login_;
    std::vector<HostRoles::Look> looks_;   // at addresses that were known to be of another kind
    std::vector<std::size_t> shuffled_;    // as the client's hosts came before anything was known of them
    std::vector<std::size_t> host_order_;  // those that failed lately are last
    std::optional<unsigned> ordered_for_;  // that walk
    Resolved resolved_;                    // of the host that is being tried
    std::chrono::microseconds resolve_time_{0};
    std::unique_ptr<TcpRace> race_;           // to its addresses
    std::optional<TcpRace::Arrival> winner_;  // connected, and not yet established
    tls::Stream* connecting_ = nullptr;       // the one that is being established
    std::shared_ptr<tls::Timer> looking_up_;  // while a name is, or for a turn
    std::string aborted_;                     // why; empty: it has not been
    tls::Tap tap_;
    std::shared_ptr<const FoundHosts::List> hosts_;  // nullptr: those of the route's settings
    std::vector<std::string> tried_;  // with those: addresses of this walk that no other name leads to anew
};

}  // namespace proxy
