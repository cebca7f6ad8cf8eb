// One PostgreSQL connection that times itself: connect, TLS, login, queries, close. The same
// tls::Stream that the proxy uses.
#pragma once

#include <memory>
#include <string_view>

#include "bench/target/phases.hpp"
#include "bench/target/route.hpp"
#include "protocol/messages.hpp"
#include "tls/stream.hpp"

namespace bench {

class Client {
   public:
    /// Connects and logs in, within the target's connect_timeout. `route` outlives the client.
    /// `due`: when the connection was to begin; total and overall count from there. Throws
    /// std::runtime_error, "PHASE: what went wrong".
    static tls::Awaitable<Client> open(const Route& route, Clock::time_point due);

    /// One simple query, up to its ReadyForQuery; rows are thrown away. Throws as open does.
    tls::Awaitable<> query(std::string_view sql);
    /// Terminate, and waits for the peer to close. Throws as open does.
    tls::Awaitable<> close();

    tls::Stream& stream() noexcept { return *stream_; }
    const Phases& phases() const noexcept { return watch_.phases(); }

   private:
    Client(const Route& route, Clock::time_point due);

    tls::Awaitable<> establish();
    tls::Awaitable<> connect();
    tls::Awaitable<> request_tls();
    tls::Awaitable<> start_tls();
    tls::Awaitable<> log_in();
    tls::Awaitable<protocol::Message> read_message();
    tls::Awaitable<> read_to_ready();
    void allow_time();
    [[noreturn]] void fail(const std::exception& error) const;

    const Route* route_;
    Clock::time_point due_;
    Stopwatch watch_;
    std::unique_ptr<tls::Stream> stream_;
    protocol::MessageBuffer messages_;
    protocol::Buffer chunk_;
};

}  // namespace bench
