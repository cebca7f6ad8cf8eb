// What the client said, when the server has got as far as it had.
#include <algorithm>

#include "bench/replay/own_words.hpp"
#include "bench/replay/run.hpp"

namespace bench::replay {

tls::Awaitable<> Run::say_all() {
    for (std::size_t i = 0; i < units().size() && !over_; ++i) {
        for (const Request& request : units()[i].requests) {
            co_await wait_for(request.awaited);
            if (over_ || current_ > i) break;  // answered already: what follows is data for a COPY that failed
            co_await think(request.delay);
            if (over_ || current_ > i) break;
            co_await say(request, i);
        }
    }
    const Awaited everything{.unit = units().size(), .parts = 0};
    co_await wait_for(everything);
    ending_ = true;
    if (over_) co_return;
    const protocol::Buffer farewell = terminate();
    co_await send(farewell);
    client_->stream().close_send(true);
    progress_ = Clock::now();
    busy_ = true;  // until it closes too
}

tls::Awaitable<> Run::say(const Request& request, std::size_t unit) {
    if (request.asks) {
        asked_[unit] = Clock::now();
        const tls::Executor executor = co_await asio::this_coro::executor;
        for (const Cancel& one : session_.plan.cancels) {
            if (one.unit != unit) continue;
            ++others_;
            const auto self = shared_from_this();
            asio::co_spawn(
                executor, [self, one] { return self->cancel_later(one); },
                [self](std::exception_ptr thrown) {
                    if (thrown) ++self->outcome_.cancels_failed;
                    self->other_ended(nullptr);
                });
        }
    }
    co_await send(request.bytes);
}

tls::Awaitable<> Run::send(protocol::Bytes bytes) {
    tls::Stream& stream = client_->stream();
    busy_ = true;
    progress_ = Clock::now();
    for (bool sent = stream.send(bytes); !sent && !over_; sent = stream.flush()) {
        const auto [error] = co_await stream.socket().async_wait(tls::Socket::wait_write, tls::returning());
        if (error) break;
        progress_ = Clock::now();
    }
    busy_ = false;
}

tls::Awaitable<> Run::wait_for(Awaited awaited) {
    progress_ = Clock::now();
    while (!over_) {
        const bool far_enough = current_ > awaited.unit ||
                                (current_ == awaited.unit && (answers_.parts() >= awaited.parts || answers_.failed()));
        if (copy_stuck_) co_await fail_copy();
        if (far_enough || over_) break;
        busy_ = true;
        change_->expires_at(never);
        co_await change_->async_wait(tls::returning());
    }
    busy_ = false;
}

/// As long as the client did, or less where it is to be faster.
tls::Awaitable<> Run::think(Duration delay) {
    if (rules_.speed <= 0 || delay.count() == 0) co_return;
    const auto until =
        Clock::now() + Duration(static_cast<Duration::rep>(static_cast<double>(delay.count()) / rules_.speed));
    while (!over_ && Clock::now() < until) {
        if (copy_stuck_) co_await fail_copy();
        change_->expires_at(until);
        co_await change_->async_wait(tls::returning());
    }
}

tls::Awaitable<> Run::fail_copy() {
    copy_stuck_ = false;
    const protocol::Buffer message = refuse_copy(current_ < units().size() && units()[current_].extended);
    co_await send(message);
}

/// As late as it came in the capture, at any speed: the server needs its time to get there.
tls::Awaitable<> Run::cancel_later(Cancel one) {
    const tls::Executor executor = co_await asio::this_coro::executor;
    tls::Timer timer(executor);
    const auto due = Clock::now() + one.delay;
    while (!over_ && Clock::now() < due) {
        timer.expires_at(std::min(due, Clock::now() + look_again));
        co_await timer.async_wait(tls::returning());
    }
    const auto& key = client_->key();
    const bool too_late = over_ || current_ > one.unit;
    bool sent = too_late;
    if (!too_late && key) sent = co_await cancel(*target_.route, *key);
    if (!sent) ++outcome_.cancels_failed;
}

}  // namespace bench::replay
