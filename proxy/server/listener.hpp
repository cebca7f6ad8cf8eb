// Accepts on one bound socket and hands each connection on.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "tls/asio.hpp"

namespace proxy {

/// A socket that is listening already, and where.
struct BoundSocket {
    int fd = -1;
    std::string address;    ///< as bound: the port is the real one
    std::string unix_path;  ///< ours to remove when it is closed; empty: TCP, or somebody else made it
};

/// Another socket has that TCP address.
class AddressTaken : public std::runtime_error {
   public:
    AddressTaken(config::Address address, const std::string& what)
        : std::runtime_error(what), address_(std::move(address)) {}
    const config::Address& address() const noexcept { return address_; }

   private:
    config::Address address_;
};

/// `mode`: of a UNIX-domain socket; without it the folder's permissions decide who gets in, as with
/// PostgreSQL's unix_socket_permissions. Throws std::runtime_error naming the address and the
/// reason; AddressTaken is one.
BoundSocket bind_listener(const config::Address& address, mode_t mode = 0777);
/// What it says; of an AddressTaken with who has the address, for which all processes are looked
/// through: not for a thread that serves.
std::string with_holder(const std::exception& error);

/// Of those listeners by which a proxy without descriptors is asked and commanded: each connection
/// there takes one, and is soon over.
inline constexpr std::size_t spare_descriptors = 8;
/// What clients leave free for them, and for what commands do.
inline constexpr std::size_t left_descriptors = 32;

/// A peer, as the kernel names it.
struct Peer {
    int family = 0;
    std::string address;  ///< empty for UNIX-domain peers
    int port = -1;
    std::array<std::uint8_t, 16> bytes{};  ///< v4 addresses v4-mapped
};

/// One that is listening already, as inherited from the process before us. `fd`: ours from now on.
/// Its file is not: see Listener::rename().
BoundSocket inherited_listener(const config::Address& address, int fd);

class Listener : public std::enable_shared_from_this<Listener> {
   public:
    /// Owns `fd`, unless it throws.
    using OnAccept = std::function<void(int fd, const Peer& peer)>;

    Listener(asio::io_context& io, BoundSocket bound);
    ~Listener();

    const std::string& address() const noexcept { return bound_.address; }
    /// Nothing is accepted while fewer descriptors than these are free, or than an eighth of the
    /// process's limit if that is less: they are for listeners that keep spares.
    void leave_descriptors(std::size_t count) noexcept { leaves_ = count; }
    /// Keeps so many descriptors to accept with when the process has none left. They are taken back
    /// as others become free.
    void keep_spares(std::size_t count);
    /// From now on connections go to `on_accept`; again: to another one.
    void serve(OnAccept on_accept);
    /// No more connections; those in the kernel's queue are reset by the close.
    void stop();
    /// As stop(), but the socket goes on in another process, and so does its file.
    void leave_to_another();
    int descriptor() const noexcept { return bound_.fd; }
    /// Its file has another name from now on; empty: it is not ours to remove.
    void rename(std::string unix_path) { bound_.unix_path = std::move(unix_path); }

   private:
    static tls::Awaitable<> accept_loop(std::shared_ptr<Listener> self);
    bool accept_some();
    int accept_one(sockaddr_storage& from);
    void fill_spares() noexcept;
    bool hand_on(int fd, const sockaddr_storage& from) noexcept;

    BoundSocket bound_;
    asio::basic_stream_socket<asio::generic::stream_protocol, tls::Executor> socket_;  // only to wait for readability
    tls::Timer backoff_;
    OnAccept on_accept_;
    std::size_t leaves_ = 0;
    std::size_t wanted_spares_ = 0;
    std::vector<int> spares_;
    bool stopped_ = false;
};

}  // namespace proxy
