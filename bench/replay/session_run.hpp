// One captured session, played to one target: sends what the client said, when the server has got
// as far as it had, and compares the answers.
#pragma once

#include <chrono>
#include <exception>
#include <memory>

#include "bench/replay/capture.hpp"
#include "bench/replay/comparison.hpp"
#include "bench/replay/passfile.hpp"
#include "bench/target/client.hpp"
#include "bench/target/histogram.hpp"

namespace bench::replay {

struct PlayRules {
    double speed = 1;  ///< 0: no waiting at all
    unsigned clients = 1;
    std::chrono::milliseconds timeout{60'000};  ///< without any progress while something is waited for
    bool writes = false;
    bool rows = false;      ///< compare them by their hash
    bool openings = false;  ///< nothing behind the login
};

/// A target, and what its conninfo says itself: the rest is as captured.
struct ReplayTarget {
    std::unique_ptr<const Route> route;
    bool names_user = false;
    bool names_database = false;
    bool names_application = false;
    std::string passwords{};  ///< a password file; what is not in it has the target's password
    std::string passfile{};   ///< its path; empty: there is no place for one
    KnownGroups groups{};     ///< that TLS may offer
};

/// What it came to beside the answers.
struct Latency {
    Histogram captured;  ///< of the same statements
    Histogram here;
};

/// What a coroutine ended with, in words.
std::string what_of(std::exception_ptr thrown);

/// Everything outlives the coroutine. What it throws says that the session did not come to its end.
tls::Awaitable<Outcome> play_session(const ReplayTarget& target, const CapturedSession& session, const PlayRules& rules,
                                     Latency& latency);

}  // namespace bench::replay
