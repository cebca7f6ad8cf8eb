#include "proxy/http/http_server.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "proxy/observation/often.hpp"

namespace proxy {
namespace {

namespace http = boost::beast::http;
using Clock = std::chrono::steady_clock;
using RequestParser = http::request_parser<http::empty_body>;

/// What is left unread at a close would be answered with a reset, which overtakes our answer.
constexpr std::chrono::seconds http_linger_time{1};
constexpr std::size_t max_lingering = 64 * 1024;
/// What the kernel keeps of a stream that is not read: it would take megabytes.
constexpr int max_kernel_bytes = 128 * 1024;

/// One of the places for answers that go on.
class StreamPlace {
   public:
    explicit StreamPlace(std::shared_ptr<std::size_t> taken) : taken_(std::move(taken)) { ++*taken_; }
    ~StreamPlace() { --*taken_; }
    StreamPlace(const StreamPlace&) = delete;
    StreamPlace& operator=(const StreamPlace&) = delete;

   private:
    std::shared_ptr<std::size_t> taken_;
};

std::string head_of(const HttpResponse& response, bool keeps_open) {
    const auto reason = http::obsolete_reason(static_cast<http::status>(response.status));
    std::string head = "HTTP/1.1 " + std::to_string(response.status) + " " + std::string(reason) + "\r\n";
    const auto add = [&](const std::string& name, const std::string& value) { head += name + ": " + value + "\r\n"; };
    add("Content-Type", response.content_type);
    // A stream ends with its connection.
    if (!response.stream) add("Content-Length", std::to_string(response.content().size()));
    add("Cache-Control", "no-store");
    add("X-Content-Type-Options", "nosniff");
    add("Connection", keeps_open ? "keep-alive" : "close");
    for (const auto& [name, value] : response.headers) add(name, value);
    return head + "\r\n";
}

HttpRequest request_of(const RequestParser& parser) {
    const auto& message = parser.get();
    const auto target = message.target();
    const std::size_t question = std::min(target.find('?'), target.size());
    HttpRequest request{.method = std::string(message.method_string()),
                        .path = std::string(target.substr(0, question)),
                        .version = message.version(),
                        .authorization = std::string(message[http::field::authorization]),
                        .accept = {},
                        .query = std::string(target.substr(std::min(question + 1, target.size()))),
                        .last_event_id = std::string(message["Last-Event-ID"])};
    const auto [first, last] = message.equal_range(http::field::host);
    for (auto host = first; host != last; ++host) request.hosts.emplace_back(host->value());
    // A list may come in several headers (RFC 9110, 5.3).
    const auto [accept, accept_end] = message.equal_range(http::field::accept);
    for (auto one = accept; one != accept_end; ++one)
        request.accept += (request.accept.empty() ? "" : ",") + std::string(one->value());
    const auto length = parser.content_length();
    request.has_body = parser.chunked() || (length && *length > 0);
    return request;
}

}  // namespace

struct HttpServer::Connection {
    Connection(tls::Executor executor, int fd, int family, std::string peer)
        : socket(executor), timer(executor), address(std::move(peer)) {
        socket.assign(asio::generic::stream_protocol(family, 0), fd);
    }

    void set_deadline(Clock::duration after) { timer.expires_after(after); }
    void end() {
        boost::system::error_code ignored;
        over = true;
        if (stream) stream->end();
        socket.close(ignored);
        timer.cancel();
    }

    tls::Awaitable<bool> read();
    tls::Awaitable<std::optional<HttpResponse>> read_request(RequestParser& parser);
    tls::Awaitable<bool> send(const HttpResponse& response, bool with_body, bool keeps_open);
    tls::Awaitable<bool> write(const std::string& bytes, Clock::time_point latest);
    tls::Awaitable<> send_stream();
    tls::Awaitable<> linger();

    tls::Socket socket;
    tls::Timer timer;  // its expiry is the deadline of whatever is waited for
    std::string received;
    std::shared_ptr<HttpStream> stream;  // that is being sent
    /// Who gives its place to others: the least first.
    enum class Place { silent, reads_nothing, is_answered, streams };
    Place place(Clock::time_point now) const {
        if (waits) return Place::silent;
        if (wrote && now - *wrote >= slow_write_time) return Place::reads_nothing;
        return stream ? Place::streams : Place::is_answered;
    }

