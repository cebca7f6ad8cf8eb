#include "proxy/server/listener.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "proxy/observation/often.hpp"
#include "proxy/server/port_holder.hpp"
#include "proxy/upstream/lasting.hpp"
#include "proxy/upstream/resolver.hpp"

namespace proxy {
namespace {

/// As nginx and PostgreSQL's default for busy servers: a burst of reconnecting clients must not be
/// dropped by the kernel.
constexpr int backlog = 4096;
/// Out of descriptors: others may be closed meanwhile.
constexpr std::chrono::milliseconds accept_backoff{100};
/// Then signals and other listeners have their turn.
constexpr int max_in_a_row = 64;

std::string no_listening_on(const config::Address& address, const std::string& why) {
    return to_string(config::Diagnostic{address.origin, "cannot listen on " + config::to_string(address) + ": " + why});
}

[[noreturn]] void fail(const config::Address& address, const std::string& why, int fd = -1) {
    if (fd >= 0) ::close(fd);
    throw std::runtime_error(no_listening_on(address, why));
}

[[noreturn]] void fail_to_bind(const config::Address& address, int error, int fd) {
    if (error != EADDRINUSE) fail(address, std::strerror(error), fd);
    ::close(fd);
    throw AddressTaken(address, no_listening_on(address, std::strerror(error)));
}

std::string local_address(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
    return to_string(asio::generic::stream_protocol::endpoint(&storage, size));
}

BoundSocket bind_tcp(const config::Address& address) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;  // nobody waits for a name server here
    addrinfo* found = nullptr;
    if (const int error = getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found))
        fail(address, gai_strerror(error));
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> guard(found, freeaddrinfo);
    const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail(address, std::strerror(errno));
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    // Whoever says [::] means IPv6: 0.0.0.0 has an address of its own, which may stand beside it.
    if (found->ai_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (::bind(fd, found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd, backlog) != 0)
        fail_to_bind(address, errno, fd);
    return {.fd = fd, .address = local_address(fd), .unix_path = {}};
}

/// A socket file on which a connection is refused is left over from a process that was killed. Any
/// other answer may come from a live one: a full backlog, or permissions that keep us out.
void remove_stale_socket(const config::Address& address, const sockaddr_un& name) {
    struct stat info {};
    if (::lstat(name.sun_path, &info) != 0) return;
    if (!S_ISSOCK(info.st_mode)) fail(address, "the file exists and is no socket");
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int error = ::connect(probe, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? 0 : errno;
    const std::string who = error == 0 ? by_whom(listener_behind(probe)) : std::string();
    ::close(probe);
    if (error == 0 || error == EAGAIN) fail(address, "another process is listening there" + who);
    if (error != ECONNREFUSED) fail(address, std::string("cannot tell whether it is in use: ") + std::strerror(error));
    ::unlink(name.sun_path);
}

BoundSocket bind_unix(const config::Address& address, mode_t mode) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (address.host.size() >= sizeof name.sun_path) fail(address, "the path is too long for a UNIX-domain socket");
    std::memcpy(name.sun_path, address.host.c_str(), address.host.size() + 1);
    remove_stale_socket(address, name);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail(address, std::strerror(errno));
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) fail(address, std::strerror(errno), fd);
    if (::chmod(name.sun_path, mode) != 0 || ::listen(fd, backlog) != 0) fail(address, std::strerror(errno), fd);
    return {.fd = fd, .address = config::to_string(address), .unix_path = address.host};
}

/// Whether fewer than `count` descriptors are free, or than an eighth of all. The kernel gives the
/// lowest number first.
bool are_nearly_taken(std::size_t count) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return false;
    const int next = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    if (next < 0) return errno == EMFILE;
    ::close(next);
    return static_cast<rlim_t>(next) + std::min<rlim_t>(count, limit.rlim_cur / 8) >= limit.rlim_cur;
}

Peer describe_peer(const sockaddr_storage& storage) {
    Peer peer{.family = storage.ss_family, .address = {}, .port = -1, .bytes = {}};
    char text[INET6_ADDRSTRLEN] = "";
    if (storage.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
        peer.bytes[10] = peer.bytes[11] = 0xff;
        std::memcpy(&peer.bytes[12], &v4.sin_addr, 4);
        peer.address = inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
        peer.port = ntohs(v4.sin_port);
    } else if (storage.ss_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
        std::memcpy(peer.bytes.data(), &v6.sin6_addr, 16);
        // A v4 client on a v6 socket keeps its v4 name, so that it is the same client everywhere.
        const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
        peer.address = mapped ? inet_ntop(AF_INET, &peer.bytes[12], text, sizeof text)
                              : inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
        peer.port = ntohs(v6.sin6_port);
    }
    return peer;
}

}  // namespace

BoundSocket bind_listener(const config::Address& address, mode_t mode) {
    return address.kind == config::Address::Kind::unix_socket ? bind_unix(address, mode) : bind_tcp(address);
}

