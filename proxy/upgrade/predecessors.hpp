// The processes whose place this one has taken, as long as they serve their sessions: asked for
// cancels, and followed, on a thread of its own, for what limits and metrics count of them.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/metrics/carried_metrics.hpp"
#include "proxy/record/own_thread.hpp"
#include "proxy/upgrade/overlap_text.hpp"
#include "tls/asio.hpp"

namespace proxy {

class Predecessors {
   public:
    /// `changed`: told on the thread what is present in all of them; not after end().
    using Changed = std::function<void(Elsewhere all)>;

    Predecessors(const std::string& state_dir, const std::vector<pid_t>& pids, Changed changed);
    ~Predecessors() { end(); }

    // From any thread.

    /// Those that are alive, the oldest first.
    std::vector<pid_t> alive() const;
    /// Of those: how many sessions each serves.
    std::vector<std::pair<pid_t, unsigned>> sessions() const;
    /// Asks one after the other, the last one first; at most some seconds. Never throws.
    tls::Awaitable<CancelOutcome> cancel(CancelQuestion question);
    /// What they have counted, also those that have ended.
    CarriedMetrics metrics() const;
    /// Of those that have ended, for whoever takes our own place.
    CountedByRun counted_by_ended() const;
    /// "reopen" or "drain", to each: waits for no answer.
    void order(const std::string& what) const noexcept;
    /// Waits until each has told its counts once, a second at most.
    void wait_for_counts() const;
    void end() noexcept;

   private:
    class Work;

    const std::shared_ptr<Work> work_;  // the thread's as well, which may outlive us
    std::optional<OwnThread> thread_;
};

}  // namespace proxy
