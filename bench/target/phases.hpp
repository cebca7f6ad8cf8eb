// What the time of a connection is divided into, and the times of one connection.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

namespace bench {

using Clock = std::chrono::steady_clock;
using Duration = std::chrono::nanoseconds;

/// In the order in which they are reported. docs/bench.md says more about each.
enum class Phase {
    tcp,             // connect()
    sslrequest,      // SSLRequest to its answer; absent in clear and with direct TLS
    tls,             // the full handshake; absent in clear
    startup,         // StartupMessage to the first Authentication message
    authentication,  // from there to ReadyForQuery
    total,           // all of the above, from when the connection was due: what an application waits for
    query,           // Query to ReadyForQuery
    close,           // Terminate to the end of the peer's data
    overall,         // from when the connection was due to its end
};

inline constexpr std::array all_phases{Phase::tcp,     Phase::sslrequest,     Phase::tls,
                                       Phase::startup, Phase::authentication, Phase::total,
                                       Phase::query,   Phase::close,          Phase::overall};

std::string_view to_string(Phase phase) noexcept;
/// total and overall are sums of others.
constexpr bool is_sum(Phase phase) noexcept { return phase == Phase::total || phase == Phase::overall; }

/// One value for each phase.
template <class T>
class PerPhase {
   public:
    T& operator[](Phase phase) noexcept { return values_[static_cast<std::size_t>(phase)]; }
    const T& operator[](Phase phase) const noexcept { return values_[static_cast<std::size_t>(phase)]; }

   private:
    std::array<T, all_phases.size()> values_{};
};

/// What one connection took; nullopt: it had no such phase.
using Phases = PerPhase<std::optional<Duration>>;

/// Where one phase ends the next begins, so that nothing is left out between them.
class Stopwatch {
   public:
    void start(Phase phase) noexcept {
        current_ = phase;
        mark_ = Clock::now();
    }
    void next(Phase phase) noexcept {
        mark_ = stop();
        current_ = phase;
    }
    Clock::time_point stop() noexcept {
        const auto now = Clock::now();
        phases_[current_] = now - mark_;
        return now;
    }

    Phase current() const noexcept { return current_; }
    Phases& phases() noexcept { return phases_; }
    const Phases& phases() const noexcept { return phases_; }

   private:
    Phases phases_;
    Phase current_ = Phase::tcp;
    Clock::time_point mark_{};
};

}  // namespace bench
