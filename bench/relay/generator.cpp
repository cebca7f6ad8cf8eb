#include "bench/relay/generator.hpp"

#include <algorithm>
#include <boost/asio/use_future.hpp>
#include <stdexcept>

#include "bench/target/interrupt.hpp"
#include "bench/target/schedule.hpp"

namespace bench {
namespace {

/// For the last answers of what ends by itself after an interrupt.
constexpr std::chrono::seconds last_answers{3};

enum class Waited { ended, too_long, interrupted };

Waited wait(const std::future<void>& work, Clock::time_point deadline) {
    std::optional<Clock::time_point> patience_ends;
    for (;;) {
        const auto now = Clock::now();
        if (work.wait_until(std::min(deadline, now + longest_sleep)) == std::future_status::ready) return Waited::ended;
        if (interrupted() && !patience_ends) patience_ends = now + last_answers;
        if (patience_ends && now >= *patience_ends) return Waited::interrupted;
        if (now >= deadline) return Waited::too_long;
    }
}

}  // namespace

void Generator::spawn(std::size_t thread, tls::Awaitable<> work) {
    begun_.push_back(asio::co_spawn(workers_.at(thread), std::move(work), asio::use_future));
}

bool Generator::has_ended() const {
    return std::any_of(begun_.begin(), begun_.end(), [](const std::future<void>& one) {
        return one.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    });
}

void Generator::join(Duration limit) {
    const auto deadline = Clock::now() + limit;
    std::vector<std::future<void>> begun = std::exchange(begun_, {});
    for (const std::future<void>& one : begun) {
        const Waited waited = wait(one, deadline);
        if (waited == Waited::ended) continue;
        workers_.stop();
        if (waited == Waited::interrupted) throw Interrupted();
        throw std::runtime_error("no answer within " +
                                 std::to_string(std::chrono::duration_cast<std::chrono::seconds>(limit).count()) +
                                 " s");
    }
    for (std::future<void>& one : begun) one.get();
}

}  // namespace bench