    const std::string address;
    bool over = false;
    bool waits = true;  // for the other side to ask something
    Clock::time_point since = Clock::now();
    std::optional<Clock::time_point> wrote;  // when the last piece, which is not taken yet, was begun
};

HttpServer::HttpServer(tls::Executor executor, Answer answer)
    : executor_(std::move(executor)), answer_(std::move(answer)) {}

void HttpServer::close() {
    for (const auto& one : connections_) {
        if (const auto connection = one.lock()) connection->end();
    }
    connections_.clear();
}

/// That has more than half of the places; empty: none has.
std::string HttpServer::crowded_address() const {
    std::map<std::string, std::size_t> counts;
    for (const auto& one : connections_) {
        const auto connection = one.lock();
        if (connection && ++counts[connection->address] > max_connections / 2) return connection->address;
    }
    return {};
}

/// Whoever came last is the youngest of its kind, and so never the one that goes.
void HttpServer::make_room() {
    std::erase_if(connections_, [](const auto& one) { return one.expired() || one.lock()->over; });
    if (connections_.size() < max_connections) return;
    const std::string crowded = crowded_address();
    const auto now = Clock::now();
    std::shared_ptr<Connection> first;
    for (const auto& one : connections_) {
        const auto connection = one.lock();
        if (!crowded.empty() && connection->address != crowded) continue;
        const auto rank = [&](const Connection& of) { return std::pair(of.place(now), of.since); };
        if (!first || rank(*connection) < rank(*first)) first = connection;
    }
    if (first) first->end();
    std::erase_if(connections_, [](const auto& one) { return one.expired() || one.lock()->over; });
}

/// What ends one of its coroutines, ends the connection.
auto HttpServer::ended(std::shared_ptr<Connection> connection) {
    return [connection = std::move(connection)](const std::exception_ptr& failure) {
        connection->end();
        if (!failure) return;
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            spdlog::log(often("http", {}), spdlog::level::err, "http: {}", error.what());
        }
    };
}

void HttpServer::take(int fd, int family, std::string address) {
    make_room();
    auto& place = connections_.emplace_back();  // expired, should the next line throw
    const auto connection = std::make_shared<Connection>(executor_, fd, family, std::move(address));
    place = connection;
    connection->set_deadline(header_time);
    try {
        asio::co_spawn(executor_, keep_time(connection), ended(connection));
        asio::co_spawn(executor_, serve(connection, answer_, streams_), ended(connection));
    } catch (const std::bad_alloc&) {
        connection->end();  // which closes the descriptor: it is not the caller's any more
        spdlog::log(often("http", {}), spdlog::level::err, "http: out of memory");
    }
}

/// Ends the connection at its deadline, whatever is waited for then.
tls::Awaitable<> HttpServer::keep_time(std::shared_ptr<Connection> connection) {
    while (!connection->over) {
        const auto [moved] = co_await connection->timer.async_wait(tls::returning());
        if (!moved && connection->timer.expiry() <= Clock::now()) connection->end();
    }
}

tls::Awaitable<> HttpServer::serve(std::shared_ptr<Connection> connection, Answer answer,
                                   std::shared_ptr<std::size_t> streams) {
    for (;;) {
        RequestParser parser;
        parser.header_limit(max_header_size);
        std::optional<HttpResponse> refusal = co_await connection->read_request(parser);
        if (connection->over) co_return;
        connection->waits = false;
        connection->since = Clock::now();
        connection->set_deadline(answer_time);
        HttpResponse response;
        bool with_body = true;
        if (refusal) {
            response = std::move(*refusal);
        } else {
            const HttpRequest request = request_of(parser);
            with_body = request.method != "HEAD";
            response = co_await answer(request);
        }
        if (connection->over) co_return;
        if (response.stream && with_body && *streams >= max_streams) {
            response.stream->end();
            response = http_text(503, "too many streams are read already");
            response.headers.emplace_back("Retry-After", "10");
        }
        const bool streams_on = response.stream && with_body;
        const bool keeps_open = !response.close && !streams_on && parser.keep_alive();
        const bool sent = co_await connection->send(response, with_body, keeps_open);
        if (!sent || connection->over) co_return;
        if (streams_on) {
            const StreamPlace place(std::move(streams));
            connection->stream = std::move(response.stream);
            boost::system::error_code as_it_is;
            connection->socket.set_option(asio::socket_base::send_buffer_size(max_kernel_bytes), as_it_is);
            asio::co_spawn(connection->socket.get_executor(), watch(connection), ended(connection));
            co_await connection->send_stream();
            co_return;
        }
        if (!keeps_open) {
            co_await connection->linger();
            co_return;
        }
        connection->waits = true;
        connection->since = Clock::now();
        connection->set_deadline(connection->received.empty() ? Clock::duration(idle_time) : header_time);
    }
}