std::string with_holder(const std::exception& error) {
    const auto* const taken = dynamic_cast<const AddressTaken*>(&error);
    if (!taken) return error.what();
    const std::vector<PortHolder> holders = holders_of(taken->address());
    return error.what() + by_whom(holders.empty() ? std::nullopt : std::optional(holders.front()));
}

BoundSocket inherited_listener(const config::Address& address, int fd) {
    const bool is_unix = address.kind == config::Address::Kind::unix_socket;
    return {.fd = fd, .address = is_unix ? config::to_string(address) : local_address(fd), .unix_path = {}};
}

Listener::Listener(asio::io_context& io, BoundSocket bound)
    : bound_(std::move(bound)), socket_(io.get_executor()), backoff_(io.get_executor()) {
    const bool is_unix = bound_.address.starts_with("unix:");
    socket_.assign(asio::generic::stream_protocol(is_unix ? AF_UNIX : AF_INET, 0), bound_.fd);
}

Listener::~Listener() { stop(); }

void Listener::serve(OnAccept on_accept) {
    const bool first = !on_accept_;
    on_accept_ = std::move(on_accept);
    if (first) spawn_lasting(socket_.get_executor(), [self = shared_from_this()] { return accept_loop(self); });
}

void Listener::stop() {
    if (stopped_) return;
    stopped_ = true;
    boost::system::error_code ignored;
    socket_.close(ignored);
    for (const int spare : spares_) ::close(spare);
    spares_.clear();
    wanted_spares_ = 0;
    backoff_.cancel();
    if (!bound_.unix_path.empty()) ::unlink(bound_.unix_path.c_str());
}

void Listener::leave_to_another() {
    bound_.unix_path.clear();
    stop();
}

/// `self`: a reload may stop a listener and forget it while this still waits.
tls::Awaitable<> Listener::accept_loop(std::shared_ptr<Listener> self) {
    while (!self->stopped_) {
        const auto [error] = co_await self->socket_.async_wait(tls::Socket::wait_read, tls::returning());
        if (self->stopped_) co_return;
        if (error) spdlog::error("cannot wait for connections on {}: {}", self->bound_.address, error.message());
        if (!error && self->accept_some()) continue;
        self->backoff_.expires_after(accept_backoff);
        co_await self->backoff_.async_wait(tls::returning());
    }
}

void Listener::keep_spares(std::size_t count) {
    wanted_spares_ = count;
    spares_.reserve(count);
    fill_spares();
}

void Listener::fill_spares() noexcept {
    while (spares_.size() < wanted_spares_) {
        const int fd = ::fcntl(bound_.fd, F_DUPFD_CLOEXEC, 0);
        if (fd < 0) return;
        spares_.push_back(fd);  // there is memory for it
    }
}

/// As accept4(2).
int Listener::accept_one(sockaddr_storage& from) {
    if (leaves_ > 0 && are_nearly_taken(leaves_)) {
        errno = EMFILE;
        return -1;
    }
    for (;;) {
        socklen_t size = sizeof from;
        const int fd = ::accept4(bound_.fd, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 || errno != EMFILE || spares_.empty()) return fd;
        ::close(spares_.back());  // others of this process may take it first: then the next one
        spares_.pop_back();
    }
}

/// False: something is wrong that is not about one connection, and a wait may help.
bool Listener::accept_some() {
    fill_spares();
    for (int i = 0; i < max_in_a_row; ++i) {
        sockaddr_storage storage{};
        const int fd = accept_one(storage);
        if (fd >= 0) {
            if (!hand_on(fd, storage)) return false;
            continue;
        }
        switch (errno) {
            case EAGAIN: return true;
            case EMFILE:
            case ENFILE:
            case ENOBUFS:
            case ENOMEM:
                spdlog::log(often("accept", bound_.address), spdlog::level::err,
                            "cannot accept a connection on {}: {} (raise LimitNOFILE or ulimit -n)", bound_.address,
                            std::strerror(errno));
                return false;
            // This one connection is gone already (accept(2), "Error handling").
            case EINTR:
            case EPERM:
            case EPROTO:
            case ENOPROTOOPT:
            case EOPNOTSUPP:
            case ECONNABORTED:
            case ENETDOWN:
            case ENETUNREACH:
            case ENONET:
            case EHOSTDOWN:
            case EHOSTUNREACH: break;
            default:
                spdlog::log(often("accept", bound_.address), spdlog::level::err, "cannot accept a connection on {}: {}",
                            bound_.address, std::strerror(errno));
                return false;
        }
    }
    return true;
}

/// False: there is no memory for this connection, and hardly for the next.
bool Listener::hand_on(int fd, const sockaddr_storage& from) noexcept {
    try {
        on_accept_(fd, describe_peer(from));
        return true;
    } catch (const std::exception& error) {
        ::close(fd);
        spdlog::log(often("accept", bound_.address), spdlog::level::err, "cannot take a connection on {}: {}",
                    bound_.address, error.what());
        return false;
    }
}

}  // namespace proxy
