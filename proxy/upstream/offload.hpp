// Threads for what takes long and cannot be interrupted: name look-ups, key derivation. Sessions
// wait for it on their own threads.
#pragma once

#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>

#include "tls/asio.hpp"

namespace proxy {

class Offload {
   public:
    explicit Offload(std::size_t threads);
    ~Offload();
    /// Work was still running when its Offload ended: it uses libraries whose exit handlers would
    /// take their data away from it, so the process has to end without those (std::_Exit).
    static bool left_work_behind() noexcept;
    /// No result is delivered any more. To be called before the threads that wait for results end.
    void close();

    /// Runs `work`, which owns all that it uses, and waits for its result. nullopt: it threw, or is
    /// not done at the deadline or when `waiting` is cancelled; then it is left to itself, or not
    /// begun at all.
    template <class Work>
    auto run(Work work, std::chrono::steady_clock::time_point deadline, std::shared_ptr<tls::Timer> waiting)
        -> tls::Awaitable<std::optional<decltype(work())>>;

   private:
    /// Shared with the work: that which hangs outlives us.
    struct State {
        std::mutex mutex;
        int running = 0;
        bool closed = false;
    };

    static bool begin(State& state);

    std::shared_ptr<State> state_ = std::make_shared<State>();
    std::unique_ptr<asio::thread_pool> pool_;
};

template <class Work>
auto Offload::run(Work work, std::chrono::steady_clock::time_point deadline, std::shared_ptr<tls::Timer> waiting)
    -> tls::Awaitable<std::optional<decltype(work())>> {
    struct Pending {
        std::weak_ptr<tls::Timer> timer;  // weak: work that is left to itself outlives the timer's io_context
        std::optional<decltype(work())> result;
        bool abandoned = false;
    };
    const tls::Executor executor = co_await asio::this_coro::executor;
    const auto pending = std::make_shared<Pending>();
    pending->timer = waiting;
    waiting->expires_at(deadline);
    asio::post(*pool_, [state = state_, pending, executor, deadline, work = std::move(work)]() mutable {
        if (std::chrono::steady_clock::now() >= deadline || !begin(*state)) return;
        std::optional<decltype(work())> result;
        try {
            result = work();
        } catch (const std::exception& error) {
            spdlog::error("{}", error.what());
        }
        const std::lock_guard lock(state->mutex);
        --state->running;
        if (state->closed) return;
        asio::post(executor, [pending, result = std::move(result)]() mutable {
            pending->result = std::move(result);
            const auto timer = pending->timer.lock();
            if (timer && !pending->abandoned) timer->cancel();
        });
    });
    co_await waiting->async_wait(tls::returning);
    pending->abandoned = true;  // the timer may be waited for by somebody else by now
    co_return std::move(pending->result);
}

}  // namespace proxy
