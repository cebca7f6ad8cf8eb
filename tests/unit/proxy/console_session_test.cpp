#include "proxy/admin/console_session.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <string>

#include "support/catch.hpp"

using namespace std::chrono_literals;

namespace {

constexpr std::string_view startup("\0\0\0\x12\0\3\0\0user\0any\0\0", 18);

/// Whoever is at the other end of a connection to the console.
struct Client {
    std::array<int, 2> fds{};
    std::string told;

    Client() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()) == 0); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() { ::close(fds[1]); }

    void say(std::string_view bytes) const {
        REQUIRE(::write(fds[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    }
    void ask(const std::string& sql) const {
        const auto length = static_cast<char>(4 + sql.size() + 1);
        say(std::string("Q\0\0\0", 4) + length + sql + std::string(1, 0));
    }
    bool has(std::string_view text) {
        std::array<char, 4096> bytes{};
        for (ssize_t n = 0; (n = ::recv(fds[1], bytes.data(), bytes.size(), 0)) > 0;)
            told.append(bytes.data(), static_cast<std::size_t>(n));
        return told.find(text) != std::string::npos;
    }
};

bool comes_to_hold(asio::io_context& io, const std::function<bool()>& holds) {
    for (const auto end = std::chrono::steady_clock::now() + 60s; std::chrono::steady_clock::now() < end;) {
        if (holds()) return true;
        io.run_for(5ms);
    }
    return false;
}

}  // namespace

TEST_CASE("console: captures that a dead disk does not let begin keep nobody from status and stop", "[console]") {
    std::promise<void> disk_answers;
    const auto answer = disk_answers.get_future().share();
    asio::io_context io;
    std::atomic<int> starting = 0;
    proxy::Console console(
        io.get_executor(),
        {.captures = {.start = [&starting, answer](const proxy::CaptureOrder&, proxy::OwnedDescriptor)
                          -> std::variant<proxy::CaptureStatus, proxy::CaptureRefused> {
                          ++starting;
                          answer.wait();
                          return proxy::CaptureRefused{"the disk is dead"};
                      },
                      .stop = [](std::uint64_t, const std::string&) { return false; },
                      .status = [] { return std::vector<proxy::CaptureStatus>(); }}});
    std::array<Client, 3> clients;
    for (Client& client : clients) {
        console.take(client.fds[0]);
        client.say(startup);
    }
    clients[0].ask("CAPTURE START");
    clients[1].ask("CAPTURE START");
    CHECK(comes_to_hold(io, [&] { return starting == 2; }));
    clients[2].ask("CAPTURE STATUS");
    CHECK(comes_to_hold(io, [&] { return clients[2].has("CAPTURE STATUS"); }));
    clients[2].ask("CAPTURE STOP 7");
    CHECK(comes_to_hold(io, [&] { return clients[2].has("no capture 7 runs"); }));
    CHECK_FALSE(clients[0].has("the disk is dead"));
    disk_answers.set_value();
    CHECK(comes_to_hold(io, [&] { return clients[0].has("the disk is dead") && clients[1].has("the disk is dead"); }));
    for (Client& client : clients) client.say(std::string_view("X\0\0\0\4", 5));
    io.run_for(60s);  // to the end of the sessions
    console.close();
}

TEST_CASE("console: a client that says nothing is told so and let go", "[console]") {
    Client client;
    asio::io_context io;
    proxy::Offload offload(1);
    tls::Socket socket(io.get_executor());
    socket.assign(asio::generic::stream_protocol(AF_UNIX, 0), client.fds[0]);
    proxy::ConsoleSession session({.state = std::make_shared<proxy::ConsoleState>(),
                                   .starts = offload,
                                   .commands = offload,
                                   .queries = offload,
                                   .disk_queries = offload,
                                   .asker = {.uid = 0, .right = proxy::ConsoleRight::command},
                                   .key = {.pid = 1, .key = 2},
                                   .refusal = {},
                                   .idle_timeout = 20ms},
                                  std::move(socket));
    client.say(startup);
    bool over = false;
    asio::co_spawn(io.get_executor(), session.converse(), [&over](std::exception_ptr) { over = true; });
    io.run_for(60s);  // ends with the session

    REQUIRE(over);
    CHECK(client.has("idle-session timeout"));
    CHECK(client.told.front() == 'R');
    CHECK(client.has("SFATAL"));
    CHECK(client.has("C57P05"));
    offload.close();
}
