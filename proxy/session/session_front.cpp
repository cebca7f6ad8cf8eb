// Session: what a load balancer in front of us says before the client's first byte (docs/front.md).
#include <spdlog/spdlog.h>

#include "proxy/observation/often.hpp"
#include "proxy/observation/session_log.hpp"
#include "proxy/session/session.hpp"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;
using protocol::ProxyHeaderParser;

/// HAProxy, "The PROXY protocol", 2: long enough for a segment that was lost to be sent again.
constexpr std::chrono::milliseconds least_header_time{3'000};

enum class Heard { whole, nothing, cut_short };

/// `whole`: also one that is wrong.
tls::Awaitable<Heard> hear_header(tls::Stream& stream, ProxyHeaderParser& parser) {
    Heard heard = Heard::nothing;
    try {
        const auto first = co_await stream.peek();
        if (!first) co_return heard;
        heard = Heard::cut_short;
        while (parser.state() == ProxyHeaderParser::State::reading) {
            protocol::Buffer bytes(parser.wanted());
            const bool came = co_await stream.read_exactly(bytes);
            if (!came) co_return heard;
            parser.feed(bytes);
        }
    } catch (const tls::StreamError& broken) {
        if (broken.kind() == tls::StreamError::Kind::timed_out) throw;
        co_return heard;
    }
    co_return Heard::whole;
}

/// A v4 address keeps its v4 name, so that it is the same client everywhere.
protocol::Endpoint as_peers_are_named(protocol::Endpoint endpoint) {
    constexpr std::array<std::uint8_t, 12> v4_mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (!endpoint.v6 || !std::equal(v4_mapped.begin(), v4_mapped.end(), endpoint.address.begin())) return endpoint;
    protocol::Endpoint v4{.v6 = false, .port = endpoint.port};
    std::copy_n(endpoint.address.begin() + v4_mapped.size(), 4, v4.address.begin());
    return v4;
}

}  // namespace

/// False: the session is over and reported.
tls::Awaitable<bool> Session::hear_front(const AskToEnter& enter) {
    record_.front = std::make_shared<const Front>(Front{.addr = accepted_.address});
    const auto until = Clock::now() + std::max(accepted_.opening_timeout, least_header_time);
    const bool is_step = until < deadline_;
    client_.set_deadline(is_step ? until : deadline_, is_step ? tls::Deadline::opening : tls::Deadline::login);
    ProxyHeaderParser parser;
    const bool has_header = co_await take_header(parser);
    if (!has_header) co_return false;

    take_front(parser.header());
    const auto address = protocol::parse_endpoint(accepted_.address).value_or(protocol::Endpoint());
    const auto bytes = protocol::as_v6(address).address;
    accepted_.address_group = address_group(bytes);
    accepted_.rejection.reset();
    const bool can_be_told = enter(accepted_.address, bytes, accepted_.rejection);
    if (!can_be_told) {
        record_end({.kind = EventKind::rejected, .reason = Reason::too_many_refusals});
        log_about(record_, often(Reason::too_many_refusals, record_.listener), spdlog::level::warn,
                  "closed unheard: {}", sentence(Reason::too_many_refusals));
        client_.close();
        co_return false;
    }
    // Of a refused one the time begins now: its header came when it came.
    deadline_ = (accepted_.rejection ? Clock::now() : record_.accepted) + time_to_log_in();
    if (accepted_.rejection || record_.front->local) observer_->not_admitted();
    if (services_.captures.any()) [[unlikely]]
        watch_from_start();
    co_return true;
}

/// False: over and reported. Whoever closes without a byte is a port check, and no news.
tls::Awaitable<bool> Session::take_header(ProxyHeaderParser& parser) {
    const Heard heard = co_await hear_header(client_, parser);
    if (aborted_) co_return false;  // reported as such
    if (heard == Heard::nothing) {
        phase_ = Phase::over;
        co_return false;
    }
    if (parser.state() == ProxyHeaderParser::State::complete) co_return true;
    if (parser.fault() == protocol::Fault::proxy_header_missing) name_foreign(parser.taken());
    const protocol::Fault fault = heard == Heard::whole ? parser.fault() : protocol::Fault::proxy_header;
    const Rejection why = rejection(reason(fault));
    co_await reject(why);
    co_return false;
}

/// From here on the address is the client's, wherever one is told or asked for.
void Session::take_front(const protocol::ProxyHeader& header) {
    record_.front = std::make_shared<const Front>(front_of(header, accepted_.address));
    if (!header.source) return;
    const protocol::Endpoint client = as_peers_are_named(*header.source);
    accepted_.address = protocol::address_text(client);
    accepted_.port = client.port;
    record_.client_addr = accepted_.address;
    record_.client_port = accepted_.port;
}

}  // namespace proxy
