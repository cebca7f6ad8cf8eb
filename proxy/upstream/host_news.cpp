#include "proxy/upstream/host_news.hpp"

#include <algorithm>
#include <new>
#include <random>

#include "proxy/upstream/jitter.hpp"

namespace proxy {
namespace {

std::chrono::milliseconds between(std::chrono::milliseconds least, std::chrono::milliseconds most) {
    return std::chrono::milliseconds(std::uniform_int_distribution<long long>(least.count(), most.count())(chance()));
}

}  // namespace

tls::Awaitable<> HostNews::wait(std::string upstream, Clock::time_point until, std::shared_ptr<tls::Timer> waiting,
                                Turn turn) {
    const std::shared_ptr<Waiter> waiter = join(upstream, waiting);
    while (!is_given_up()) {
        const auto pause = between(look_interval * 3 / 4, look_interval * 5 / 4);
        waiting->expires_at(std::min(until, Clock::now() + pause));
        const auto [ended] = co_await waiting->async_wait(tls::returning());
        if (waiter->told && !is_given_up()) {
            waiting->expires_at(std::min(until, Clock::now() + between(std::chrono::milliseconds(0), spread)));
            co_await waiting->async_wait(tls::returning());
            co_return;
        }
        const auto now = Clock::now();
        if (ended || now >= until || may_look(upstream, turn, now)) co_return;
    }
}

void HostNews::tell(const std::string& upstream) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found = upstreams_.find(upstream);
    if (found != upstreams_.end()) wake(found->second);
}

void HostNews::give_up() noexcept {
    const std::lock_guard lock(mutex_);
    given_up_ = true;
    for (auto& [name, upstream] : upstreams_) wake(upstream);
}

void HostNews::close() noexcept {
    const std::lock_guard lock(mutex_);
    closed_ = true;
}

/// Under the mutex, so that nobody is woken after close().
void HostNews::wake(Upstream& upstream) noexcept {
    if (closed_) return;
    std::erase_if(upstream.waiting, [](const std::weak_ptr<Waiter>& one) {
        const auto waiter = one.lock();
        if (!waiter) return true;
        try {
            asio::post(waiter->executor, [waiter] {
                waiter->told = true;
                if (const auto timer = waiter->timer.lock()) timer->cancel();
            });
            return true;
        } catch (const std::bad_alloc&) {
            return false;  // it hears of the next news, or looks when it is its turn
        }
    });
}

std::map<std::string, unsigned> HostNews::waiting() const {
    const auto waits = [](const auto& one) { return !one.expired(); };
    std::map<std::string, unsigned> all;
    const std::lock_guard lock(mutex_);
    for (const auto& [name, upstream] : upstreams_)
        all[name] = static_cast<unsigned>(std::count_if(upstream.waiting.begin(), upstream.waiting.end(), waits));
    return all;
}

std::optional<bool> HostNews::can_be_repeated(const std::string& upstream, const std::string& kind) const {
    const std::lock_guard lock(mutex_);
    const auto known = upstreams_.find(upstream);
    if (known == upstreams_.end()) return std::nullopt;
    const auto found = known->second.repeatable.find(kind);
    return found == known->second.repeatable.end() ? std::nullopt : std::optional(found->second);
}

/// Where there is no room they begin anew: the next login of each kind tells again.
void HostNews::learn_repeatable(const std::string& upstream, const std::string& kind, bool can_be) {
    const std::lock_guard lock(mutex_);
    auto& known = upstreams_[upstream].repeatable;
    if (known.size() >= max_kinds && !known.contains(kind)) known.clear();
    known.insert_or_assign(kind, can_be);
}

bool HostNews::is_given_up() const {
    const std::lock_guard lock(mutex_);
    return given_up_;
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

bool HostNews::may_look(const std::string& upstream, Turn turn, Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    Clock::time_point& next = upstreams_[upstream].next_look[turn];
    if (now < next) return false;
    next = now + between(look_interval * 3 / 4, look_interval * 5 / 4);
    return true;
}

}  // namespace proxy
