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

tls::Awaitable<HostNews::Woken> HostNews::wait(std::string upstream, Clock::time_point until,
                                               std::shared_ptr<tls::Timer> waiting, Reserved reserved) {
    const bool is_reserved = static_cast<bool>(reserved.is_promising);
    std::shared_ptr<Waiter> waiter = join(upstream, waiting);
    for (;;) {
        const auto pause = between(look_interval * 3 / 4, look_interval * 5 / 4);
        waiting->expires_at(std::min(until, Clock::now() + pause));
        auto [ended] = co_await waiting->async_wait(tls::returning());
        const bool told = waiter->told;
        if (told) {
            waiting->expires_at(std::min(until, Clock::now() + between(std::chrono::milliseconds(0), spread)));
            const auto [left] = co_await waiting->async_wait(tls::returning());
            if (!is_reserved) co_return Woken::by_news;
            ended = left;
            waiter = join(upstream, waiting);
        }
        const auto now = Clock::now();
        if (ended || now >= until) co_return Woken::by_news;
        if (!is_reserved) {
            if (may_look(upstream, now)) co_return Woken::to_look;
        } else if (reserved.is_promising()) {
            co_return Woken::by_news;
        } else if (!reserved.others_ask() && may_sacrifice(upstream, now)) {
            co_return Woken::to_look;
        }
    }
}

void HostNews::tell(const std::string& upstream, bool is_certain) {
    std::vector<std::weak_ptr<Waiter>> told;
    {
        const std::lock_guard lock(mutex_);
        const auto found = upstreams_.find(upstream);
        if (found != upstreams_.end()) {
            told = std::exchange(found->second.waiting, {});
            if (is_certain && !told.empty()) found->second.next_sacrifice = Clock::now();
        }
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

std::optional<bool> HostNews::can_be_repeated(const std::string& kind) const {
    const std::lock_guard lock(mutex_);
    const auto found = repeatable_.find(kind);
    return found == repeatable_.end() ? std::nullopt : std::optional(found->second);
}

void HostNews::learn_repeatable(const std::string& kind, bool can_be) {
    const std::lock_guard lock(mutex_);
    if (repeatable_.size() >= max_kinds && !repeatable_.contains(kind)) repeatable_.clear();
    repeatable_.insert_or_assign(kind, can_be);
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
    Upstream& known = upstreams_[upstream];
    known.looked = now;
    if (now < known.next_look) return false;
    known.next_look = now + between(look_interval * 3 / 4, look_interval * 5 / 4);
    return true;
}

/// While nobody is there who may look; and not as soon as the first one waits, for what it waits
/// for has just been found out.
bool HostNews::may_sacrifice(const std::string& upstream, Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    Upstream& known = upstreams_[upstream];
    if (now - known.looked < 2 * look_interval) return false;
    const bool is_first = now - known.next_sacrifice > sacrifice_interval;
    if (!is_first && now < known.next_sacrifice) return false;
    known.next_sacrifice = now + sacrifice_interval;
    return !is_first;
}

}  // namespace proxy
