// One client connection from accept to close: negotiate, connect, authenticate, relay, report
// (docs/connection.md). Its phases are in session_front.cpp, session_opening.cpp, session_login.cpp
// and session_hosts.cpp.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "protocol/negotiation.hpp"
#include "protocol/proxy_header.hpp"
#include "proxy/capture/captures.hpp"
#include "proxy/observation/address_group.hpp"
#include "proxy/observation/failed_logins.hpp"
#include "proxy/observation/observer.hpp"
#include "proxy/record/recorder.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/session/authenticate.hpp"
#include "proxy/session/cancel.hpp"
#include "proxy/session/cancel_misses.hpp"
#include "proxy/session/cancel_registry.hpp"
#include "proxy/session/live_sessions.hpp"
#include "proxy/session/login_request.hpp"
#include "proxy/session/phase.hpp"
#include "proxy/session/rejection.hpp"
#include "proxy/session/relay.hpp"
#include "proxy/upstream/host_news.hpp"
#include "proxy/upstream/host_roles.hpp"
#include "proxy/upstream/offload.hpp"
#include "proxy/upstream/outages.hpp"
#include "proxy/upstream/prewarm.hpp"
#include "proxy/upstream/resolver.hpp"
#include "proxy/upstream/turns.hpp"
#include "proxy/upstream/upstream.hpp"
#include "tls/stream.hpp"

