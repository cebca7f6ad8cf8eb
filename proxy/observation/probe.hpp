// Certificate probes: who is shown another certificate, and when ([audit.probe]).
//
// A probe that a client refuses costs it a connection. So it is a small share of connections, never
// the first one of a source, never two at a time, never beyond the budget, never while nothing new
// could be learnt, and never again once the source went on in clear after one.
//
// A source is a ClientOrigin: who is probed, as far as it is known before a StartupMessage. Ask
// choose() for each connection that begins TLS, and report each of them by ended(), exactly once.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>

#include "config/per_probe_kind.hpp"
#include "proxy/observation/client_identity.hpp"

namespace proxy {

class Probes {
   public:
    using Time = std::chrono::system_clock::time_point;

    /// What was done to a source with one kind; kept in the inventory.
    struct History {
        unsigned shown = 0;
        unsigned accepted = 0;
        unsigned refused = 0;   ///< connections that the source lost by it
        bool by_alert = false;  ///< one of them with an alert, which needs no second time
        Time last_shown{};
        Time last_refused{};
    };

    /// What came of a connection on which TLS was begun.
    enum class Outcome {
        accepted,  // a StartupMessage or CancelRequest came through TLS
        refused,   // by an alert that says so
        left,      // by closing: a refusal, or a coincidence
        neither,   // it did not come to a certificate
    };

    struct Result {
        std::optional<config::ProbeKind> shown;  ///< nullopt: the real certificate
        Outcome outcome = Outcome::neither;
        std::optional<ClientNames> client;  ///< who it turned out to be, when it came to a StartupMessage
    };

    /// As it was before a restart.
    void restore(const ClientOrigin& source, config::ProbeKind kind, const History& history);

    /// The kind to show now; nullopt: the real certificate.
    std::optional<config::ProbeKind> choose(const config::Probe& settings, const config::PerProbeKind<bool>& available,
                                            const ClientOrigin& source, Time now);
    void ended(const ClientOrigin& source, const Result& result, Time now);
    /// A StartupMessage in clear.
    void came_in_clear(const ClientOrigin& source, Time now);

   private:
    struct State {
        config::PerProbeKind<History> kinds;
        /// Those seen here since we started. True: accepted a stranger's certificate, so accepts
        /// any.
        std::map<ClientNames, bool> clients;
        bool accepts_real = false;  // completed TLS with the real certificate since we started
        bool refuses_real = false;  // left TLS with the real certificate: leaving another one would say nothing
        bool pending = false;       // a connection is being shown a probe, and its outcome is not known yet
        bool falls_back = false;    // went on in clear after a refusal
    };

    static bool answered(const History& history);
    static std::optional<config::ProbeKind> wanted(const State& state, const config::PerProbeKind<bool>& available);
    bool is_ambiguous(const ClientOrigin& source) const;
    bool within_budget(const ClientOrigin& source, const State& state, const config::Probe& settings, Time now) const;
    static Time last_refused(const State& state);
    State* find(const ClientOrigin& source);

    std::mutex mutex_;
    std::map<ClientOrigin, State> states_;
    std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace proxy
