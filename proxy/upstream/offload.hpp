// Threads for what takes long and cannot be interrupted: name look-ups, key derivation. Sessions
// wait for it on their own threads.
#pragma once

#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>

#include "tls/asio.hpp"

namespace proxy {

class Offload {
   public:
    explicit Offload(std::size_t threads);
    ~Offload() { end(); }
    /// Work was still running when its Offload ended: it uses libraries whose exit handlers would
    /// take their data away from it, so the process has to end without those (std::_Exit).
    static bool left_work_behind() noexcept;
    /// Nothing else is begun; what is being done is waited for, but not what hangs. To be called
    /// before what work uses ends that does not own it; where work is left behind, that must stay.
    void end();
    /// No result is delivered any more. To be called before the threads that wait for results end.
    void close();

    /// Runs `work`, which owns all that it uses, on a thread, and there `deliver` with its result;
    /// nullopt: it threw. Nothing is delivered once closed, and close() waits for `deliver`.
    template <class Work, class Deliver>
    void submit(Work work, Deliver deliver);
    /// Runs `work` likewise, and waits for its result. nullopt: it threw, or is not done at the
    /// deadline or when `waiting` is cancelled; then it is left to itself, or not begun at all.
    template <class Work>
    auto run(Work work, std::chrono::steady_clock::time_point deadline, std::shared_ptr<tls::Timer> waiting)
        -> tls::Awaitable<std::optional<decltype(work())>>;

   private:
    /// One that is left behind stays within reach: its thread goes on using it.
    struct Pool : asio::thread_pool {
        using asio::thread_pool::thread_pool;
        Pool* left_before = nullptr;
    };

    /// Shared with the work: that which hangs outlives us.
    struct State {
        std::mutex mutex;
        std::condition_variable idle;
        int running = 0;
        bool closed = false;
    };

    static bool begin(State& state);
    /// What `action` throws is logged, if that is possible, and costs nobody else anything: whoever
    /// waits for it does so until the deadline.
    static void guarded(const std::function<void()>& action) noexcept;

    std::shared_ptr<State> state_ = std::make_shared<State>();
    std::unique_ptr<Pool> pool_;
    static std::atomic<Pool*> last_left;
};

template <class Work, class Deliver>
void Offload::submit(Work work, Deliver deliver) {
    struct Task {
        Work work;
        Deliver deliver;
    };
    // Nothing may leave a handler of the pool, nor be thrown where the pool moves it: that would be
    // the end of the process. So what may throw is behind a pointer.
    const auto task = std::make_shared<Task>(Task{std::move(work), std::move(deliver)});
    if (!pool_) return;  // ended: nobody is answered any more
    asio::post(*pool_, [state = state_, task]() noexcept {
        if (!begin(*state)) return;
        std::optional<decltype(task->work())> result;
        guarded([&] { result = task->work(); });
        const std::lock_guard lock(state->mutex);
        if (--state->running == 0) state->idle.notify_all();
        if (!state->closed) guarded([&] { task->deliver(std::move(result)); });
    });
}

template <class Work>
auto Offload::run(Work work, std::chrono::steady_clock::time_point deadline, std::shared_ptr<tls::Timer> waiting)
    -> tls::Awaitable<std::optional<decltype(work())>> {
    using Result = std::optional<decltype(work())>;
    struct Pending {
        std::weak_ptr<tls::Timer> timer;  // weak: work that is left to itself outlives the timer's io_context
        Result result;
        bool abandoned = false;
    };
    const tls::Executor executor = co_await asio::this_coro::executor;
    const auto pending = std::make_shared<Pending>();
    pending->timer = waiting;
    waiting->expires_at(deadline);
    auto in_time = [deadline, work = std::move(work)]() mutable -> Result {
        if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
        return work();
    };
    submit(std::move(in_time), [pending, executor](std::optional<Result> result) {
        asio::post(executor, [pending, result = result ? std::move(*result) : std::nullopt]() mutable {
            pending->result = std::move(result);
            const auto timer = pending->timer.lock();
            if (timer && !pending->abandoned) timer->cancel();
        });
    });
    co_await waiting->async_wait(tls::returning());
    pending->abandoned = true;  // the timer may be waited for by somebody else by now
    co_return std::move(pending->result);
}

}  // namespace proxy
