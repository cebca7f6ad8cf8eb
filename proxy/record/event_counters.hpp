// How often each kind of event happened since the start. Counted where an event is recorded, before
// the queue: what the queue has no room for is counted all the same.
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
    /// An event that was counted above, and then had no room in the queue.
    void count_dropped() noexcept { increment(dropped_); }

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
