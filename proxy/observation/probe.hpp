// Certificate probes: who is shown another certificate, and when ([audit.probe]).
//
// A probe that a client refuses costs it a connection. So it is a small share of connections, never
// the first one of a source, never two at a time, never beyond the budget, never while nothing new
// could be learnt, and never again once the source went on in clear after one.
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>

#include "config/config.hpp"

namespace proxy {

class Probes {
   public:
    using Time = std::chrono::system_clock::time_point;

    /// Who is probed, as far as it is known before a StartupMessage.
    struct Source {
        std::string upstream;
        std::string address;
        std::string exe;  ///< empty: not of this host, or not found
        auto operator<=>(const Source&) const = default;
    };

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

    /// As it was before a restart.
    void restore(const Source& source, config::ProbeKind kind, const History& history);

    /// The kind to show now; nullopt: the real certificate. `available`: by kind. Every connection
    /// that begins TLS is to be reported by ended().
    std::optional<config::ProbeKind> choose(const config::Probe& settings, const std::array<bool, 3>& available,
                                            const Source& source, Time now);
    /// `client`: who it turned out to be, when it came to a StartupMessage.
    void ended(const Source& source, std::optional<config::ProbeKind> shown, Outcome outcome, const std::string& client,
               Time now);
    /// A StartupMessage in clear.
    void came_in_clear(const Source& source, Time now);

   private:
    struct State {
        std::array<History, 3> kinds;
        std::map<std::string, bool>
            clients;  // those seen here since we started; true: accepted a stranger's certificate, so accepts any
        bool accepts_real = false;  // completed TLS with the real certificate since we started
        bool refuses_real = false;  // left TLS with the real certificate: leaving another one would say nothing
        bool pending = false;       // a probe is out
        bool falls_back = false;    // went on in clear after a refusal
    };

    static bool answered(const History& history);
    static std::optional<config::ProbeKind> wanted(const State& state, const std::array<bool, 3>& available);
    bool is_ambiguous(const Source& source) const;
    bool within_budget(const Source& source, const State& state, const config::Probe& settings, Time now) const;
    static Time last_refused(const State& state);
    State* find(const Source& source);

    std::mutex mutex_;
    std::map<Source, State> states_;
    std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace proxy
