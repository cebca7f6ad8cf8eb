#include "proxy/capture/session_tap.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "proxy/capture/capture_comment.hpp"
#include "proxy/capture/capture_entry.hpp"
#include "proxy/observation/often.hpp"

namespace proxy {
namespace {

using protocol::Bytes;
using tls::Leg;
using What = tls::Tap::What;

/// Where Wireshark looks for PostgreSQL's protocol, and nowhere else.
constexpr std::uint16_t shown_port = 5432;

/// A side of a socket: an address in text, empty for UNIX-domain sockets.
struct Side {
    std::string address{};
    std::uint16_t port = 0;
    std::string text{};
};

Side side_of(const asio::generic::stream_protocol::endpoint& endpoint) {
    const int family = endpoint.protocol().family();
    if (family != AF_INET && family != AF_INET6) return {.text = "unix"};
    asio::ip::tcp::endpoint tcp;
    tcp.resize(endpoint.size());
    std::memcpy(tcp.data(), endpoint.data(), endpoint.size());
    asio::ip::address address = tcp.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    const std::string port = ":" + std::to_string(tcp.port());
    const std::string plain = address.to_string();
    return {.address = plain, .port = tcp.port(), .text = (address.is_v6() ? "[" + plain + "]" : plain) + port};
}

/// What came last, blanked, for each capture of the session that this thread is working for: its
/// memory is the thread's, as the stream's own is.
struct Scratch {
    const SessionTap* owner = nullptr;
    std::vector<protocol::Buffer> buffers;

