// What is concluded from how one client behaves, from accept to ReadyForQuery: evidence for its
// record, and what its next connection will be compared with. The rules are those of
// docs/verification.md.
//
// It sees no socket. A session tells it what happened, and a clock that it is given says when.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "proxy/observation/event.hpp"
#include "proxy/observation/probe.hpp"
#include "proxy/observation/recent_clients.hpp"
#include "proxy/observation/scram_habits.hpp"

namespace proxy {

/// One moment on two clocks: memories of seconds need the one that never jumps, probes the one that
/// outlives a restart.
struct Moment {
    std::chrono::steady_clock::time_point steady;
    std::chrono::system_clock::time_point wall;
    static Moment now() { return {std::chrono::steady_clock::now(), std::chrono::system_clock::now()}; }
};

/// What connections leave behind for later ones. Shared by all threads; outlives every Observer.
struct Memories {
    RecentClients& recent_clients;
    ScramHabits& scram_habits;
    Probes& probes;
};

/// How a connection ended that never sent a whole StartupMessage.
struct EarlyEnd {
    bool by_us = false;              ///< it was cut off, by a shutdown say
    bool within_packet = false;      ///< in clear: a part of a packet had come
    bool client_hello_seen = false;  ///< in TLS
    int alert = -1;                  ///< the fatal alert that the client sent (RFC 8446, 6); -1: none
};

/// What a client did with SCRAM where it may be asked for its password instead.
struct ScramConduct {
    bool left = false;            ///< it went away, or sent something that is no answer
    bool was_offered = false;     ///< SCRAM, as the last thing that it was asked
    bool asked_password = false;  ///< for its password, as the last thing that it was asked
    char gs2_flag = 0;            ///< of its own SCRAM message: n, y, p; 0: it sent none
};

/// Lives as long as the login. Its end says what was not said before: that TLS which was begun came
/// to no login, and that a probe came to nothing.
class Observer {
   public:
    using Clock = std::function<Moment()>;

    /// `record` has listener, upstream, address and process; evidence and probe are added to it.
    Observer(Memories memories, SessionRecord& record, Clock clock = Moment::now);
    ~Observer();
    Observer(const Observer&) = delete;
    Observer& operator=(const Observer&) = delete;

    // --- Up to the StartupMessage

    /// SSLRequest is answered with 'N'.
    void tls_declined();
    /// A TLS handshake begins.
    void tls_begun();
    /// The certificate to show in that handshake; nullopt: the real one.
    std::optional<config::ProbeKind> choose_probe(const config::Probe& settings,
                                                  const config::PerProbeKind<bool>& available);
    /// The names of a whole StartupMessage, and whether it came through TLS, are in the record.
    void startup_received(config::Trust trust);
    void cancel_requested();
    /// False: such an end tells nothing, and is no news.
    bool ended_early(const EarlyEnd& end);

    // --- Afterwards

    /// It was told that this listener takes nobody without TLS.
    void rejected_in_clear();
    /// Neither the server nor we let it in, and it had not yet proved who it is.
    void login_denied();
    void scram_ended(const ScramConduct& conduct);
    /// True: it is to be asked for its password rather than offered SCRAM.
    bool wants_password();
    /// To be called before the client can know it: its next connection may reach another thread
    /// before we come back here.
    void logged_in();

   private:
    enum class Channel { clear, declined, tls };

    void add(protocol::Evidence evidence) { record_.evidence.push_back(evidence); }
    void startup_in_clear();
    void finish_probe(Probes::Outcome outcome);

    Memories memories_;
    SessionRecord& record_;
    Clock clock_;
    Channel channel_ = Channel::clear;
    bool tls_open_ = false;               // RecentClients waits to hear what came of it: due exactly once
    std::optional<ClientOrigin> probed_;  // Probes waits for ended(): due exactly once for each choose()
};

/// Whether that alert says that the client does not accept our certificate (RFC 8446, 6.2), and not
/// that it cannot speak our TLS.
bool is_certificate_alert(int alert) noexcept;

}  // namespace proxy
