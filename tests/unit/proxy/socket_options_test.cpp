#include "proxy/upstream/socket_options.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;

class TcpSocket {
   public:
    TcpSocket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) { REQUIRE(fd_ >= 0); }
    ~TcpSocket() { ::close(fd_); }
    void set(const proxy::SocketOptions& options) { proxy::set_options(fd_, options); }
    int get(int level, int name) const {
        int value = -1;
        socklen_t size = sizeof value;
        REQUIRE(::getsockopt(fd_, level, name, &value, &size) == 0);
        return value;
    }
    int user_timeout() const { return get(IPPROTO_TCP, TCP_USER_TIMEOUT); }

   private:
    int fd_;
};

}  // namespace

TEST_CASE("unacknowledged data is waited for as long as keepalive waits, unless configured otherwise") {
    TcpSocket socket;
    socket.set({.keepalive = 60s});
    CHECK(socket.get(IPPROTO_TCP, TCP_KEEPIDLE) + 6 * socket.get(IPPROTO_TCP, TCP_KEEPINTVL) == 120);
    CHECK(socket.user_timeout() == 120'000);
    socket.set({.keepalive = 6s});
    CHECK(socket.user_timeout() == 12'000);
    socket.set({.keepalive = 60s, .user_timeout = 30s});
    CHECK(socket.user_timeout() == 30'000);
}

TEST_CASE("without keepalive the system's own patience holds") {
    TcpSocket socket;
    socket.set({.keepalive = 60s});
    socket.set({});
    CHECK(socket.get(SOL_SOCKET, SO_KEEPALIVE) == 0);
    CHECK(socket.user_timeout() == 0);
}
