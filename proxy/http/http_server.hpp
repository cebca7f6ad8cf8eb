// HTTP/1.1 on one thread: connections, their bounds and deadlines. What is answered is decided
// elsewhere; the bytes of requests are read by Boost.Beast's parser.
//
// A request that does not become whole leaves no trace: port checks connect and go.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "proxy/http/http_message.hpp"
#include "tls/asio.hpp"

namespace proxy {

class HttpServer {
   public:
    /// Prometheus, probes and a few people have one each. Whoever comes when all are taken gets the
    /// place of another, so that nobody keeps health checks from being answered: of an address that
    /// has more than half of them, if there is one; of those the one that has said nothing for
    /// longest, else one that reads nothing, else that is answered for longest, and a stream last.
    static constexpr std::size_t max_connections = 64;
    static constexpr std::size_t max_header_size = 8 * 1024;
    /// From the first byte of a request to its last, and for a connection's first byte.
    static constexpr std::chrono::seconds header_time{5};
    /// Between two requests of one connection. Longer than scrapes are usually apart.
    static constexpr std::chrono::seconds idle_time{75};
    static constexpr std::chrono::seconds answer_time{20};
    /// For the next `piece` bytes of an answer to be taken, and for all of one that has an end.
    static constexpr std::chrono::seconds write_time{10};
    static constexpr std::chrono::seconds body_time{60};
    /// Who takes nothing of an answer for so long gives its place to whoever comes.
    static constexpr std::chrono::seconds slow_write_time{2};
    static constexpr std::size_t piece = 64 * 1024;
    /// Answers that go on (HttpStream): never all places.
    static constexpr std::size_t max_streams = 16;

    using Answer = std::function<tls::Awaitable<HttpResponse>(const HttpRequest& request)>;

    /// All on the executor's thread.
    HttpServer(tls::Executor executor, Answer answer);
    ~HttpServer() { close(); }

    /// Takes an accepted connection over, unless it throws.
    /// `address`: of the peer; empty: it has none.
    void take(int fd, int family, std::string address = {});
    void close();

   private:
    struct Connection;

    void make_room();
    std::string crowded_address() const;
    static auto ended(std::shared_ptr<Connection> connection);
    static tls::Awaitable<> keep_time(std::shared_ptr<Connection> connection);
    static tls::Awaitable<> serve(std::shared_ptr<Connection> connection, Answer answer,
                                  std::shared_ptr<std::size_t> streams);
    static tls::Awaitable<> watch(std::shared_ptr<Connection> connection);

    tls::Executor executor_;
    Answer answer_;
    std::list<std::weak_ptr<Connection>> connections_;
    const std::shared_ptr<std::size_t> streams_ = std::make_shared<std::size_t>(0);  // how many go on
};

}  // namespace proxy
