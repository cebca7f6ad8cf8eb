// Moves bytes both ways after ReadyForQuery and looks at none of them.
//
// No wait while the thread's buffers are in use, no allocation per read, one receive and one send
// for as many TLS records as are there. Not a coroutine, because an idle session would own its
// frames: three kilobytes of them (docs/performance.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "proxy/observation/reason.hpp"
#include "tls/stream.hpp"

namespace proxy {

struct RelayResult {
    Reason end = Reason::client_closed;  ///< whose end came first
    std::uint64_t bytes_from_client = 0;
    std::uint64_t bytes_from_server = 0;
};

/// One session's relay. Ends early when its streams are closed. Must live until it has ended or its
/// io_context no longer runs.
class Relay {
   public:
    /// The streams outlive it and are used by nobody else, but for close().
    Relay(tls::Stream& client, tls::Stream& server);

    /// Until both directions have ended: then calls `on_end`, later than this returns and on the
    /// streams' thread; it may destroy the relay. `idle_timeout`: neither direction moved a byte
    /// for so long; 0: never.
    void start(std::chrono::milliseconds idle_timeout, std::function<void()> on_end);

    RelayResult result() const noexcept;

   private:
    struct Side {
        tls::Stream& stream;
        Side& other;
        std::uint64_t bytes = 0;  // received from it
        Reason closed, reset, tls_error;
        bool over = false;  // nothing more will come from it
    };
    using Step = void (Relay::*)(Side&);

    void pump(Side& from);
    void flush(Side& from);
    bool sent(Side& from);
    void wait(Side& from, tls::Stream& on, tls::Socket::wait_type type, Step then);
    void take(Side& from, Step step) noexcept;

    void pass_on_end(Side& from, tls::End how);
    void abandon(Reason why) noexcept;
    void set_end(Reason why) noexcept;
    void end_if_over();
    void set_timer(std::chrono::milliseconds after);
    void timed_out();

    Side client_;
    Side server_;
    std::chrono::milliseconds idle_timeout_{0};
    std::uint64_t bytes_at_timer_ = 0;
    tls::Timer timer_;  // idle timeout, and once the server has closed how long the client may linger
    std::function<void()> on_end_;
    int waits_ = 0;  // for sockets
    int timer_waits_ = 0;
    bool lingering_ = false;
    bool ended_ = false;
    Reason end_ = Reason::client_closed;
};

}  // namespace proxy
