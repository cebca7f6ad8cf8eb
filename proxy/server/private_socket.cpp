#include "proxy/server/private_socket.hpp"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "proxy/server/left_sockets.hpp"
#include "proxy/session/cancel.hpp"
#include "proxy/upstream/upstream.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto question_timeout = 5s;
constexpr auto write_timeout = 5s;
constexpr std::size_t max_question = 1024;
/// A client that reconnects as soon as its session is over must not meet a limit.
constexpr auto counts_interval = 20ms;
constexpr auto metrics_interval = 1s;
constexpr auto last_words_timeout = 1s;

/// The kernel tells who connects.
bool is_ours(int fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == ::geteuid() || peer.uid == 0);
}

protocol::Bytes bytes_of(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string all_metrics_text(const CountedByRun& counted) {
    std::string text;
    for (const auto& [run, metrics] : counted) text += frame("metrics", metrics, run);
    return text;
}

/// False: not all of it in time.
bool send_now(int fd, std::string_view text, Clock::time_point until) noexcept {
    while (!text.empty()) {
        const ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            text.remove_prefix(static_cast<std::size_t>(n));
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
        pollfd wait{.fd = fd, .events = POLLOUT, .revents = 0};
        if (errno != EAGAIN || left <= 0 || ::poll(&wait, 1, static_cast<int>(left)) <= 0) return false;
    }
    return true;
}

}  // namespace

void PrivateSocket::open(const std::string& state_dir) {
    if (socket_) return;
    const std::string folder = state_dir + "/upgrade";
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
        throw std::runtime_error("cannot make " + folder + ": " + std::strerror(errno));
    remove_left_sockets(folder + "/");
    const config::Address address{.kind = config::Address::Kind::unix_socket,
                                  .host = private_path(state_dir, ::getpid()),
                                  .port = 0,
                                  .origin = {}};
    socket_ = std::make_shared<Listener>(io_, bind_listener(address, 0600));
    socket_->keep_spares(4);
    socket_->serve([this](int fd, const Peer&) { take(fd); });
}

void PrivateSocket::close() noexcept {
    if (socket_) socket_->stop();
    socket_.reset();
    for (const auto& one : connections_) {
        if (const auto connection = one.lock()) connection->stream.close();
    }
    connections_.clear();
}

void PrivateSocket::say_last_words() noexcept {
    try {
        const std::string text = frame("counts", to_text(Elsewhere{})) + all_metrics_text(uses_.metrics());
        const auto until = Clock::now() + last_words_timeout;
        for (const auto& one : connections_) {
            const auto connection = one.lock();
            if (connection && connection->follows && !connection->writes)
                send_now(connection->stream.socket().native_handle(), text, until);
        }
    } catch (const std::exception& error) {
        spdlog::error("upgrade: the last numbers are not told: {}", error.what());
    }
}

void PrivateSocket::take(int fd) {
    connections_.remove_if([](const auto& one) { return one.expired(); });
    if (connections_.size() >= max_connections || !is_ours(fd)) {
        ::close(fd);
        return;
    }
    tls::Socket socket(io_.get_executor());
    socket.assign(asio::generic::stream_protocol(AF_UNIX, 0), fd);
    const auto connection = std::make_shared<Connection>(std::move(socket));
    connections_.push_back(connection);
    asio::co_spawn(io_.get_executor(), converse(connection), [](const std::exception_ptr& failure) {
        // Whoever asked has gone, or said nothing: it is told nothing either.
        static_cast<void>(failure);
    });
}

tls::Awaitable<> PrivateSocket::converse(std::shared_ptr<Connection> connection) {
    connection->stream.set_deadline(Clock::now() + question_timeout, tls::Deadline::opening);
    std::string line = co_await read_line(*connection);
    if (line == "follow") {
        co_await tell_all(*connection);
    } else if (line == "reopen" || line == "drain") {
        line == "reopen" ? uses_.reopen() : uses_.drain();
        std::string done = "done\n";
        co_await write(*connection, std::move(done));
    } else if (auto question = parse_cancel(line)) {
        const CancelOutcome outcome = co_await cancel(std::move(*question));
        std::string text = to_text(outcome);
        co_await write(*connection, std::move(text));
    }
    connection->stream.close();
}

tls::Awaitable<std::string> PrivateSocket::read_line(Connection& connection) {
    std::string line;
    while (line.size() < max_question) {
        std::array<std::uint8_t, 256> some{};
        const std::size_t n = co_await connection.stream.read_some(some);
        if (n == 0) break;
        line.append(reinterpret_cast<const char*>(some.data()), n);
        if (line.back() != '\n') continue;
        line.pop_back();
        co_return line;
    }
    co_return std::string();
}

/// As Session does for its own. Whoever asks has counted the misses.
tls::Awaitable<CancelOutcome> PrivateSocket::cancel(CancelQuestion question) {
    const auto target = uses_.cancels.find(question.request);
    if (!target) co_return CancelOutcome{};
    const bool certain = !target->can_be_guessed || target->client == question.from;
    if (question.limited && !certain) co_return CancelOutcome{};
    Connector connector(uses_.resolver, uses_.outages);
    std::unique_ptr<tls::Stream> server;
    std::string error = co_await deliver_cancel(connector, *target, question.request, server);
    co_return CancelOutcome{.matched = true, .address = target->address, .error = std::move(error)};
}

tls::Awaitable<> PrivateSocket::tell_all(Connection& connection) {
    connection.follows = true;
    tls::Timer pause(io_.get_executor());
    std::optional<Elsewhere> told;
    for (Clock::time_point next_metrics{}; socket_;) {
        Elsewhere counts = uses_.counts();
        if (!told || counts != *told) {
            std::string text = frame("counts", to_text(counts));
            co_await write(connection, std::move(text));
            told = std::move(counts);
        }
        if (Clock::now() >= next_metrics) {
            next_metrics = Clock::now() + metrics_interval;
            std::string text = all_metrics_text(uses_.metrics());
            co_await write(connection, std::move(text));
        }
        pause.expires_after(counts_interval);
        co_await pause.async_wait(tls::returning());
    }
}

tls::Awaitable<> PrivateSocket::write(Connection& connection, std::string text) {
    connection.stream.set_deadline(Clock::now() + write_timeout, tls::Deadline::opening);
    connection.writes = true;
    co_await connection.stream.write(bytes_of(text));
    connection.writes = false;
}

}  // namespace proxy