namespace proxy {

class Predecessors;

/// What sessions share. Outlives them all.
struct Services {
    Recorder& recorder;
    CancelRegistry& cancels;
    CancelMisses& cancel_misses;
    LiveSessions& sessions;
    ProcessOwners& processes;
    Memories memories;
    FailedLogins& failed_logins;
    Resolver& resolver;
    Outages& outages;
    LoginTurns& login_turns;
    HostRoles& roles;
    HostNews& host_news;
    Offload& key_derivations;
    Turns& derivation_turns;
    Captures& captures;
    Predecessors* predecessors = nullptr;  ///< nullptr: this process took nobody's place
    std::atomic<Phase> phase{Phase::starting};
};

/// Asked once, when a StartupMessage has come. nullopt: the client may log in. Else why not.
using AskToLogIn = std::function<std::optional<Rejection>(const LoginRequest&)>;

/// Asked once, when a PROXY protocol header has named the client's address (16 bytes, v4 addresses
/// v4-mapped). A rejection is put where it can be told; false: too many are being told already.
using AskToEnter = std::function<bool(const std::string& address, const std::array<std::uint8_t, 16>& bytes,
                                      std::unique_ptr<const Rejection>& rejection)>;

/// Asked each time when a login that was let has to wait, for a host or for its turn. False: too
/// many do.
using AskToWait = std::function<bool()>;

/// A connection as the listener hands it over.
struct Accepted {
    std::shared_ptr<const ListenerRoute> route;
    std::string session;  ///< its name
    std::string address;  ///< empty for a UNIX-domain socket
    int port = -1;
    AddressGroup address_group{};
    bool behind_front = false;  ///< it begins with a PROXY protocol header; until then the address is the front's
    std::chrono::milliseconds opening_timeout{10'000};
    std::chrono::milliseconds login_timeout{60'000};
    std::unique_ptr<const Rejection> rejection;  ///< decided at accept; told once the client can hear it
};

/// More methods than most classes have: its two coroutines are cut into steps that a reader can
/// name, and every step works on the same record and the same two streams.
class Session {
   public:
    /// `prewarm`: its thread's.
    Session(Services& services, Prewarm& prewarm, Accepted accepted, tls::Socket socket);

    /// Everything up to ReadyForQuery. False: the session is over and reported. Never throws.
    tls::Awaitable<bool> log_in(AskToLogIn ask, AskToEnter enter, AskToWait wait);
    /// Everything after, without a coroutine: `on_end` is called when it is over, and may destroy
    /// the session. `meter`: its thread's, of its listener.
    void relay(RelayMeter& meter, std::function<void()> on_end);
    /// Ends the relay when it is idle outside of a transaction, at once or as soon as its server
    /// says that it is.
    void end_if_idle(Reason reason);
    /// Its server is this one.
    bool is_at(const std::string& upstream, const std::string& address) const {
        return record_.upstream == upstream && record_.upstream_addr == address;
    }
    const std::string& name() const noexcept { return accepted_.session; }
    const std::shared_ptr<const ListenerRoute>& route() const noexcept { return accepted_.route; }
    /// Into captures that have begun since, once it is known where a message ends.
    void join_captures();
    /// For the audit, once the relay is over.
    void record_disconnected();
    /// Ends the session from outside, on its own thread.
    void abort(Reason reason);

   private:
    enum class Opening { startup, cancel, over };
    struct LoginResult {
        LoginEnd end{};
        std::string broken;  // how a leg broke, when one did
    };
    enum class Phase {
        login,        // up to ReadyForQuery: a client that can hear it is told how this ends
        cancel,       // a CancelRequest, which is never answered
        established,  // `connected` is recorded, and `disconnected` will be
        over,         // the one event of its end is recorded; what is left is to tell the client
    };

    std::chrono::milliseconds time_to_log_in() const;
    tls::Awaitable<> converse(const AskToLogIn& ask, const AskToEnter& enter);
    LoginRequest login_request() const;
    tls::Awaitable<bool> hear_front(const AskToEnter& enter);
    tls::Awaitable<bool> take_header(protocol::ProxyHeaderParser& parser);
    void take_front(const protocol::ProxyHeader& header);
    bool password_is_safe() const;
    tls::Awaitable<Opening> negotiate();
    bool requires_tls() const noexcept;
    tls::Awaitable<bool> start_client_tls(protocol::Negotiation& negotiation);
    tls::Awaitable<> wait_for_process();
    tls::Awaitable<> wait_for_its_past();
    tls::Awaitable<> pause(std::chrono::milliseconds time);
    Probes::Available probes_available() const;
    const tls::ListenerContext* choose_certificate();
    void take_client_hello();
    void took_startup(const protocol::Negotiation& negotiation);
    void begin_step();
    void note_foreign(const protocol::Negotiation& negotiation);
    void name_foreign(protocol::Bytes taken);
    void ended_early(const protocol::Negotiation& negotiation, const std::string& error, Reason reason);
    tls::Awaitable<> forward_cancel(const protocol::CancelRequest& request);

    tls::Awaitable<> log_in_upstream();
    /// Since the login's first one.
    struct Tries {
        std::chrono::steady_clock::time_point began;
        unsigned failed_attempts = 0;  // on those that came to nothing
    };
    tls::Awaitable<std::optional<UpstreamFailure>> try_hosts(Tries& tries);
    tls::Awaitable<bool> wait_for_host(const UpstreamFailure& failure);
    tls::Awaitable<bool> client_left_before_news();
    std::string kind_of_login() const;
    HostRoles::Looks looks() const;
    std::chrono::steady_clock::time_point reach_by() const;
    HostRoles::Login login_as() const;
    bool is_wanted(const protocol::Login& login, const Reached& reached, const Attempts& attempts);
    void learn_role(const protocol::Login& login, const Reached& reached);
    tls::Awaitable<bool> leave_unwanted(protocol::Login& login, Attempts& attempts, const Reached& reached);
    std::optional<VerifiedConnection> prewarmed(Attempts& attempts);
    tls::Awaitable<bool> log_in_through(VerifiedConnection connection, Attempts& attempts);
    void note_server(const Reached& reached);
    tls::Awaitable<LoginResult> exchange(protocol::Login& login, const Reached& reached, const Attempts& attempts);
    void take_answer(const Reached& reached);
    bool goes_on(const LoginResult& result, const protocol::Login& login, Attempts& attempts, const Reached& reached);
    tls::Awaitable<> finish_login(const protocol::Login& login, const LoginResult& result);
    void record_client_left();
    void login_denied(std::string_view sqlstate);
    void record_denied(const protocol::Login& login);
    tls::Awaitable<> report_unreached(const UpstreamFailure& failure);
    tls::Awaitable<> report_server_closed(const std::string& how);
    protocol::LoginPolicy login_policy(const Reached& reached, TargetSessionAttrs wanted);
    tls::Awaitable<std::optional<protocol::ScramKey>> derive_key(protocol::KeyDerivation derivation);
    tls::Awaitable<> delay_refusal();
    tls::Awaitable<> record_login_fault(const protocol::Login& login);
    void register_key(const Reached& reached, const protocol::Login& login);
    void established(const protocol::Login& login);

    tls::Awaitable<> reject_late(Reason reason);
    void record_cut_off();
    void record_end(Event event);
    tls::Awaitable<> reject(const Rejection& rejection);
    tls::Awaitable<> send_error(const protocol::ErrorResponse& response);
    tls::Awaitable<> lingering_close();
    /// It comes from an address that is not in `allow`, or not in `trusted_proxies`.
    bool is_stranger() const {
        return accepted_.rejection && (accepted_.rejection->reason == Reason::address_not_allowed ||
                                       accepted_.rejection->reason == Reason::proxy_not_trusted);
    }
    bool client_hears_messages() const { return !negotiation_ || negotiation_->hears_messages(); }
    /// Records what happened, with everything that is known of the client by now.
    void record(Event event);
    void watch_from_start();
    void warn_of_our_certificate();
    const UpstreamRoute& upstream() const { return *accepted_.route->upstream; }

    Services& services_;
    Prewarm& prewarm_;
    Accepted accepted_;
    SessionRecord record_;
    std::unique_ptr<SessionTap> tap_;  // nullptr: in no capture
    tls::Stream client_;
    Connector connector_;
    std::unique_ptr<tls::Stream> server_;
    CancelRegistry::Registration registration_;
    std::optional<Observer> observer_;  // until the login is over
    OpenSessions::Token open_session_;  // one in TLS
    LiveSessions::Entry live_;          // once it is logged in
    std::chrono::steady_clock::time_point deadline_;
    std::unique_ptr<protocol::Negotiation> negotiation_;
    std::unique_ptr<protocol::MessageBuffer> from_client_;  // behind the StartupMessage, until the login is over
    Phase phase_ = Phase::login;
    const tls::ListenerContext* shown_ = nullptr;  // of the client leg's handshake: the listener's own, or a probe's
    std::shared_ptr<tls::Timer> waiting_;          // for something other than a stream
    std::optional<Reason> aborted_;                // from outside, and why
    std::unique_ptr<protocol::ClientAnswers> answers_;  // given to a server that was not wanted
    const AskToWait* may_wait_ = nullptr;               // during the login
    bool has_waited_ = false;                           // for a host
    protocol::Boundary boundary_;                       // kept by the login, handed to the relay
    std::size_t within_message_ = 0;  // of the server's, which is passed on in pieces: no word of ours can be heard
    std::optional<Relay> relay_;
};

}  // namespace proxy
