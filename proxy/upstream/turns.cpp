#include "proxy/upstream/turns.hpp"

#include <algorithm>
#include <utility>

namespace proxy {

Turns::Turns(std::size_t at_once) { state_->free = at_once; }

void Turns::close() {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
}

tls::Awaitable<Turns::Turn> Turns::take(std::string source, std::chrono::steady_clock::time_point deadline,
                                        std::shared_ptr<tls::Timer> waiting) {
    const tls::Executor executor = co_await asio::this_coro::executor;
    const auto waiter = std::make_shared<Waiter>(Waiter{.executor = executor, .timer = waiting});
    waiting->expires_at(deadline);
    bool at_once = false;
    {
        const std::lock_guard lock(state_->mutex);
        Line& line = state_->lines[source];
        line.waiting.push_back(waiter);
        if (!std::exchange(line.listed, true)) state_->next.push_back(source);
        grant(*state_);
        at_once = waiter->granted;
    }
    if (!at_once) co_await waiting->async_wait(tls::returning());
    waiter->waits = false;  // the timer may be waited for by somebody else by now
    {
        const std::lock_guard lock(state_->mutex);
        if (!waiter->granted) {
            std::erase(state_->lines[source].waiting, waiter);
            co_return nullptr;
        }
    }
    co_return Turn(state_.get(), [state = state_, source](const void*) { release(*state, source); });
}

/// Under the mutex: as many as may be.
void Turns::grant(State& state) {
    while (state.free > 0 && !state.closed && grant_one(state)) {
    }
}

/// The first line in which somebody may begin, which then goes behind the others.
bool Turns::grant_one(State& state) {
    for (std::size_t left = state.next.size(); left > 0; --left) {
        const std::string source = std::move(state.next.front());
        state.next.pop_front();
        Line& line = state.lines[source];
        if (line.waiting.empty()) {
            line.listed = false;
            if (line.under_way == 0) state.lines.erase(source);
            continue;
        }
        state.next.push_back(source);
        if (line.under_way >= max_of_one_source) continue;
        const std::shared_ptr<Waiter> waiter = std::move(line.waiting.front());
        line.waiting.pop_front();
        waiter->granted = true;
        ++line.under_way;
        --state.free;
        asio::post(waiter->executor, [waiter] {
            const auto timer = waiter->timer.lock();
            if (timer && waiter->waits) timer->cancel();
        });
        return true;
    }
    return false;
}

void Turns::release(State& state, const std::string& source) {
    const std::lock_guard lock(state.mutex);
    ++state.free;
    Line& line = state.lines[source];
    --line.under_way;
    if (line.under_way == 0 && !line.listed) state.lines.erase(source);
    grant(state);
}

}  // namespace proxy
