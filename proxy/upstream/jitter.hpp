// So that many proxies and many threads, which one event has set going, do not come at once.
#pragma once

#include <chrono>
#include <random>

namespace proxy {

/// Up to a quarter more or less.
inline std::chrono::milliseconds jittered(std::chrono::milliseconds time) {
    static thread_local std::minstd_rand random{std::random_device{}()};
    return time * std::uniform_int_distribution<int>(75, 125)(random) / 100;
}

}  // namespace proxy
