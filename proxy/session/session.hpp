// One client connection from accept to close: negotiate, connect, authenticate, relay, report
// (docs/connection.md). Its phases are in session_opening.cpp and session_login.cpp.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "protocol/negotiation.hpp"
#include "proxy/observation/observer.hpp"
#include "proxy/record/recorder.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/session/authenticate.hpp"
#include "proxy/session/cancel.hpp"
#include "proxy/session/cancel_registry.hpp"
#include "proxy/session/phase.hpp"
#include "proxy/session/rejection.hpp"
#include "proxy/session/relay.hpp"
#include "proxy/upstream/prewarm.hpp"
#include "proxy/upstream/resolver.hpp"
#include "proxy/upstream/upstream.hpp"
#include "tls/stream.hpp"

namespace proxy {

/// What sessions share. Outlives them all.
struct Services {
    Recorder& recorder;
    CancelRegistry& cancels;
    ProcessOwners& processes;
    Memories memories;
    Resolver& resolver;
    Offload& key_derivations;
    std::atomic<Phase> phase{Phase::starting};
};

/// A connection as the listener hands it over.
struct Accepted {
    std::shared_ptr<const ListenerRoute> route;
    std::string session;  ///< its name
    std::string address;  ///< empty for a UNIX-domain socket
    int port = -1;
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
    tls::Awaitable<bool> log_in();
    /// Everything after, without a coroutine: `on_end` is called when it is over, and may destroy
    /// the session.
    void relay(std::function<void()> on_end);
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

    tls::Awaitable<> converse();
    tls::Awaitable<Opening> negotiate();
    tls::Awaitable<bool> start_client_tls(protocol::Negotiation& negotiation);
    tls::Awaitable<> wait_for_process();
    tls::Awaitable<> wait_for_its_past();
    tls::Awaitable<> pause(std::chrono::milliseconds time);
    Probes::Available probes_available() const;
    const tls::ListenerContext* choose_certificate();
    void take_client_hello();
    void took_startup(const protocol::Negotiation& negotiation);
    void ended_early(const protocol::Negotiation& negotiation, const std::string& error, Reason reason);
    tls::Awaitable<> forward_cancel(const protocol::CancelRequest& request);

    tls::Awaitable<> log_in_upstream();
    std::optional<VerifiedConnection> prewarmed(Attempts& attempts);
    tls::Awaitable<bool> log_in_through(VerifiedConnection connection, Attempts& attempts);
    void note_server(const Reached& reached);
    tls::Awaitable<LoginResult> exchange(protocol::Login& login, const Reached& reached, bool may_retry);
    tls::Awaitable<> finish_login(const protocol::Login& login, const LoginResult& result);
    tls::Awaitable<> report_unreached(const UpstreamFailure& failure);
    tls::Awaitable<> report_server_closed(const std::string& how);
    protocol::LoginPolicy login_policy(const Reached& reached);
    tls::Awaitable<std::optional<protocol::ScramKey>> derive_key(protocol::KeyDerivation derivation);
    tls::Awaitable<> record_login_fault(const protocol::Login& login);
    void register_key(const Reached& reached, const protocol::Login& login);
    void established(const protocol::Login& login);

    tls::Awaitable<> reject_late(Reason reason);
    void record_cut_off();
    void record_end(Event event);
    tls::Awaitable<> reject(const Rejection& rejection);
    tls::Awaitable<> send_error(const protocol::ErrorResponse& response);
    tls::Awaitable<> lingering_close();
    bool client_hears_messages() const { return !negotiation_ || negotiation_->hears_messages(); }
    /// Records what happened, with everything that is known of the client by now.
    void record(Event event);
    void warn_of_our_certificate();
    const UpstreamRoute& upstream() const { return *accepted_.route->upstream; }

    Services& services_;
    Prewarm& prewarm_;
    Accepted accepted_;
    tls::Stream client_;
    Connector connector_;
    std::unique_ptr<tls::Stream> server_;
    CancelRegistry::Registration registration_;
    SessionRecord record_;
    std::optional<Observer> observer_;  // until the login is over
    OpenSessions::Token open_session_;  // one in TLS
    std::chrono::steady_clock::time_point deadline_;
    std::unique_ptr<protocol::Negotiation> negotiation_;
    Phase phase_ = Phase::login;
    const tls::ListenerContext* shown_ = nullptr;  // of the client leg's handshake: the listener's own, or a probe's
    std::shared_ptr<tls::Timer> waiting_;          // for something other than a stream
    std::optional<Reason> aborted_;                // from outside, and why
    std::optional<Relay> relay_;
};

}  // namespace proxy
