#include "proxy/server/worker.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <csignal>

namespace proxy {

Worker::Worker(Services& services)
    : services_(services), keep_running_(io_.get_executor()), prewarm_(io_.get_executor(), services.resolver) {
    thread_ = std::thread([this] { io_.run(); });
}

Worker::~Worker() {
    abort_all(Reason::shutting_down);
    prewarm({});
    keep_running_.reset();
    // Sessions end within microseconds; one that cannot is dropped, and leaves no event.
    for (int i = 0; i < 100 && load() > 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    io_.stop();
    thread_.join();
}

void Worker::run_session(int fd, int family, Accepted accepted, std::function<void()> on_end) {
    load_.fetch_add(1, std::memory_order_relaxed);
    asio::post(io_, [this, fd, family, accepted = std::move(accepted), on_end = std::move(on_end)]() mutable {
        tls::Socket socket(io_.get_executor());
        boost::system::error_code error;
        socket.assign(asio::generic::stream_protocol(family, 0), fd, error);
        if (error) {
            spdlog::error("cannot take over a connection: {}", error.message());
            ::close(fd);
            return release(on_end);
        }
        auto session = std::make_unique<Session>(services_, prewarm_, std::move(accepted), std::move(socket));
        asio::co_spawn(io_.get_executor(), drive(std::move(session), std::move(on_end)), asio::detached);
    });
}

tls::Awaitable<> Worker::drive(std::unique_ptr<Session> session, std::function<void()> on_end) {
    Session* const key = session.get();
    sessions_[key] = nullptr;
    const bool established = co_await session->log_in();
    if (established) {
        sessions_[key] = std::move(session);
        key->relay([this, key, on_end = std::move(on_end)] {
            release(on_end);
            key->report_disconnected();  // whoever reads that a client has gone finds its place free
            sessions_.erase(key);
        });
        co_return;
    }
    session.reset();
    sessions_.erase(key);
    release(on_end);
}

void Worker::release(const std::function<void()>& on_end) {
    load_.fetch_sub(1, std::memory_order_relaxed);
    on_end();
}

void Worker::prewarm(std::vector<std::shared_ptr<const UpstreamRoute>> upstreams) {
    asio::post(io_, [this, upstreams = std::move(upstreams)] { prewarm_.serve(upstreams); });
}

void Worker::abort_all(Reason reason) {
    asio::post(io_, [this, reason] {
        for (const auto& [session, owner] : sessions_) session->abort(reason);
    });
}

}  // namespace proxy
