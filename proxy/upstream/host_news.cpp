#include "proxy/upstream/host_news.hpp"

#include <algorithm>
#include <random>
#include <utility>

namespace proxy {
namespace {

std::chrono::milliseconds between(std::chrono::milliseconds least, std::chrono::milliseconds most) {
    static thread_local std::minstd_rand random{std::random_device{}()};
    return std::chrono::milliseconds(std::uniform_int_distribution<long long>(least.count(), most.count())(random));
}

}  // namespace

tls::Awaitable<> HostNews::wait(std::string upstream, Clock::time_point until, std::shared_ptr<tls::Timer> waiting) {
    const std::shared_ptr<Waiter> waiter = join(upstream, waiting);
    for (;;) {
        const auto pause = between(look_interval * 3 / 4, look_interval * 5 / 4);
        waiting->expires_at(std::min(until, Clock::now() + pause));
        const auto [ended] = co_await waiting->async_wait(tls::returning());
        if (waiter->told) {
            waiting->expires_at(std::min(until, Clock::now() + between(std::chrono::milliseconds(0), spread)));
            co_await waiting->async_wait(tls::returning());
            co_return;
        }
        const auto now = Clock::now();
        if (ended || now >= until || may_look(upstream, now)) co_return;
    }
}

void HostNews::tell(const std::string& upstream) {
    std::vector<std::weak_ptr<Waiter>> told;
    {
        const std::lock_guard lock(mutex_);
        const auto found = upstreams_.find(upstream);
        if (found != upstreams_.end()) told = std::exchange(found->second.waiting, {});
    }
    for (const auto& one : told) {
        const auto waiter = one.lock();
        if (!waiter) continue;
        asio::post(waiter->executor, [waiter] {
            waiter->told = true;
            if (const auto timer = waiter->timer.lock()) timer->cancel();
        });
    }
}

std::shared_ptr<HostNews::Waiter> HostNews::join(const std::string& upstream,
                                                 const std::shared_ptr<tls::Timer>& waiting) {
    auto waiter = std::make_shared<Waiter>(Waiter{.executor = waiting->get_executor(), .timer = waiting});
    const std::lock_guard lock(mutex_);
    auto& others = upstreams_[upstream].waiting;
    // At once only when it has grown: with many waiting this would cost more than it frees.
    if (others.size() == others.capacity()) std::erase_if(others, [](const auto& one) { return one.expired(); });
    others.push_back(waiter);
    return waiter;
}

bool HostNews::may_look(const std::string& upstream, Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    Clock::time_point& next = upstreams_[upstream].next_look;
    if (now < next) return false;
    next = now + between(look_interval * 3 / 4, look_interval * 5 / 4);
    return true;
}

}  // namespace proxy
