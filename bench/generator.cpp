#include "bench/generator.hpp"

#include <boost/asio/use_future.hpp>

#include <stdexcept>

namespace bench {

void Generator::spawn(std::size_t thread, tls::Awaitable<> work) {
    begun_.push_back(asio::co_spawn(workers_.at(thread), std::move(work), asio::use_future));
}

void Generator::join(Duration limit) {
    const auto deadline = Clock::now() + limit;
    std::vector<std::future<void>> begun = std::exchange(begun_, {});
    for (const std::future<void>& one : begun) {
        if (one.wait_until(deadline) == std::future_status::ready) continue;
        workers_.stop();
        throw std::runtime_error("no answer within " + std::to_string(std::chrono::duration_cast<std::chrono::seconds>(limit).count()) + " s");
    }
    for (std::future<void>& one : begun) one.get();
}

}  // namespace bench
