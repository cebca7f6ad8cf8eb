// The HTTP server by its bytes, over socket pairs.
#include "proxy/http/http_server.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "proxy/dashboard/event_streams.hpp"
#include "support/catch.hpp"

using namespace proxy;
using namespace std::chrono_literals;

namespace {

/// The other side of a connection.
class Asker {
   public:
    explicit Asker(HttpServer& server) {
        int pair[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
        fd_ = pair[0];
        server.take(pair[1], AF_UNIX);
    }
    ~Asker() { close(); }
    Asker(const Asker&) = delete;
    Asker& operator=(const Asker&) = delete;

    void ask(const std::string& path, const std::string& method = "GET", const std::string& more = "") {
        const std::string request = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n";
        REQUIRE(::send(fd_, request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()));
    }
    /// Asks as often as the other side takes it, and reads nothing.
    void fill(const std::string& path) {
        const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
        while (::send(fd_, request.data(), request.size(), 0) == static_cast<ssize_t>(request.size())) {
        }
    }
    /// What is there.
    void take(std::string& into) {
        char piece[65536];
        for (;;) {
            const ssize_t n = ::recv(fd_, piece, sizeof piece, 0);
            if (n == 0) over = true;
            if (n <= 0) return;
            into.append(piece, static_cast<std::size_t>(n));
        }
    }
    void close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }

    bool over = false;

   private:
    int fd_ = -1;
};

/// Runs what there is to do until `done`, for at most some seconds.
template <class Done>
bool runs_until(asio::io_context& io, const Done& done) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    for (;;) {
        if (done()) return true;
        if (std::chrono::steady_clock::now() > end) return false;
        io.restart();
        io.run_for(5ms);
    }
}

struct Server {
    asio::io_context io{1};
    HttpResponse response;
    HttpRequest asked;
    HttpServer server{io.get_executor(), [this](const HttpRequest& request) -> tls::Awaitable<HttpResponse> {
                          asked = request;
                          co_return response;
                      }};
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a body that everybody shares arrives whole, and HEAD has its length alone") {
    Server one;
    one.response.shared_body = std::make_shared<const std::string>(5'000'000, 'x');
    Asker asker(one.server);
    asker.ask("/big");
    std::string got;
    REQUIRE(runs_until(one.io, [&] {
        asker.take(got);
        return got.size() > 5'000'000;
    }));
    CHECK(has(got, "Content-Length: 5000000\r\n"));
    CHECK(got.ends_with(std::string(5'000'000, 'x')));
    got.clear();
    asker.ask("/big", "HEAD");
    REQUIRE(runs_until(one.io, [&] {
        asker.take(got);
        return got.ends_with("\r\n\r\n");
    }));
    CHECK(has(got, "Content-Length: 5000000\r\n"));
}

TEST_CASE("the query and the last event are told apart from the path") {
    Server one;
    Asker asker(one.server);
    asker.ask("/api/clients.json?state=weak&x=?", "GET", "Last-Event-ID: 17\r\n");
    std::string got;
    REQUIRE(runs_until(one.io, [&] {
        asker.take(got);
        return !got.empty();
    }));
    CHECK(one.asked.path == "/api/clients.json");
    CHECK(one.asked.query == "state=weak&x=?");
    CHECK(one.asked.last_event_id == "17");
}

TEST_CASE("a stream goes on until its reader has gone, which is noticed") {
    Server one;
    const auto stream = std::make_shared<HttpStream>(one.io.get_executor());
    one.response = {.status = 200, .content_type = "text/event-stream", .body = {}};
    one.response.stream = stream;
    Asker asker(one.server);
    asker.ask("/api/events");
    std::string got;
    stream->say("one\n");
    REQUIRE(runs_until(one.io, [&] {
        asker.take(got);
        return got.ends_with("one\n");
    }));
    CHECK_FALSE(has(got, "Content-Length"));
    stream->say("two\n");
    REQUIRE(runs_until(one.io, [&] {
        asker.take(got);
        return got.ends_with("two\n");
    }));
    CHECK_FALSE(stream->over());
    asker.close();
    CHECK(runs_until(one.io, [&] { return stream->over(); }));
}

TEST_CASE("a reader that does not take what it is sent is given up, and bounded until then") {
    Server one;
    const auto stream = std::make_shared<HttpStream>(one.io.get_executor());
    one.response.stream = stream;
    Asker asker(one.server);
    asker.ask("/api/events");
    const auto piece = std::make_shared<const std::string>(64 * 1024, 'x');
    std::size_t said = 0;
    REQUIRE(runs_until(one.io, [&] {
        if (!stream->over()) stream->say(piece);
        ++said;
        return stream->over();
    }));
    CHECK(said * piece->size() > HttpStream::max_waiting);
    CHECK(said < 100);
    std::string got;
    CHECK(runs_until(one.io, [&] {
        asker.take(got);
        return asker.over;
    }));
}