    protocol::Buffer& operator[](std::size_t number) {
        if (buffers.size() <= number) buffers.resize(number + 1);
        return buffers[number];
    }
};

Scratch& scratch() {
    thread_local Scratch scratch;
    return scratch;
}

}  // namespace

SessionTap::SessionTap(SessionCapture::Session session, std::string proxy)
    : session_(session), proxy_(std::move(proxy)) {}

tls::Tap SessionTap::tap() noexcept {
    const bool keys =
        std::any_of(captures_.begin(), captures_.end(), [](const auto& one) { return one->capture().order().keylog; });
    return {.tell = tell, .to = this, .keys = keys};
}

void SessionTap::join(std::shared_ptr<Capture> capture, bool from_start) {
    captures_.push_back(std::make_unique<SessionCapture>(std::move(capture), session_, from_start));
}

/// What one of them throws, for lack of memory, ends the session's part in it, and nothing else.
template <class Action>
void SessionTap::each(Action action) noexcept {
    for (std::size_t i = 0; i < captures_.size(); ++i) {
        try {
            action(*captures_[i], i);
        } catch (const std::exception& error) {
            captures_[i]->leave(protocol::Absence::no_memory);
            spdlog::log(often("capture", session_.record.listener), spdlog::level::err,
                        "a session is left out of capture {}: {}", captures_[i]->capture().id(), error.what());
        }
    }
}

void SessionTap::tell(void* self, tls::Stream& stream, What what, Bytes bytes) noexcept {
    SessionTap& tap = *static_cast<SessionTap*>(self);
    try {
        tap.take(stream, what, bytes);
    } catch (const std::exception&) {
        for (const auto& one : tap.captures_) one->leave(protocol::Absence::no_memory);
    }
}

void SessionTap::take(tls::Stream& stream, What what, Bytes bytes) {
    // Not between what comes and its passing on: the scratch buffers go by number.
    if (what != What::sent && passing_.bytes == nullptr)
        std::erase_if(captures_, [](const auto& one) { return one->is_over(); });
    const Leg leg = stream.leg();
    if (what == What::opened) ends_[leg == Leg::client ? 0 : 1] = ends_of(stream);
    if (captures_.empty()) return stream.set_tap({});
    const Time now = std::chrono::system_clock::now();
    const Sender peer = leg == Leg::client ? Sender::client : Sender::server;
    const Sender ours = leg == Leg::client ? Sender::server : Sender::client;
    switch (what) {
        case What::opened:
            each([&](SessionCapture& one, auto) {
                one.opened(leg, ends_[leg == Leg::client ? 0 : 1], stream.encrypted());
            });
            break;
        case What::received: received(leg, bytes, now); break;
        case What::sent: sent(leg, bytes, now); break;
        case What::record_received:
        case What::record_sent:
            each([&](SessionCapture& one, auto) {
                one.records(leg, what == What::record_sent ? ours : peer, bytes, now);
            });
            break;
        case What::key: each([&](SessionCapture& one, auto) { one.key(protocol::as_text(bytes)); }); break;
        case What::peer_closed:
        case What::peer_reset:
            each([&](SessionCapture& one, auto) { one.ended(leg, peer, what == What::peer_reset, now); });
            break;
        case What::closed:
        case What::reset:
            each([&](SessionCapture& one, auto) { one.ended(leg, ours, what == What::reset, now); });
            break;
    }
}

void SessionTap::received(Leg leg, Bytes bytes, Time now) {
    const Sender peer = leg == Leg::client ? Sender::client : Sender::server;
    if (!between_messages_) return each([&](SessionCapture& one, auto) { one.said(leg, peer, bytes, now); });
    Scratch& blanked = scratch();
    each([&](SessionCapture& one, std::size_t i) { one.came(leg, bytes, blanked[i], now); });
    blanked.owner = this;
    passing_ = {bytes.data(), bytes.size(), leg};
}

/// The relay sends what it has just received, from where it stands: anything else are words of
/// ours.
void SessionTap::sent(Leg leg, Bytes bytes, Time now) {
    const Sender ours = leg == Leg::client ? Sender::server : Sender::client;
    if (!between_messages_) return each([&](SessionCapture& one, auto) { one.said(leg, ours, bytes, now); });
    const Passing passing = std::exchange(passing_, {});
    Scratch& blanked = scratch();
    const bool passed_on =
        passing.bytes == bytes.data() && passing.size == bytes.size() && passing.from != leg && blanked.owner == this;
    each([&](SessionCapture& one, std::size_t i) {
        if (passed_on) {
            one.passed_on(leg, blanked[i], now);
        } else {
            one.added(leg, bytes, now);
        }
    });
    if (leg == Leg::client) let_in();
}

void SessionTap::let_in() noexcept {
    const bool anybody =
        std::any_of(captures_.begin(), captures_.end(), [](const auto& one) { return one->is_waiting(); });
    if (!anybody || !between_messages_ || !between_messages_()) return;
    const Time now = std::chrono::system_clock::now();
    each([&](SessionCapture& one, auto) {
        if (one.is_waiting()) one.enter(ends_, now);
    });
}

void SessionTap::named() noexcept {
    each([](SessionCapture& one, auto) { one.named(); });
}

void SessionTap::server_name(const std::string& host) noexcept {
    each([&](SessionCapture& one, auto) {
        const std::string address = protocol::address_text(ends_[1].server);
        if (!host.empty() && !protocol::parse_endpoint(host)) one.capture().name(address, host);
    });
}

void SessionTap::record(const Event& event) noexcept {
    if (captures_.empty()) return;
    each([&](SessionCapture& one, auto) { one.settled(event); });
    each([&](SessionCapture& one, auto) {
        one.journal(event_entry(as_captured(event, one.capture().order().payload), proxy_));
    });
}

void SessionTap::relay_begins(std::function<bool()> between_messages) noexcept {
    between_messages_ = std::move(between_messages);
    let_in();
    each([](SessionCapture& one, auto) { one.wait(); });
}

/// UNIX-domain sockets have neither addresses nor ports: loopback, and a port of the session's own.
LegEnds SessionTap::ends_of(tls::Stream& stream) const {
    constexpr std::uint64_t first_port = 1024, ports = 64'512;
    boost::system::error_code ignored;
    const Side ours = side_of(stream.socket().local_endpoint(ignored));
    Side peer = side_of(stream.socket().remote_endpoint(ignored));
    const bool is_client = stream.leg() == Leg::client;
    const SessionRecord& record = session_.record;
    if (is_client && record.front && record.front->named_client)  // the socket's other end is the front's
        peer = {.address = record.client_addr, .port = static_cast<std::uint16_t>(record.client_port), .text = {}};
    const auto invented = static_cast<std::uint16_t>(first_port + (session_.number * 2 + (is_client ? 0 : 1)) % ports);
    const Side& client = is_client ? peer : ours;
    const Side& server = is_client ? ours : peer;
    return {.client = protocol::endpoint(client.address, client.port != 0 ? client.port : invented),
            .server = protocol::endpoint(server.address, shown_port),
            .to = server.text};
}

}  // namespace proxy
