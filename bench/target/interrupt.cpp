#include "bench/target/interrupt.hpp"

#include <atomic>
#include <csignal>

namespace bench {
namespace {

std::atomic<bool> noted = false;
static_assert(std::atomic<bool>::is_always_lock_free, "is written by a signal handler");

}  // namespace

void catch_interrupts() {
    struct sigaction action {};
    action.sa_handler = [](int) { noted = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

bool interrupted() noexcept { return noted; }

}  // namespace bench