/// Notices that whoever reads a stream has gone. What it says meanwhile is nobody's.
tls::Awaitable<> HttpServer::watch(std::shared_ptr<Connection> connection) {
    std::size_t passed = 0;
    std::array<char, 4096> piece;
    while (!connection->over && passed < max_lingering) {
        const auto [error, n] = co_await connection->socket.async_read_some(asio::buffer(piece), tls::returning());
        if (error) break;
        passed += n;
    }
    connection->end();
}

/// False: the other side has gone.
tls::Awaitable<bool> HttpServer::Connection::read() {
    std::array<char, 4096> piece;
    const auto [error, n] = co_await socket.async_read_some(asio::buffer(piece), tls::returning());
    if (error || over) {
        end();
        co_return false;
    }
    received.append(piece.data(), n);
    co_return true;
}

/// What is to be answered at once, when it is no request. Then, or when the connection is over,
/// `parser` has none.
tls::Awaitable<std::optional<HttpResponse>> HttpServer::Connection::read_request(RequestParser& parser) {
    bool begun = !received.empty();
    const auto unreadable = [](unsigned status, const char* why) {
        HttpResponse response = http_text(status, why);
        response.close = true;
        return response;
    };
    for (;;) {
        if (!received.empty()) {
            if (!begun) set_deadline(header_time);
            begun = true;
            boost::system::error_code error;
            const std::size_t taken = parser.put(asio::buffer(received), error);
            received.erase(0, taken);
            if (parser.is_header_done()) {
                // What follows would be read as the next request, if this one's end is not known
                // (RFC 9112, 6.1).
                const auto& headers = parser.get();
                if (headers.find(http::field::transfer_encoding) != headers.end())
                    co_return unreadable(501, "no Transfer-Encoding is understood");
                co_return std::nullopt;
            }
            const bool too_large = error == http::error::header_limit || received.size() > max_header_size;
            if (too_large) co_return unreadable(431, "the request's header is too large");
            if (error && error != http::error::need_more) co_return unreadable(400, "this is no request");
        }
        const bool more = co_await read();
        if (!more) co_return std::nullopt;
    }
}

tls::Awaitable<bool> HttpServer::Connection::send(const HttpResponse& response, bool with_body, bool keeps_open) {
    const Clock::time_point latest = Clock::now() + body_time;
    std::string head = head_of(response, keeps_open);
    const bool has_body = with_body && !response.stream;
    // Of most answers one packet.
    const bool fits = has_body && response.content().size() <= piece;
    if (fits) head += response.content();
    bool sent = co_await write(head, latest);
    if (sent && has_body && !fits) sent = co_await write(response.content(), latest);
    co_return sent;
}

/// Each piece has its deadline, and all of it `latest`.
tls::Awaitable<bool> HttpServer::Connection::write(const std::string& bytes, Clock::time_point latest) {
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        timer.expires_at(std::min(Clock::now() + write_time, latest));
        const auto part = asio::buffer(bytes.data() + at, std::min(piece, bytes.size() - at));
        wrote = Clock::now();
        const auto [error, n] = co_await asio::async_write(socket, part, tls::returning());
        wrote.reset();
        if (error || over) co_return false;
    }
    co_return true;
}

/// Until it is over, or its reader does not take it.
tls::Awaitable<> HttpServer::Connection::send_stream() {
    const auto going_on = stream;
    for (bool sent = true; sent;) {
        timer.expires_at(Clock::time_point::max());  // it may be silent for as long as it likes
        const HttpStream::Piece said = co_await going_on->next();
        if (!said) break;
        sent = co_await write(*said, Clock::time_point::max());
    }
    end();
}

tls::Awaitable<> HttpServer::Connection::linger() {
    boost::system::error_code ignored;
    socket.shutdown(tls::Socket::shutdown_send, ignored);
    set_deadline(http_linger_time);
    waits = true;  // and may make room
    std::size_t passed = 0;
    std::array<char, 4096> piece;
    while (passed < max_lingering) {
        const auto [error, n] = co_await socket.async_read_some(asio::buffer(piece), tls::returning());
        if (error || over) co_return;
        passed += n;
    }
}

}  // namespace proxy
