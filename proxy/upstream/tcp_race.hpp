// TCP connections (or UNIX-domain ones) to several addresses at once, of which one is wanted.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/upstream/socket_options.hpp"
#include "tls/asio.hpp"

namespace proxy {

/// All on one thread.
class TcpRace {
   public:
    using Endpoint = asio::generic::stream_protocol::endpoint;
    using Clock = std::chrono::steady_clock;

    struct Runner {
        std::size_t number = 0;  ///< the caller's
        Endpoint endpoint{};
        SocketOptions options{};
        Clock::time_point deadline{};
        bool cut_short = false;  ///< it has less time than an address should have
    };
    /// How one of them ended.
    struct Arrival {
        std::size_t number = 0;
        std::optional<tls::Socket> socket{};  ///< connected; nullopt: it is not
        boost::system::error_code error{};    ///< why not; timed_out at its deadline
        std::chrono::microseconds took{0};
        Clock::time_point deadline{};  ///< this and the next as they were given
        bool cut_short = false;
    };

    explicit TcpRace(tls::Executor executor);
    ~TcpRace() { close(); }
    TcpRace(const TcpRace&) = delete;
    TcpRace& operator=(const TcpRace&) = delete;

    void begin(const Runner& runner);
    /// Waits for the next to arrive or to fail. nullopt: none did until `until`, or it was closed.
    tls::Awaitable<std::optional<Arrival>> next(Clock::time_point until);
    /// When the last one began.
    Clock::time_point last_began() const noexcept;
    /// The numbers of those under way that had begun by then.
    std::vector<std::size_t> began_by(Clock::time_point when) const;
    /// Closes all that are under way. Others may begin.
    void leave() noexcept;
    /// The same for good, and ends a wait.
    void close() noexcept;

   private:
    struct UnderWay;
    struct State;

    std::shared_ptr<State> state_;  // shared with the handlers of its sockets
};

}  // namespace proxy
