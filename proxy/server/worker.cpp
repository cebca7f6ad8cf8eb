#include "proxy/server/worker.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "proxy/observation/often.hpp"

namespace proxy {
namespace {

/// What one of them throws is not held against the others.
template <class Action>
void each(Session& session, Action action) {
    try {
        action(session);
    } catch (const std::exception& error) {
        spdlog::log(often("worker", {}), spdlog::level::err, "a session could not be ended or captured: {}",
                    error.what());
    }
}

}  // namespace

Worker::Worker(Services& services)
    : services_(services),
      keep_running_(io_.get_executor()),
      prewarm_(io_.get_executor(), services.resolver, services.outages, services.roles) {
    const tls::Socket first(io_.get_executor());  // the descriptors that io_ needs, while there are some
    thread_ = std::thread([this] { run(); });
}

/// What a handler throws has cost its session: the others go on.
void Worker::run() {
    for (;;) {
        try {
            io_.run();
            return;
        } catch (const std::exception& error) {
            spdlog::log(often("worker", {}), spdlog::level::err, "a session ended: {}", error.what());
        }
    }
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
    Seat seat{.place = std::move(place), .load = {&load_, LeaveLoad()}};
    asio::post(io_, [this, fd, family, accepted = std::move(accepted), seat = std::move(seat)]() mutable {
        begin(fd, family, std::move(accepted), std::move(seat));
    });
}

void Worker::begin(int fd, int family, Accepted accepted, Seat seat) {
    std::optional<tls::Socket> socket;
    try {
        socket.emplace(io_.get_executor());
        socket->assign(asio::generic::stream_protocol(family, 0), fd);
    } catch (const std::exception& error) {
        ::close(fd);
        return spdlog::log(often("worker", accepted.route->settings.name), spdlog::level::err,
                           "cannot take over a connection: {}", error.what());
    }
    RelayMeter& meter = relay_meters_.of(accepted.route->settings.name);
    auto session = std::make_unique<Session>(services_, prewarm_, std::move(accepted), std::move(*socket));
    Session* const key = session.get();
    asio::co_spawn(io_.get_executor(), drive(std::move(session), meter, std::move(seat)),
                   [this, key](const std::exception_ptr& failure) {
                       if (failure) failed(key, failure);
                   });
}

tls::Awaitable<> Worker::drive(std::unique_ptr<Session> session, RelayMeter& meter, Seat seat) {
    Session* const key = session.get();
    Running& running = sessions_[key];  // stays where it is, whatever else the map takes
    running.seat = std::move(seat);
    // Whatever happens until it is relayed, nobody finds the session here once it is no more.
    const auto forget = [this](Session* gone) { sessions_.erase(gone); };
    std::unique_ptr<Session, decltype(forget)> listed(key, forget);
    const AskToLogIn ask = [&running](const LoginRequest& request) { return running.seat.place.begin_login(request); };
    const auto& route = session->route();
    const AskToEnter enter = [&running, route](const std::string& address, const auto& bytes, auto& rejection) {
        return running.seat.place.enter(*route, address, bytes, rejection);
    };
    const AskToWait wait = [&running] { return running.seat.place.wait(); };
    const bool established = co_await session->log_in(ask, enter, wait);
    if (!established) {
        session.reset();
        co_return;
    }
    running.seat.place.logged_in();
    running.session = std::move(session);
    listed.release();
    key->relay(meter, [this, key] { relayed(key); });
}

/// The relay is over.
void Worker::relayed(Session* session) {
    const auto gone = sessions_.extract(session);
    // The place first, `disconnected` second: whoever reads that a client has gone may connect at
    // once without meeting max_connections.
    gone.mapped().seat.free();
    session->record_disconnected();
}

void Worker::failed(Session* session, const std::exception_ptr& failure) {
    const auto relayed = sessions_.find(session);
    if (relayed != sessions_.end()) session->abort(Reason::failed);
    std::rethrow_exception(failure);  // to run()
}

void Worker::prewarm(std::vector<std::shared_ptr<const UpstreamRoute>> upstreams) {
    asio::post(io_, [this, upstreams = std::move(upstreams)] { prewarm_.serve(upstreams); });
}

void Worker::join_captures() {
    asio::post(io_, [this] {
        for (const auto& [session, running] : sessions_) {
            if (running.session) each(*session, [](Session& one) { one.join_captures(); });
        }
    });
}

void Worker::end_idle() {
    asio::post(io_, [this] {
        for (const auto& [session, running] : sessions_)
            each(*session, [](Session& one) { one.end_if_idle(Reason::shutting_down); });
    });
}

void Worker::end_idle_at(std::string upstream, std::string address) {
    asio::post(io_, [this, upstream = std::move(upstream), address = std::move(address)] {
        for (const auto& [session, running] : sessions_) {
            if (!running.session || !session->is_at(upstream, address)) continue;
            each(*session, [](Session& one) { one.end_if_idle(Reason::host_demoted); });
        }
    });
}

void Worker::end_session(std::string name, Reason reason) {
    asio::post(io_, [this, name = std::move(name), reason] {
        for (const auto& [session, running] : sessions_) {
            if (!running.session || session->name() != name) continue;
            return each(*session, [reason](Session& one) { one.abort(reason); });
        }
    });
}

void Worker::abort_all(Reason reason) {
    asio::post(io_, [this, reason] {
        for (const auto& [session, running] : sessions_) each(*session, [&](Session& one) { one.abort(reason); });
    });
}

}  // namespace proxy