TEST_CASE("HEAD of a stream is its header alone") {
    Server one;
    const auto stream = std::make_shared<HttpStream>(one.io.get_executor());
    one.response = {.status = 200, .content_type = "text/event-stream", .body = {}};
    one.response.stream = stream;
    Asker asker(one.server);
    asker.ask("/api/events", "HEAD");
    stream->say("never seen");
    std::string got;
    REQUIRE(runs_until(one.io, [&] {
        asker.take(got);
        return has(got, "\r\n\r\n");
    }));
    CHECK(has(got, "Content-Type: text/event-stream\r\n"));
    CHECK(got.ends_with("\r\n\r\n"));
}

TEST_CASE("streams never take all places: the seventeenth is refused, and others are answered") {
    asio::io_context io{1};
    dashboard::EventStreams streams(io.get_executor());
    HttpServer server(io.get_executor(), [&](const HttpRequest& request) -> tls::Awaitable<HttpResponse> {
        if (request.path == "/events") co_return streams.open("event: now\ndata: {}\n\n");
        co_return http_text(200, "ok");
    });
    std::vector<std::unique_ptr<Asker>> readers;
    std::vector<std::string> got(HttpServer::max_streams + 1);
    for (std::size_t i = 0; i <= HttpServer::max_streams; ++i) {
        readers.push_back(std::make_unique<Asker>(server));
        readers.back()->ask("/events");
        REQUIRE(runs_until(io, [&] {
            readers[i]->take(got[i]);
            return has(got[i], i < HttpServer::max_streams ? "data: {}" : "503");
        }));
    }
    Asker other(server);
    other.ask("/livez");
    std::string answer;
    REQUIRE(runs_until(io, [&] {
        other.take(answer);
        return has(answer, "ok");
    }));
    // One that goes makes room.
    readers[3]->close();
    std::string again;
    REQUIRE(runs_until(io, [&] {
        Asker next(server);
        next.ask("/events");
        again.clear();
        return runs_until(io,
                          [&] {
                              next.take(again);
                              return has(again, "data: {}") || has(again, "503");
                          }) &&
               has(again, "data: {}");
    }));
    CHECK_FALSE(streams.empty());
    streams.end();
    CHECK(runs_until(io, [&] {
        readers[0]->take(got[0]);
        return readers[0]->over;
    }));
}

TEST_CASE("whoever fills all places keeps nobody from being answered") {
    asio::io_context io{1};
    HttpServer server(io.get_executor(), [&](const HttpRequest& request) -> tls::Awaitable<HttpResponse> {
        tls::Timer timer(io.get_executor());
        timer.expires_after(1h);
        if (request.path == "/hangs") co_await timer.async_wait(tls::returning());
        co_return http_text(200, "alive");
    });
    const bool reads_nothing = GENERATE(false, true);
    std::vector<std::unique_ptr<Asker>> crowd;
    for (std::size_t i = 0; i < HttpServer::max_connections; ++i) {
        crowd.push_back(std::make_unique<Asker>(server));
        if (reads_nothing) {
            crowd.back()->fill("/livez");
        } else {
            crowd.back()->ask("/hangs");
        }
        io.restart();
        io.run_for(2ms);
    }
    for (int i = 0; i < 3; ++i) {
        Asker probe(server);
        probe.ask("/livez");
        std::string answer;
        CHECK(runs_until(io, [&] {
            probe.take(answer);
            return has(answer, "alive") || probe.over;
        }));
        CHECK(has(answer, "alive"));
    }
}

TEST_CASE("a Transfer-Encoding is refused, and what follows is no request") {
    for (const char* const coding : {"chunked", "xchunked", "identity", "gzip, chunked"}) {
        CAPTURE(coding);
        Server one;
        one.response = http_text(200, "answered");
        Asker asker(one.server);
        asker.ask("/livez", "GET",
                  "Transfer-Encoding: " + std::string(coding) + "\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n");
        std::string answer;
        CHECK(runs_until(one.io, [&] {
            asker.take(answer);
            return asker.over;
        }));
        CHECK((has(answer, "HTTP/1.1 501") || has(answer, "HTTP/1.1 400")));
        CHECK(has(answer, "Connection: close"));
        CHECK_FALSE(has(answer, "answered"));
    }
}
