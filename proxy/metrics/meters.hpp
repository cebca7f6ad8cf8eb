// Numbers that change while sessions run. Each is written by one thread, so that counting costs an
// addition and nobody waits, and read by whoever scrapes.
#pragma once

#include <atomic>
#include <cstdint>

namespace proxy {

/// One thread's sessions of one listener.
struct alignas(64) RelayMeter {
    std::atomic<std::uint64_t> from_client{0};  ///< bytes
    std::atomic<std::uint64_t> from_server{0};

    /// By the one thread that writes.
    static void add(std::atomic<std::uint64_t>& to, std::uint64_t bytes) noexcept {
        to.store(to.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
    }
};

/// One thread's connections of one upstream that wait for a client.
struct PrewarmMeter {
    std::atomic<unsigned> ready{0};
    std::atomic<unsigned> wanted{0};
};

}  // namespace proxy
