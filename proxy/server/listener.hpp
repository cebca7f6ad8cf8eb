// Accepts on one bound socket and hands each connection on.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "config/config.hpp"
#include "tls/asio.hpp"

namespace proxy {

/// A socket that is listening already, and where.
struct BoundSocket {
    int fd = -1;
    std::string address;    ///< as bound: the port is the real one
    std::string unix_path;  ///< ours to remove when it is closed; empty: TCP, or somebody else made it
};

/// `mode`: of a UNIX-domain socket; without it the folder's permissions decide who gets in, as with
/// PostgreSQL's unix_socket_permissions. Throws std::runtime_error naming the address and the
/// reason.
BoundSocket bind_listener(const config::Address& address, mode_t mode = 0777);

/// A peer, as the kernel names it.
struct Peer {
    int family = 0;
    std::string address;  ///< empty for UNIX-domain peers
    int port = -1;
    std::array<std::uint8_t, 16> bytes{};  ///< v4 addresses v4-mapped
};

class Listener : public std::enable_shared_from_this<Listener> {
   public:
    /// Owns `fd`, unless it throws.
    using OnAccept = std::function<void(int fd, const Peer& peer)>;

    Listener(asio::io_context& io, BoundSocket bound);
    ~Listener();

    const std::string& address() const noexcept { return bound_.address; }
    /// From now on connections go to `on_accept`; again: to another one.
    void serve(OnAccept on_accept);
    /// No more connections; those in the kernel's queue are reset by the close.
    void stop();

   private:
    static tls::Awaitable<> accept_loop(std::shared_ptr<Listener> self);
    bool accept_some();
    bool hand_on(int fd, const sockaddr_storage& from) noexcept;

    BoundSocket bound_;
    asio::basic_stream_socket<asio::generic::stream_protocol, tls::Executor> socket_;  // only to wait for readability
    tls::Timer backoff_;
    OnAccept on_accept_;
    bool stopped_ = false;
};

}  // namespace proxy
