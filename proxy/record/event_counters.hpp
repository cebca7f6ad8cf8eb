// How often each kind of event happened since the start. Counted where an event is recorded, before
// the queue: what the queue or the file has no room for is counted too.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "proxy/observation/event.hpp"

namespace proxy {

/// From any thread.
class EventCounters {
   public:
    void count(EventKind kind) noexcept { increment(counts_[static_cast<std::size_t>(kind)]); }
    /// Events that were counted above, and then had no room in the queue, or in the audit file.
    void count_dropped(std::uint64_t events = 1) noexcept { dropped_.fetch_add(events, std::memory_order_relaxed); }

    std::uint64_t operator[](EventKind kind) const noexcept {
        return counts_[static_cast<std::size_t>(kind)].load(std::memory_order_relaxed);
    }
    std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

   private:
    static void increment(std::atomic<std::uint64_t>& counter) noexcept {
        counter.fetch_add(1, std::memory_order_relaxed);
    }

    std::array<std::atomic<std::uint64_t>, event_kinds> counts_{};
    std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace proxy
