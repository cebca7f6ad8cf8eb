// Whether a session opened as the captured one did: TLS and login. What depends on what no capture
// holds (passwords, what a client trusts) is no difference of servers. Pure.
#pragma once

#include "bench/replay/capture.hpp"
#include "bench/replay/comparison.hpp"

namespace bench::replay {

/// What opening it again came to.
struct Attempt {
    std::string error;                 ///< empty: it is open
    std::string sqlstate;              ///< of the server's refusal; empty: there was none
    Phase phase = Phase::total;        ///< in which it failed
    bool certificate_refused = false;  ///< by our side
    bool cannot_log_in = false;        ///< our side has no answer to what the server asks
};

/// `only_opening`: nothing else is compared, so that a refusal is an answer. Otherwise a session
/// that cannot be opened is not played.
void compare_opening(const CapturedSession& session, const Attempt& attempt, bool only_opening, Outcome& outcome);

}  // namespace bench::replay
