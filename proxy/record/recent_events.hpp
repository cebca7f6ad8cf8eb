// The last events, for whoever asks what has just happened. The audit has them all.
#pragma once

#include <cstdint>
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

    struct Later {
        std::uint64_t first = 0;  ///< the number of the first of `events`; those behind it have the next ones
        std::vector<std::shared_ptr<const Event>> events;
    };
    /// Those behind that number, the oldest first; events are numbered from 1. What is not here any
    /// more is missing at the front.
    Later behind(std::uint64_t number) const;

   private:
    mutable std::mutex mutex_;
    std::deque<std::shared_ptr<const Event>> events_;
    std::size_t bytes_ = 0;
    std::uint64_t added_ = 0;
};

}  // namespace proxy
