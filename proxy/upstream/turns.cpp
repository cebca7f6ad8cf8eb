#include "proxy/upstream/turns.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace proxy {

Turns::Turns(std::size_t at_once) { state_->free = at_once; }

void Turns::close() {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
}

/// In the line, or with the turn, until it is taken over: also where the wait itself ends for want
/// of memory, of which the coroutine hears no more than its locals.
class Turns::Stay {
   public:
    Stay(std::shared_ptr<State> state, std::shared_ptr<Waiter> waiter)
        : state_(std::move(state)), waiter_(std::move(waiter)) {}
    Stay(const Stay&) = delete;
    Stay& operator=(const Stay&) = delete;
    ~Stay() {
        if (is_over_) return;
        const std::lock_guard lock(state_->mutex);
        waiter_->waits = false;
        leave(*state_, waiter_);
    }
    void is_over() noexcept { is_over_ = true; }

   private:
    const std::shared_ptr<State> state_;
    const std::shared_ptr<Waiter> waiter_;
    bool is_over_ = false;
};

tls::Awaitable<Turns::Turn> Turns::take(std::string source, std::chrono::steady_clock::time_point deadline,
                                        std::shared_ptr<tls::Timer> waiting) {
    const tls::Executor executor = co_await asio::this_coro::executor;
    const auto waiter =
        std::make_shared<Waiter>(Waiter{.source = std::move(source), .executor = executor, .timer = waiting});
    waiting->expires_at(deadline);
    bool at_once = false;
    {
        const std::lock_guard lock(state_->mutex);
        join(*state_, waiter);
        grant(*state_);
        at_once = waiter->granted;
    }
    Stay stay(state_, waiter);
    if (!at_once) co_await waiting->async_wait(tls::returning());
    waiter->waits = false;  // the timer may be waited for by somebody else by now
    {
        const std::lock_guard lock(state_->mutex);
        if (!waiter->granted) {
            stay.is_over();
            leave(*state_, waiter);
            co_return nullptr;
        }
    }
    stay.is_over();  // from here on the turn is released whatever happens
    co_return Turn(state_.get(), [state = state_, waiter](const void*) {
        const std::lock_guard lock(state->mutex);
        release(*state, waiter->source);
    });
}

/// Under the mutex, and so all below. Where there is no memory for it nobody waits who did not.
void Turns::join(State& state, const std::shared_ptr<Waiter>& waiter) {
    if (!state.lines[waiter->source].listed) {
        state.next.push_back(waiter->source);
        state.lines[waiter->source].listed = true;
    }
    state.lines[waiter->source].waiting.push_back(waiter);
}

void Turns::leave(State& state, const std::shared_ptr<Waiter>& waiter) noexcept {
    if (waiter->granted) return release(state, waiter->source);
    const auto line = state.lines.find(waiter->source);
    if (line != state.lines.end()) std::erase(line->second.waiting, waiter);
}

/// As many as may be.
void Turns::grant(State& state) noexcept {
    while (state.free > 0 && !state.closed && grant_one(state)) {
    }
}

/// The first line in which somebody may begin, which then goes behind the others.
bool Turns::grant_one(State& state) noexcept {
    for (std::size_t left = state.next.size(); left > 0; --left) {
        const auto found = state.lines.find(state.next.front());
        Line& line = found->second;
        if (line.waiting.empty()) {
            state.next.pop_front();
            line.listed = false;
            if (line.under_way == 0) state.lines.erase(found);
            continue;
        }
        state.next.splice(state.next.end(), state.next, state.next.begin());
        if (line.under_way >= max_of_one_source) continue;
        const std::shared_ptr<Waiter> waiter = std::move(line.waiting.front());
        line.waiting.pop_front();
        waiter->granted = true;
        ++line.under_way;
        --state.free;
        wake(waiter);
        return true;
    }
    return false;
}

void Turns::wake(const std::shared_ptr<Waiter>& waiter) noexcept {
    try {
        asio::post(waiter->executor, [waiter] {
            const auto timer = waiter->timer.lock();
            if (timer && waiter->waits) timer->cancel();
        });
    } catch (const std::bad_alloc&) {
        // It wakes at its deadline, and has its turn then.
    }
}

void Turns::release(State& state, const std::string& source) noexcept {
    ++state.free;
    const auto found = state.lines.find(source);
    Line& line = found->second;
    --line.under_way;
    if (line.under_way == 0 && !line.listed) state.lines.erase(found);
    grant(state);
}

}  // namespace proxy
