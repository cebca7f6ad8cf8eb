// What an old process is asked by the one that took its place: cancels for its sessions, how many
// there are, what it counts. A UNIX-domain socket in the state directory, for our own user alone.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/server/listener.hpp"
#include "proxy/session/cancel_registry.hpp"
#include "proxy/upgrade/overlap_text.hpp"
#include "proxy/upstream/outages.hpp"
#include "proxy/upstream/resolver.hpp"
#include "tls/stream.hpp"

namespace proxy {

class PrivateSocket {
   public:
    struct Uses {
        const CancelRegistry& cancels;
        Resolver& resolver;
        Outages& outages;
        std::function<Elsewhere()> counts;
        std::function<CountedByRun()> metrics;
        std::function<void()> reopen;
        std::function<void()> drain;
    };
    /// At a time; each is one cancel, or whoever follows us.
    static constexpr std::size_t max_connections = 256;

    PrivateSocket(asio::io_context& io, Uses uses) : io_(io), uses_(std::move(uses)) {}
    ~PrivateSocket() { close(); }

    /// Throws std::runtime_error.
    void open(const std::string& state_dir);
    bool is_open() const noexcept { return socket_ != nullptr; }
    /// After the io_context has stopped: whoever follows is told the last numbers.
    void say_last_words() noexcept;
    void close() noexcept;

   private:
    struct Connection {
        explicit Connection(tls::Socket socket) : stream(std::move(socket), tls::Leg::client) {}
        tls::Stream stream;
        bool follows = false;
        bool writes = false;  // a frame that is not all sent
    };

    void take(int fd);
    tls::Awaitable<> converse(std::shared_ptr<Connection> connection);
    tls::Awaitable<std::string> read_line(Connection& connection);
    tls::Awaitable<CancelOutcome> cancel(CancelQuestion question);
    tls::Awaitable<> tell_all(Connection& connection);
    tls::Awaitable<> write(Connection& connection, std::string text);

    asio::io_context& io_;
    const Uses uses_;
    std::shared_ptr<Listener> socket_;
    std::list<std::weak_ptr<Connection>> connections_;
};

}  // namespace proxy
