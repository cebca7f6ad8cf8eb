#include "bench/target/workers.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace bench {
namespace {

/// An io_context's epoll, eventfd and timerfd.
constexpr std::size_t descriptors_of_a_thread = 3;
/// Standard input, output and error, the report's file, and what is open for a moment in /proc.
constexpr std::size_t other_descriptors = 10;

}  // namespace

Workers::Workers(unsigned threads) {
    const unsigned count = threads > 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < count; ++i) all_.push_back(std::make_unique<Worker>());
}

Workers::~Workers() { stop(); }

void Workers::stop() {
    for (const auto& worker : all_) worker->io.stop();
    for (const auto& worker : all_) {
        if (worker->thread.joinable()) worker->thread.join();
    }
}

void raise_descriptor_limit() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

void require_descriptors(std::size_t connections, std::size_t threads) {
    const std::size_t needed = connections + threads * descriptors_of_a_thread + other_descriptors;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return;
    throw std::invalid_argument(std::to_string(connections) + " connections at a time need " + std::to_string(needed) +
                                " file descriptors, but the limit is " + std::to_string(limit.rlim_cur) +
                                ": raise ulimit -n");
}

}  // namespace bench
