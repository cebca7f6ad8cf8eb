#include "proxy/admin/console_session.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "support/catch.hpp"

using namespace std::chrono_literals;

TEST_CASE("console: a client that says nothing is told so and let go", "[console]") {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()) == 0);
    asio::io_context io;
    proxy::Offload offload(1);
    tls::Socket socket(io.get_executor());
    socket.assign(asio::generic::stream_protocol(AF_UNIX, 0), fds[0]);
    proxy::ConsoleSession session({.state = std::make_shared<proxy::ConsoleState>(),
                                   .starts = offload,
                                   .commands = offload,
                                   .asker = {.uid = 0, .right = proxy::ConsoleRight::command},
                                   .key = {.pid = 1, .key = 2},
                                   .refusal = {},
                                   .idle_timeout = 20ms},
                                  std::move(socket));
    constexpr std::string_view startup("\0\0\0\x12\0\3\0\0user\0any\0\0", 18);
    REQUIRE(::write(fds[1], startup.data(), startup.size()) == static_cast<ssize_t>(startup.size()));

    bool over = false;
    asio::co_spawn(io.get_executor(), session.converse(), [&over](std::exception_ptr) { over = true; });
    io.run_for(60s);  // ends with the session

    REQUIRE(over);
    std::array<char, 4096> answered{};
    const ssize_t n = ::recv(fds[1], answered.data(), answered.size(), 0);
    REQUIRE(n > 0);
    const std::string_view told(answered.data(), static_cast<std::size_t>(n));
    CHECK(told.front() == 'R');
    CHECK(told.find("SFATAL") != std::string_view::npos);
    CHECK(told.find("C57P05") != std::string_view::npos);
    CHECK(told.find("idle-session timeout") != std::string_view::npos);
    offload.close();
    ::close(fds[1]);
}
