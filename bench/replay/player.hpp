// All sessions of a capture, played to one target: each when it is due, as many beside each other
// as there were.
#pragma once

#include "bench/replay/session_run.hpp"

namespace bench::replay {

struct Played {
    std::string name;
    std::string address;
    std::vector<Outcome> outcomes;  ///< by session of the capture; of all clients together
    std::vector<bool> begun;        ///< by session: it was played at least once
    Latency latency;
};

/// Blocks until all are over, or interrupted().
Played play(const ReplayTarget& target, const Capture& capture, const PlayRules& rules);

}  // namespace bench::replay
