// One thread with its own io_context and the sessions on it. A session never changes thread, so
// nothing in it is locked.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <unordered_map>

#include "proxy/server/admission.hpp"
#include "proxy/session/session.hpp"
#include "tls/asio.hpp"

namespace proxy {

class Worker {
   public:
    explicit Worker(Services& services);
    /// Ends what is left and joins the thread.
    ~Worker();

    /// From any thread: runs a session for `fd`, which it closes. `place` is freed when it is over.
    void run_session(int fd, int family, Accepted accepted, Admission::Place place);
    /// From any thread: keeps connections to these upstreams ready, and to no others.
    void prewarm(std::vector<std::shared_ptr<const UpstreamRoute>> upstreams);
    /// From any thread: ends every session.
    void abort_all(Reason reason);
    unsigned load() const noexcept { return load_.load(std::memory_order_relaxed); }

   private:
    struct Running {
        std::unique_ptr<Session> session;  ///< nullptr as long as drive() owns it: until it is relayed
        Admission::Place place;
    };

    tls::Awaitable<> drive(std::unique_ptr<Session> session, Admission::Place place);
    void release(Admission::Place& place);

    Services& services_;
    asio::io_context io_{1};
    asio::executor_work_guard<tls::Executor> keep_running_;
    Prewarm prewarm_;
    std::unordered_map<Session*, Running> sessions_;
    std::atomic<unsigned> load_{0};
    std::thread thread_;
};

}  // namespace proxy
