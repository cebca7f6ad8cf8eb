// The queue between the threads on which things happen and the one that writes them down. Bounded
// in bytes and not in events, because one event may be a hundred times as long as another.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

#include "proxy/observation/event.hpp"

namespace proxy {

class EventQueue {
   public:
    using Clock = std::chrono::steady_clock;

    /// `max_bytes`: of the events that wait and of those last taken together, by footprint().
    explicit EventQueue(std::size_t max_bytes) : max_bytes_(max_bytes) {}

    /// From any thread; never waits for the reader. False: there is no room, and there will be none
    /// for any event until the reader takes the next batch. So one count, in one place of the
    /// order, tells of all that were dropped.
    bool push(Event&& event);
    /// From any thread: the reader is to reopen its file once it has written what came before.
    void ask_reopen();
    /// From any thread: the next batch is the last.
    void close();

    struct Batch {
        std::deque<Event> events;
        std::uint64_t dropped = 0;  ///< events that came after these and had no room
        bool reopen = false;
        bool closed = false;
    };
    /// Waits until there is something to do, or until `due` (max(): for ever). The batch taken
    /// before counts as written from now on.
    Batch take(Clock::time_point due);

   private:
    bool anything() const noexcept { return !events_.empty() || dropped_ > 0 || reopen_ || closed_; }

    const std::size_t max_bytes_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Event> events_;
    std::size_t waiting_bytes_ = 0;
    std::size_t taken_bytes_ = 0;
    std::uint64_t dropped_ = 0;
    bool reopen_ = false;
    bool closed_ = false;
};

}  // namespace proxy
