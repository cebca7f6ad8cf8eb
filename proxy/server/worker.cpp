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

void Worker::run_session(int fd, int family, Accepted accepted, Admission::Place place) {
    load_.fetch_add(1, std::memory_order_relaxed);
    asio::post(io_, [this, fd, family, accepted = std::move(accepted), place = std::move(place)]() mutable {
        tls::Socket socket(io_.get_executor());
        boost::system::error_code error;
        socket.assign(asio::generic::stream_protocol(family, 0), fd, error);
        if (error) {
            spdlog::error("cannot take over a connection: {}", error.message());
            ::close(fd);
            return release(place);
        }
        auto session = std::make_unique<Session>(services_, prewarm_, std::move(accepted), std::move(socket));
        asio::co_spawn(io_.get_executor(), drive(std::move(session), std::move(place)), asio::detached);
    });
}

tls::Awaitable<> Worker::drive(std::unique_ptr<Session> session, Admission::Place place) {
    Session* const key = session.get();
    Running& running = sessions_[key];  // stays where it is, whatever else the map takes
    running.place = std::move(place);
    const bool established = co_await session->log_in();
    if (established) {
        running.session = std::move(session);
        key->relay([this, key] {
            // The place first, `disconnected` second: whoever reads that a client has gone may
            // connect at once without meeting max_connections.
            release(sessions_.at(key).place);
            key->record_disconnected();
            sessions_.erase(key);
        });
        co_return;
    }
    session.reset();
    release(running.place);
    sessions_.erase(key);
}

void Worker::release(Admission::Place& place) {
    load_.fetch_sub(1, std::memory_order_relaxed);
    place.free();
}

void Worker::prewarm(std::vector<std::shared_ptr<const UpstreamRoute>> upstreams) {
    asio::post(io_, [this, upstreams = std::move(upstreams)] { prewarm_.serve(upstreams); });
}

void Worker::abort_all(Reason reason) {
    asio::post(io_, [this, reason] {
        for (const auto& [session, running] : sessions_) session->abort(reason);
    });
}

}  // namespace proxy
