// The null proxy: hands bytes on between two sockets and looks at none. What it costs, every proxy
// costs: the system calls and wake-ups of one thread, without TLS and without a framework. It is a
// measure, not a proxy to use: nothing here is polite to a peer.
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bench/commands.hpp"
#include "bench/target/workers.hpp"
#include "config/load.hpp"
#include "tls/asio.hpp"

namespace bench {
namespace {

using Tcp = asio::ip::tcp;

constexpr std::size_t receive_size = 128 * 1024;  // as the relay's

[[noreturn]] void fail(const char* call) { throw std::system_error(errno, std::generic_category(), call); }

struct Pair;

struct Side {
    int fd = -1;
    Side* other = nullptr;
    Pair* pair = nullptr;
    std::vector<char> queue;  // what this side's socket has not taken
};

/// A client and its server connection.
struct Pair {
    Side client, server;
    bool over = false;

    Pair(int client_fd, int server_fd) {
        client = {client_fd, &server, this, {}};
        server = {server_fd, &client, this, {}};
    }
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;
    ~Pair() {
        ::close(client.fd);
        ::close(server.fd);
    }
};

class Forwarder {
   public:
    Forwarder(const Tcp::endpoint& listen, const Tcp::endpoint& to) : acceptor_(io_, listen), to_(to) {
        sigset_t ends;
        sigemptyset(&ends);
        sigaddset(&ends, SIGTERM);
        sigaddset(&ends, SIGINT);
        sigprocmask(SIG_BLOCK, &ends, nullptr);
        signals_ = ::signalfd(-1, &ends, SFD_CLOEXEC);
        if (epoll_ < 0 || signals_ < 0) fail("epoll_create1 or signalfd");
        watch(acceptor_.native_handle(), EPOLLIN, &acceptor_);
        watch(signals_, EPOLLIN, nullptr);
    }
    Forwarder(const Forwarder&) = delete;
    Forwarder& operator=(const Forwarder&) = delete;
    ~Forwarder() {
        ::close(signals_);
        ::close(epoll_);
    }

    Tcp::endpoint bound() const { return acceptor_.local_endpoint(); }

    /// Until SIGTERM or SIGINT.
    void run() {
        std::array<epoll_event, 128> events;
        for (;;) {
            const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
            if (n < 0 && errno != EINTR) fail("epoll_wait");
            for (int i = 0; i < n; ++i) {
                const epoll_event& event = events[static_cast<std::size_t>(i)];
                if (event.data.ptr == nullptr) return;
                if (event.data.ptr == &acceptor_) {
                    accept();
                } else {
                    serve(*static_cast<Side*>(event.data.ptr), event.events);
                }
            }
            over_.clear();
        }
    }

   private:
    void watch(int fd, std::uint32_t events, void* what) const {
        epoll_event event{};
        event.events = events;
        event.data.ptr = what;
        if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
    }

    /// Waits until the server is connected to: it is on this machine, and no login is measured
    /// here.
    void accept() {
        boost::system::error_code error;
        Tcp::socket client(io_), server(io_);
        acceptor_.accept(client, error);
        if (!error) server.connect(to_, error);
        if (error) return;
        for (Tcp::socket* socket : {&client, &server}) {
            socket->set_option(Tcp::no_delay(true), error);
            socket->native_non_blocking(true, error);
        }
        auto pair = std::make_unique<Pair>(client.release(), server.release());
        // Edges only: no call is needed to wait again.
        for (Side* side : {&pair->client, &pair->server}) watch(side->fd, EPOLLIN | EPOLLOUT | EPOLLET, side);
        pairs_.emplace(pair.get(), std::move(pair));
    }

    void serve(Side& side, std::uint32_t events) {
        bool open = !side.pair->over;
        if (open && !side.queue.empty()) open = flush(side) && pass_on(*side.other);
        if (open && (events & ~std::uint32_t{EPOLLOUT}) != 0) open = pass_on(side);
        if (!open) end(*side.pair);
    }

    /// What there is, as long as the other side takes it. False: this session is over.
    bool pass_on(Side& from) {
        Side& to = *from.other;
        while (to.queue.empty()) {
            const ssize_t got = ::recv(from.fd, buffer_.get(), receive_size, 0);
            if (got < 0 && errno == EAGAIN) return true;
            if (got <= 0) return false;
            const auto size = static_cast<std::size_t>(got);
            const ssize_t sent = ::send(to.fd, buffer_.get(), size, MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN) return false;
            to.queue.assign(buffer_.get() + std::max<ssize_t>(sent, 0), buffer_.get() + size);
            if (size < receive_size) return true;
        }
        return true;
    }

    static bool flush(Side& side) {
        const ssize_t sent = ::send(side.fd, side.queue.data(), side.queue.size(), MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN;
        side.queue.erase(side.queue.begin(), side.queue.begin() + sent);
        return true;
    }

    /// Kept until no event of this round can name it any more.
    void end(Pair& pair) {
        if (std::exchange(pair.over, true)) return;
        over_.push_back(pairs_.extract(&pair));
    }

    asio::io_context io_;  // of sockets while they are made
    Tcp::acceptor acceptor_;
    Tcp::endpoint to_;
    int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    int signals_ = -1;
    std::unique_ptr<char[]> buffer_ = std::make_unique_for_overwrite<char[]>(receive_size);
    std::unordered_map<Pair*, std::unique_ptr<Pair>> pairs_;
    std::vector<std::unordered_map<Pair*, std::unique_ptr<Pair>>::node_type> over_;
};

Tcp::endpoint endpoint(const std::string& text, const char* flag) {
    const auto address = config::parse_address(text);
    boost::system::error_code error;
    const auto ip = address && address->kind == config::Address::Kind::tcp
                        ? asio::ip::make_address(address->host, error)
                        : asio::ip::address();
    if (!address || address->kind != config::Address::Kind::tcp || error) {
        throw std::invalid_argument(std::string(flag) + " " + text + ": expected IP:PORT, such as 127.0.0.1:5432");
    }
    return {ip, address->port};
}

}  // namespace

int forward(const ForwardOptions& options) {
    raise_descriptor_limit();
    try {
        Forwarder forwarder(endpoint(options.listen, "--listen"), endpoint(options.to, "--to"));
        const Tcp::endpoint bound = forwarder.bound();
        std::printf(bound.address().is_v6() ? "listening on [%s]:%u\n" : "listening on %s:%u\n",
                    bound.address().to_string().c_str(), bound.port());
        std::fflush(stdout);
        forwarder.run();
    } catch (const std::invalid_argument& error) {
        std::fprintf(stderr, "pgairlock-bench forward: %s\n", error.what());
        return exit_usage;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "pgairlock-bench forward: %s\n", error.what());
        return exit_failure;
    }
    return exit_ok;
}

}  // namespace bench
