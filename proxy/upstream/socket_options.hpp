// What every TCP socket gets; a UNIX-domain socket takes none of it.
#pragma once

#include <chrono>

namespace proxy {

struct SocketOptions {
    std::chrono::milliseconds keepalive{0};  ///< idle time before the first probe; 0: off
    /// TCP_USER_TIMEOUT; 0: as long as keepalive takes to give up, or without it the system's.
    std::chrono::milliseconds user_timeout{0};
};

/// No delay, keepalive, user timeout; whatever was set before.
void set_options(int fd, const SocketOptions& options) noexcept;

/// Acknowledge what has been received at once: a client with Nagle's algorithm on holds its next
/// small message back until then.
void acknowledge_now(int fd) noexcept;

}  // namespace proxy
