// What is concluded from how one client behaves, from accept to ReadyForQuery: evidence for its
// record, and what its next connection will be compared with. The rules are those of
// docs/verification.md.
//
// It sees no socket. A session tells it what happened, and a clock that it is given says when.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>

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
    bool we_failed = false;          ///< in TLS: the handshake was ended by our side, which could not go on
    int alert = -1;                  ///< the fatal alert that the client sent (RFC 8446, 6); -1: none
};

/// What a client did with SCRAM where it may be asked for its password instead.
struct ScramConduct {
    bool left = false;            ///< it went away, or sent something that is no answer
    bool was_offered = false;     ///< SCRAM, as the last thing that it was asked
    bool asked_password = false;  ///< for its password, as the last thing that it was asked
    bool gave_password = false;   ///< when it was asked
    char gs2_flag = 0;            ///< of its own SCRAM message: n, y, p; 0: it sent none
};

/// Lives as long as the login. What can be concluded only from how the login ended is settled by
/// settle(), or by the observer's end: that TLS which was begun came to no login, that a probe was
/// lost, and whose fallback a client in clear is. More methods than most classes have: one for each
/// thing that a connection may do.
class Observer {
   public:
    using Clock = std::function<Moment()>;

    /// `record` has listener, upstream, address and process; evidence and probe are added to it.
    Observer(Memories memories, SessionRecord& record, Clock clock = Moment::now);
    ~Observer();
    Observer(const Observer&) = delete;
    Observer& operator=(const Observer&) = delete;

    /// It was refused at accept, and will be told so once it can hear it: nothing is learnt from it
    /// for probes, and no probe spent on it.
    void not_admitted() { admitted_ = false; }

    // --- Up to the StartupMessage

    /// SSLRequest is answered with 'N'.
    void tls_declined();
    /// A TLS handshake begins.
    void tls_begun();
    /// The certificate to show in that handshake, whose ClientHello is in the record; nullopt: the
    /// real one. Asked again (after a HelloRetryRequest), it gives the same.
    std::optional<config::ProbeKind> choose_probe(const config::Probe& settings,
                                                  const config::PerProbeKind<bool>& available);
    /// Our certificate has left: what the client does next may be about it.
    void certificate_sent() { certificate_sent_ = true; }
    /// The names of a whole StartupMessage, and whether it came through TLS, are in the record.
    void startup_received(config::Trust trust);
    void cancel_requested();
    /// False: such an end tells nothing, and is no news.
    bool ended_early(const EarlyEnd& end);
    /// In clear, and a TLS connection that may be the same client's is still undecided: worth some
    /// milliseconds of patience before its own end is recorded.
    bool is_undecided() const;

    // --- Afterwards

    /// It was told that this listener takes nobody without TLS, or in clear its login was denied:
    /// libpq's `allow` comes back with TLS then. To be called before the client can know it. Of one
    /// that did not come in clear of itself it means nothing.
    void rejected_in_clear();
    /// The server or we refuse it, and it has not heard that it is let in: libpq's `prefer` comes
    /// back in clear then. To be called before the client can know it.
    void login_denied();
    void scram_ended(const ScramConduct& conduct);
    /// True: it is to be asked for its password rather than offered SCRAM.
    bool wants_password();
    /// To be called before the client can know it: its next connection may reach another thread
    /// before we come back here.
    void logged_in();
    /// How the login ended is known, and about to be recorded. Later calls change nothing.
    void settle();
    /// The certificate of ours that the client refused before it went on in clear, to be told once
    /// for each source; empty: none. After settle().
    std::string take_refused_certificate() { return std::exchange(refused_certificate_, {}); }

   private:
    enum class Channel { clear, declined, tls };
    /// A StartupMessage in clear whose evidence depends on what came before it.
    struct InClear {
        RecentClients::Suspects suspects;
        RecentClients::Arrival arrival;
    };

    void add(protocol::Evidence evidence) { record_.evidence.push_back(evidence); }
    bool sees_front() const noexcept;
    bool ended_in_tls(const EarlyEnd& end);
    void tell_probes_of_clear();
    void settle_in_clear();
    void settle_after_rejection();
    void finish_tls(TlsEnd end);
    void finish_probe(Probes::Outcome outcome);

    Memories memories_;
    SessionRecord& record_;
    Clock clock_;
    Channel channel_ = Channel::clear;
    bool admitted_ = true;
    bool certificate_sent_ = false;
    RecentClients::AttemptPtr attempt_;      // RecentClients waits to hear what came of it: due exactly once
    std::optional<Probes::Visitor> probed_;  // Probes waits for ended(): due exactly once for each choose()
    std::optional<InClear> in_clear_;        // not judged yet
    std::optional<std::chrono::system_clock::time_point> came_in_clear_;  // when; the probes do not know it yet
    std::optional<RecentClients::Process> rejected_before_;               // the same caller's, in clear
    std::string refused_certificate_;
};

/// Whether that alert, after our certificate was sent, says that the client does not accept it, and
/// not that it cannot speak our TLS.
bool is_certificate_alert(int alert) noexcept;

}  // namespace proxy
