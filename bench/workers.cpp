#include "bench/workers.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace bench {

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

}  // namespace bench
