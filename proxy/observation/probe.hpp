// Certificate probes: who is shown another certificate, and when ([audit.probe]).
//
// A probe that a client refuses costs it a connection. So it is a small share of connections, never
// the first one of a source, never two at a time, never beyond the budgets, never while a session
// is open whose cancel request it might be, never while nothing new could be learnt, and never
// again once the source went on in clear after one.
//
// A source is a ClientOrigin: who is probed, as far as it is known before a StartupMessage. Ask
// choose() for each connection that begins TLS, and report each of them by ended(), exactly once.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "config/per_probe_kind.hpp"
#include "proxy/observation/client_identity.hpp"
#include "proxy/observation/not_probed.hpp"
#include "proxy/observation/open_sessions.hpp"

namespace proxy {

/// Which certificate a client is shown. More methods than most classes have: the rules for one
/// source are small functions over its state, which only this class sees.
class Probes {
   public:
    using Time = std::chrono::system_clock::time_point;
    using Steady = std::chrono::steady_clock::time_point;
    using Available = config::PerProbeKind<bool>;

    /// What was done to a source with one kind; kept in the inventory.
    struct History {
        unsigned shown = 0;
        unsigned accepted = 0;
        unsigned refused = 0;   ///< connections that the source lost by it
        unsigned left = 0;      ///< of these, without an alert: the second one is an answer
        bool by_alert = false;  ///< one of them with an alert, which needs no second time
        Time last_shown{};
        Time last_refused{};
    };

    /// A connection that begins TLS.
    struct Visitor {
        ClientOrigin source;
        std::uint64_t fingerprint = 0;  ///< of its ClientHello: tells clients of one source apart
        bool searching = false;         ///< its process is still being looked for
    };

    /// Why there is no probe now, and until when, where that is known.
    struct WhyNot {
        NotProbed reason{};
        Time until{};
    };

    struct Choice {
        std::optional<config::ProbeKind> kind;  ///< nullopt: the real certificate
        WhyNot why_not{};                       ///< then
    };

    /// What came of a connection on which TLS was begun. Once the certificate was shown, each but
    /// the first is a loss: they differ in what they prove.
    enum class Outcome {
        accepted,  // a StartupMessage or CancelRequest came through TLS
        refused,   // by an alert that says so
        left,      // by closing: a refusal, or a coincidence
        lost,      // in any other way: another alert, our own failure, a timeout, a shutdown
        neither,   // it did not come to a certificate
    };

    struct Result {
        std::optional<config::ProbeKind> shown;  ///< nullopt: the real certificate
        Outcome outcome = Outcome::neither;
        std::optional<ClientNames> client;  ///< who it turned out to be, when it came to a StartupMessage
    };

    /// As it was before a restart.
    void restore(const ClientOrigin& source, config::ProbeKind kind, const History& history);

    /// Somebody repaired clients of that source: what was shown to it until then tells nothing any
    /// more. Saying so again changes nothing.
    void repaired(const ClientOrigin& source, Time when);
    /// To be told of both clocks before each call with a time. Where the first was set meanwhile,
    /// what is remembered moves along: no budget is renewed by that, and none is used up for years.
    void clocks_are(Time now, Steady steady);
    /// Nobody is probed: what was done before is not known, or what is done would be forgotten.
    void hold_back(bool held);
    /// No probe while another process takes this one's place: what clients have lost has one owner.
    void rest(bool resting);

    Choice choose(const config::Probe& settings, const Available& available, const Visitor& visitor, Time now);
    /// Why choose() would show the real certificate, but for chance; nullopt: it would not.
    std::optional<WhyNot> why_not(const config::Probe& settings, const Available& available, const Visitor& visitor,
                                  Time now);
    void ended(const Visitor& visitor, const Result& result, Time now);
    /// A StartupMessage in clear.
    void came_in_clear(const ClientOrigin& source, Time now);

    OpenSessions& open_sessions() noexcept { return open_sessions_; }

   private:
    /// A client seen here since we started, by the hash of its names, which are strangers' to
    /// choose, so they are not kept.
    struct Client {
        std::uint64_t names = 0;
        bool accepts_any = false;  ///< it accepted a stranger's certificate
    };
    struct Refusal {
        std::uint64_t fingerprint = 0;
        Time last{};
    };
    struct State {
        config::PerProbeKind<History> kinds;
        std::vector<Client> clients;
        std::vector<Refusal> refuses_real;  // left TLS with the real certificate: leaving another one would say nothing
        bool accepts_real = false;          // completed TLS with the real certificate since we started
        bool pending = false;               // a connection is being shown a probe, and its outcome is not known yet
        bool falls_back = false;            // went on in clear after a refusal
        Time repaired{};                    // the last time that somebody said so
        std::list<const ClientOrigin*>::iterator order{};
    };
    using States = std::map<ClientOrigin, State>;

    static bool answered(const History& history);
    static std::optional<config::ProbeKind> wanted(const State& state, const Available& available);
    void move_times(std::chrono::nanoseconds by);
    static void note_client(State& state, const Result& result);
    static void note_refusal(State& state, std::uint64_t fingerprint, Time now);
    static Time last_refused(const State& state);
    std::optional<WhyNot> obstacle(const config::Probe& settings, const Available& available, const Visitor& visitor,
                                   Time now);
    std::optional<WhyNot> obstacle_of(const State& state, const Visitor& visitor, Time now);
    bool is_ambiguous(const ClientOrigin& source) const;
    std::optional<WhyNot> beyond_budget(const ClientOrigin& source, const config::Probe& settings, Time now) const;
    std::optional<WhyNot> beyond_hour(const config::Probe& settings, Time now);
    void note_probe(State& state, const Result& result, Time now);
    void note_loss(State& state, config::ProbeKind kind, Outcome outcome, Time now);
    State& made(const ClientOrigin& source);
    void forget_oldest();

    OpenSessions open_sessions_;
    std::mutex mutex_;
    States states_;
    std::list<const ClientOrigin*> order_;  // keys of states_, the least recently seen first
    bool held_back_ = false;
    bool resting_ = false;
    std::size_t out_ = 0;  // sources that are pending
    // Of the one clock before the other.
    std::chrono::nanoseconds lead_{Time::clock::now().time_since_epoch() - Steady::clock::now().time_since_epoch()};
    std::multiset<Time> losses_;  // of the last hour, of all sources
    std::mt19937_64 random_{std::random_device{}()};
};

/// For Probes::Visitor.
std::uint64_t fingerprint_of(const std::string& ja4, const std::string& sni) noexcept;

}  // namespace proxy
