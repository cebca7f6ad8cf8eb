// Moves bytes both ways after ReadyForQuery, whatever they are: protocol::Boundary alone looks at
// some.
//
// No wait while the thread's buffers are in use, no allocation per read, one receive and one send
// for as many TLS records as are there. Not a coroutine, because an idle session would own its
// frames: three kilobytes of them (docs/performance.md).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "protocol/boundary.hpp"
#include "proxy/metrics/meters.hpp"
#include "proxy/observation/reason.hpp"
#include "proxy/session/live_sessions.hpp"
#include "tls/stream.hpp"

namespace proxy {

struct RelayResult {
    Reason end = Reason::client_closed;  ///< whose end came first
    std::uint64_t bytes_from_client = 0;
    std::uint64_t bytes_from_server = 0;
    bool told = false;  ///< the client was told why, by us
};

/// One session's relay. Ends early when its streams are closed. Must live until it has ended or its
/// io_context no longer runs. More methods than most classes have: callbacks stand where one
/// coroutine would do, because an idle session is to own no frames.
class Relay {
   public:
    /// The streams outlive it and are used by nobody else, but for close().
    /// `boundary`: as the login has left it. `figures`: where it counts; nullptr: for itself.
    /// `meter`: the thread's; nullptr: nobody counts.
    Relay(tls::Stream& client, tls::Stream& server, const protocol::Boundary& boundary = {},
          std::shared_ptr<RelayFigures> figures = nullptr, RelayMeter* meter = nullptr);
    ~Relay();

    /// Until both directions have ended: then calls `on_end`, later than this returns and on the
    /// streams' thread; it may destroy the relay. `idle_timeout`: neither direction moved a byte
    /// for so long; 0: never.
    void start(std::chrono::milliseconds idle_timeout, std::function<void()> on_end);

    /// Tells the client why its session ends, and ends it, if it is known to be between two
    /// messages with nothing asked; in a transaction only when `in_transactions`. False: it is not,
    /// and goes on.
    bool farewell(Reason why, bool in_transactions);
    /// Where that is not known, but looks so: asks the server to leave once it has answered all
    /// that came, as PostgreSQL does. Its close is the proof, and then the client is told. False:
    /// it does not look so, or the client asks ahead of answers, of which a pooler that is asked to
    /// leave would give no more.
    bool dismiss(Reason why, bool in_transactions);

    RelayResult result() const noexcept;
    /// It is known that both sides are, with nothing asked.
    bool is_between_messages() const noexcept { return boundary_.status() != '\0'; }

    /// The last error of its server was 25006 (read_only_sql_transaction), as far as it is known.
    bool was_refused_to_write() const noexcept { return boundary_.was_refused_to_write(); }
    /// The client has sent Terminate: a server that closes does what it was asked for.
    bool client_said_goodbye() const noexcept { return boundary_.client_said_goodbye(); }

   private:
    struct Side {
        tls::Stream& stream;
        Side& other;
        std::atomic<std::uint64_t>& bytes;  // received from it; this thread's alone to write
        Reason closed, reset, tls_error;
        bool over = false;  // nothing more will come from it
    };
    using Step = void (Relay::*)(Side&);

    static std::uint64_t count(const Side& side) noexcept { return side.bytes.load(std::memory_order_relaxed); }
    void pump(Side& from);
    void flush(Side& from);
    bool sent(Side& from);
    void wait(Side& from, tls::Stream& on, tls::Socket::wait_type type, Step then);
    void take(Side& from, Step step) noexcept;

    bool pass_on(Side& from, protocol::Bytes bytes);
    void pass_on_end(Side& from, tls::End how);
    void tell(Reason why);
    void linger();
    void abandon(Reason why) noexcept;
    void set_end(Reason why) noexcept;
    void end_if_over();
    void set_timer(std::chrono::milliseconds after);
    void timed_out(Side& client);

    void client_is_behind();
    void watch_client();

    const std::shared_ptr<RelayFigures> figures_;
    Side client_;
    Side server_;
    RelayMeter* const meter_;
    std::chrono::milliseconds idle_timeout_{0};
    std::uint64_t bytes_at_timer_ = 0;
    tls::Timer timer_;  // idle timeout, and once the server has closed how long the client may linger
    std::function<void()> on_end_;
    int waits_ = 0;  // for sockets
    int timer_waits_ = 0;
    protocol::Boundary boundary_;
    bool lingering_ = false;
    bool told_ = false;                // the server's leg is closed, and the client may read why
    std::optional<Reason> dismissed_;  // why the server was asked to leave; it is sent nothing more

    struct Behind;
    std::unique_ptr<Behind> behind_;  // made when the client first is
    bool client_behind_ = false;      // what the server sent waits for the client to take it
    bool ended_ = false;
    Reason end_ = Reason::client_closed;
};

}  // namespace proxy
