#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <deque>
#include <set>

#include "support/catch.hpp"
#include "tls/asio.hpp"

using namespace tls;

namespace {

// A sanitizer's allocator does not obey limits.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

void use_up_memory() {
    for (std::size_t size = 1 << 20; size >= 16; size /= 2) {
        while (std::malloc(size)) {  // NOLINT: the process ends with it
        }
    }
}

/// Writable at once, so that nothing but the wait itself is made.
Awaitable<> wait_again_and_again(Socket& socket) {
    for (int i = 0; i < 10; ++i) co_await socket.async_wait(Socket::wait_write, returning());
}

/// Of coroutines that wait at the same time, when there are `left` bytes and no more.
void wait_with_little_memory(std::size_t left) {
    asio::io_context io;
    std::deque<Socket> sockets;
    for (int i = 0; i < 10; ++i) {
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) != 0) ::_exit(1);
        sockets.emplace_back(io.get_executor(), asio::generic::stream_protocol(AF_UNIX, SOCK_STREAM), ends[0]);
        asio::co_spawn(io, wait_again_and_again(sockets.back()), asio::detached);
    }
    void* const reserved = std::malloc(left);
    const rlimit none{.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
    ::setrlimit(RLIMIT_AS, &none);
    use_up_memory();
    std::free(reserved);
    io.run();
}

TEST_CASE("A coroutine for whose wait there is no memory fails in good order", "[wait_memory]") {
    for (std::size_t left = 16; left < 6000; left += 48) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            wait_with_little_memory(left);
            ::_exit(0);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        CAPTURE(left);
        CHECK(status == 0);
    }
}

#endif

}  // namespace

TEST_CASE("The reserve gives each block to one wait, and says when there are no more", "[wait_memory]") {
    std::set<void*> taken;
    while (void* const memory = take_wait_memory(512)) REQUIRE(taken.insert(memory).second);
    CHECK(taken.size() == 4096);
    CHECK_FALSE(take_wait_memory(1));
    for (void* const memory : taken) CHECK(give_back_wait_memory(memory));
    void* const again = take_wait_memory(512);
    CHECK(taken.contains(again));
    CHECK(give_back_wait_memory(again));

    CHECK_FALSE(take_wait_memory(513));
    int elsewhere = 0;
    CHECK_FALSE(give_back_wait_memory(&elsewhere));
    CHECK_FALSE(give_back_wait_memory(nullptr));
}
