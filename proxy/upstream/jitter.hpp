// Chance that needs no secrecy: so that many proxies and many threads, which one event has set
// going, do not come at once, and clients are spread over hosts.
#pragma once

#include <chrono>
#include <random>

namespace proxy {

/// Of this thread.
inline std::minstd_rand& chance() {
    static thread_local std::minstd_rand random{std::random_device{}()};
    return random;
}

/// Up to a quarter more or less.
inline std::chrono::milliseconds jittered(std::chrono::milliseconds time) {
    return time * std::uniform_int_distribution<int>(75, 125)(chance()) / 100;
}

}  // namespace proxy
