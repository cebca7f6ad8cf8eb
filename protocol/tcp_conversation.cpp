#include "protocol/tcp_conversation.hpp"

#include <algorithm>

#include "protocol/tcp_packet.hpp"

namespace protocol {

namespace {

constexpr std::size_t max_segment = 60'000;  // IPv4's length is 16 bits, and counts the headers
constexpr std::uint8_t hop_limit = 64;

// As large as can be: readers take a peer for blocked once nobody acknowledged a window's bytes,
// and here acknowledgements come only with data of the other side.
constexpr std::uint16_t receive_window = 0xffff;
constexpr std::uint8_t window_scale[]{1, 3, 3, 14};  // NOP, then 2^14 (RFC 7323, 2)

void append_u16(Buffer& out, std::size_t value) {
    out.push_back(static_cast<std::uint8_t>(value >> 8));
    out.push_back(static_cast<std::uint8_t>(value));
}

void ip_header(Buffer& out, const Endpoint& from, const Endpoint& to, std::size_t size) {
    Writer writer(out);
    if (from.v6) {
        writer.u32(0x60000000);
        append_u16(out, size);
        writer.u8(ip_protocol_tcp);
        writer.u8(hop_limit);
    } else {
        writer.u8(0x45);
        writer.u8(0);
        append_u16(out, size + 20);
        writer.u32(0x00004000);  // not to be fragmented
        writer.u8(hop_limit);
        writer.u8(ip_protocol_tcp);
        append_u16(out, 0);
    }
    writer.bytes(address_bytes(from));
    writer.bytes(address_bytes(to));
}

}  // namespace

TcpConversation::TcpConversation(const Endpoint& client, const Endpoint& server)
    : sides_{Side{.endpoint = client}, Side{.endpoint = server}} {
    if (client.v6 == server.v6) return;
    for (Side& side : sides_) side.endpoint = as_v6(side.endpoint);
}

void TcpConversation::open(const Sink& sink) {
    packet(Sender::client, tcp_flag::syn, {}, sink);
    packet(Sender::server, tcp_flag::syn | tcp_flag::ack, {}, sink);
    packet(Sender::client, tcp_flag::ack, {}, sink);
}

void TcpConversation::data(Sender from, Bytes bytes, const Sink& sink) {
    while (!bytes.empty()) {
        const Bytes payload = bytes.first(std::min(bytes.size(), max_segment));
        bytes = bytes.subspan(payload.size());
        packet(from, bytes.empty() ? tcp_flag::psh | tcp_flag::ack : tcp_flag::ack, payload, sink);
        skip(from, payload.size());
    }
}

void TcpConversation::skip(Sender from, std::size_t size) {
    sides_[static_cast<std::size_t>(from)].next += static_cast<std::uint32_t>(size);  // modulo 2^32, as in TCP
}

void TcpConversation::close(Sender from, bool reset, const Sink& sink) {
    packet(from, (reset ? tcp_flag::rst : tcp_flag::fin) | tcp_flag::ack, {}, sink);
    if (!reset) skip(from, 1);
}

void TcpConversation::packet(Sender from, std::uint8_t flags, Bytes payload, const Sink& sink) {
    const auto index = static_cast<std::size_t>(from);
    const Side& sender = sides_[index];
    const Side& receiver = sides_[1 - index];
    const bool syn = flags & tcp_flag::syn, ack = flags & tcp_flag::ack;
    const Bytes options = syn ? Bytes(window_scale) : Bytes();
    const std::size_t header_size = 20 + options.size();

    Buffer out;
    out.reserve(40 + header_size + payload.size());
    ip_header(out, sender.endpoint, receiver.endpoint, header_size + payload.size());
    Writer writer(out);
    append_u16(out, sender.endpoint.port);
    append_u16(out, receiver.endpoint.port);
    writer.u32(syn ? sender.next - 1 : sender.next);
    writer.u32(ack ? receiver.next : 0);
    writer.u8(static_cast<std::uint8_t>(header_size / 4 << 4));
    writer.u8(flags);
    append_u16(out, receive_window);
    writer.u32(0);  // checksum, urgent pointer
    writer.bytes(options);
    writer.bytes(payload);
    sink(from, out);
}

}  // namespace protocol
