// One thread with its own io_context and the sessions on it. A session never changes thread, so
// nothing in it is locked.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <unordered_map>

#include "proxy/session/session.hpp"
#include "tls/asio.hpp"

namespace proxy {

class Worker {
   public:
    explicit Worker(Services& services);
    /// Ends what is left and joins the thread.
    ~Worker();

    /// From any thread: runs a session for `fd`, which it closes; `on_end` is called on the
    /// worker's thread.
    void run_session(int fd, int family, Accepted accepted, std::function<void()> on_end);
    /// From any thread: keeps connections to these upstreams ready, and to no others.
    void prewarm(std::vector<std::shared_ptr<const UpstreamRoute>> upstreams);
    /// From any thread: ends every session.
    void abort_all(Reason reason);
    unsigned load() const noexcept { return load_.load(std::memory_order_relaxed); }

   private:
    tls::Awaitable<> drive(std::unique_ptr<Session> session, std::function<void()> on_end);
    void release(const std::function<void()>& on_end);

    Services& services_;
    asio::io_context io_{1};
    asio::executor_work_guard<tls::Executor> keep_running_;
    Prewarm prewarm_;
    std::unordered_map<Session*, std::unique_ptr<Session>> sessions_;  // owned by drive() until they are relayed
    std::atomic<unsigned> load_{0};
    std::thread thread_;
};

}  // namespace proxy
