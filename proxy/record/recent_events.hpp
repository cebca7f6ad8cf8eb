// The last events, for whoever asks what has just happened. The audit has them all.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "proxy/observation/event.hpp"

namespace proxy {

/// From any thread.
class RecentEvents {
   public:
    static constexpr std::size_t max_events = 1000;
    static constexpr std::size_t max_bytes = 8 * 1024 * 1024;

    void add(Event&& event);
    /// The oldest first.
    std::vector<std::shared_ptr<const Event>> all() const;

   private:
    mutable std::mutex mutex_;
    std::deque<std::shared_ptr<const Event>> events_;
    std::size_t bytes_ = 0;
};

}  // namespace proxy
