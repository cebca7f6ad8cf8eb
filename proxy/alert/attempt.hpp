// How an attempt to send a message ends, and what ends it early. Attempts wait on a thread of their
// own, for nothing longer than until their deadline, and look often whether somebody wants them to
// stop.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string>

namespace proxy {

struct Attempt {
    using Clock = std::chrono::steady_clock;
    /// How often a wait looks at `stop`.
    static constexpr std::chrono::milliseconds look_interval{50};

    Clock::time_point deadline;
    const std::atomic<bool>& stop;

    bool is_over() const noexcept { return stop || Clock::now() >= deadline; }
    /// For poll(2): until the deadline, and at most look_interval.
    int poll_time() const noexcept;
};

struct AttemptResult {
    enum class End {
        sent,
        failed,   // perhaps it works later
        refused,  // it never will
    };
    End end = End::failed;
    std::string what{};  ///< for people, without a secret: "HTTP 500", "connection refused"
    std::optional<std::chrono::seconds> retry_after{};  ///< the receiver asks for that
};

}  // namespace proxy
