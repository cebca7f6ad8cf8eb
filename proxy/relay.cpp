#include "proxy/relay.hpp"

#include <optional>

namespace proxy {
namespace {

using namespace asio::experimental::awaitable_operators;
using Clock = std::chrono::steady_clock;

/// A PostgreSQL server that closed its end says no more and hears no more; a client that goes on holding its own is let go after this.
constexpr std::chrono::seconds linger_after_server{5};
/// How often a pump may find its source full before others get their turn.
constexpr int max_rounds = 4;

struct Relay {
    struct Side {
        tls::Stream& stream;
        std::uint64_t bytes = 0;  // received from it
        RelayEnd closed, reset, tls_error;
    };

    Side client;
    Side server;
    tls::Timer linger;
    std::optional<RelayEnd> end = std::nullopt;

    tls::Awaitable<> pump(Side& from, Side& to);
    tls::Awaitable<> watch_idle(std::chrono::milliseconds timeout);
    bool finish(Side& from, Side& to, tls::End how);
    void fail(Side& side);
};

RelayEnd reason(const Relay::Side& side, tls::End how) {
    switch (how) {
        case tls::End::reset: return side.reset;
        case tls::End::broken: return side.tls_error;
        case tls::End::open:
        case tls::End::closed:
        case tls::End::truncated: break;
    }
    return side.closed;
}

tls::Awaitable<> Relay::pump(Side& from, Side& to) {
    for (;;) {
        for (int round = 0; round < max_rounds; ++round) {
            const tls::Stream::Received received = from.stream.receive();
            from.bytes += received.bytes.size();
            bool sent = received.bytes.empty() || to.stream.send(received.bytes);
            const bool ended = received.end != tls::End::open && !to.stream.send_failed();
            const bool other_may_go_on = ended && finish(from, to, received.end);
            if (ended) sent = to.stream.flush();
            while (!sent) {
                const auto [error] = co_await to.stream.socket().async_wait(tls::Socket::wait_write, tls::returning);
                if (error) co_return;  // closed by the other pump
                sent = to.stream.flush();
            }
            if (to.stream.send_failed()) co_return fail(to);
            if (ended) {
                if (other_may_go_on && &from == &server) {
                    linger.expires_after(linger_after_server);
                    const auto [cancelled] = co_await linger.async_wait(tls::returning);
                    if (!cancelled) to.stream.close();
                }
                co_return;
            }
            if (!received.more) break;
        }
        const auto [error] = co_await from.stream.socket().async_wait(tls::Socket::wait_read, tls::returning);
        if (error) co_return;
    }
}

/// One direction has ended: passes that on. True: the other direction may still go on.
bool Relay::finish(Side& from, Side& to, tls::End how) {
    const bool first = !end.has_value();
    if (first) end = reason(from, how);
    if (how == tls::End::reset || how == tls::End::broken) {
        to.stream.reset();
        from.stream.close();
    } else {
        to.stream.close_send(how == tls::End::closed);
    }
    if (&from == &client) linger.cancel();
    return first && how != tls::End::reset && how != tls::End::broken;
}

/// `side` takes no more: whoever is behind it has gone without a word.
void Relay::fail(Side& side) {
    if (!end) end = side.reset;
    client.stream.reset();
    server.stream.reset();
    linger.cancel();
}

tls::Awaitable<> Relay::watch_idle(std::chrono::milliseconds timeout) {
    tls::Timer timer(client.stream.socket().get_executor());
    for (std::uint64_t seen = ~std::uint64_t{0}; seen != client.bytes + server.bytes;) {
        seen = client.bytes + server.bytes;
        timer.expires_after(timeout);
        const auto [cancelled] = co_await timer.async_wait(tls::returning);
        if (cancelled) co_return;
    }
    end = RelayEnd::idle_timeout;
    client.stream.close();
    server.stream.close();
}

}  // namespace

std::string_view label(RelayEnd end) noexcept {
    switch (end) {
        case RelayEnd::client_closed: return "client_closed";
        case RelayEnd::server_closed: return "server_closed";
        case RelayEnd::client_reset: return "client_reset";
        case RelayEnd::server_reset: return "server_reset";
        case RelayEnd::client_tls_error: return "client_tls_error";
        case RelayEnd::server_tls_error: return "server_tls_error";
        case RelayEnd::idle_timeout: return "idle_timeout";
    }
    return "";
}

tls::Awaitable<RelayResult> relay(tls::Stream& client, tls::Stream& server, std::chrono::milliseconds idle_timeout) {
    client.begin_relay();
    server.begin_relay();
    Relay relay{.client = {client, 0, RelayEnd::client_closed, RelayEnd::client_reset, RelayEnd::client_tls_error},
                .server = {server, 0, RelayEnd::server_closed, RelayEnd::server_reset, RelayEnd::server_tls_error},
                .linger = tls::Timer(client.socket().get_executor())};
    if (idle_timeout.count() > 0) {
        co_await ((relay.pump(relay.client, relay.server) && relay.pump(relay.server, relay.client)) || relay.watch_idle(idle_timeout));
    } else {
        co_await (relay.pump(relay.client, relay.server) && relay.pump(relay.server, relay.client));
    }
    co_return RelayResult{.end = relay.end.value_or(RelayEnd::client_closed),
                          .bytes_from_client = relay.client.bytes,
                          .bytes_from_server = relay.server.bytes};
}

}  // namespace proxy
