// Capture files read for replay: their sessions, each with its plan, and what is not in them.
#pragma once

#include <algorithm>
#include <set>

#include "bench/replay/plan_builder.hpp"
#include "bench/replay/session_facts.hpp"
#include "bench/replay/tls_offer.hpp"

namespace bench::replay {

/// Of what sessions say, in memory, all together.
inline constexpr std::size_t max_plans = std::size_t{1} << 30;

struct CapturedSession {
    SessionFacts facts;
    SessionPlan plan;
    std::optional<TlsOffer> offer;  ///< of its ClientHello, where that is in the capture
    std::string left_out;           ///< why it is not played at all; empty: it is
    bool openings = false;          ///< its capture has blanked what it said: only how it opens is played
};

struct Capture {
    std::set<std::string> payloads;         ///< of its sections; "" where one does not say
    std::vector<CapturedSession> sessions;  ///< in the order of their beginnings
    std::vector<std::string> lacks;         ///< sentences
    std::uint64_t cancels_left_out = 0;     ///< whose session, or moment in it, is not known or not played
    std::uint64_t repeated = 0;             ///< sessions that stand in several captures

    /// Of no session are statements what they were.
    bool only_openings() const {
        return std::all_of(sessions.begin(), sessions.end(), [](const CapturedSession& one) { return one.openings; });
    }
};

/// `files`: also folders of them. `only`: names of sessions; empty: all. Of captures whose payload
/// is not `full`, and with `rules.openings`, plans end with the login. Throws std::runtime_error.
Capture read_capture(const std::vector<std::string>& files, const PlanRules& rules, const std::set<std::string>& only);

}  // namespace bench::replay
