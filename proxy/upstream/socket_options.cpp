#include "proxy/upstream/socket_options.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

namespace proxy {
namespace {

void set(int fd, int level, int name, int value) noexcept { ::setsockopt(fd, level, name, &value, sizeof value); }

}  // namespace

void set_options(int fd, const SocketOptions& options) noexcept {
    int domain = 0;
    socklen_t size = sizeof domain;
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain == AF_UNIX) return;
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set(fd, SOL_SOCKET, SO_KEEPALIVE, options.keepalive.count() > 0 ? 1 : 0);
    std::chrono::milliseconds user_timeout = options.user_timeout;
    if (options.keepalive.count() > 0) {
        constexpr int probes = 6;
        const int idle = std::max(1, static_cast<int>(options.keepalive.count() / 1000));
        const int interval = std::max(1, idle / probes);
        set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
        set(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
        set(fd, IPPROTO_TCP, TCP_KEEPCNT, probes);
        // Linux asks no peer that owes an acknowledgement: without this it would be waited for as
        // long as retransmission goes on, some 15 minutes.
        if (user_timeout.count() == 0) user_timeout = std::chrono::seconds(idle + probes * interval);
    }
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(user_timeout.count()));
}

void acknowledge_now(int fd) noexcept { set(fd, IPPROTO_TCP, TCP_QUICKACK, 1); }

}  // namespace proxy
