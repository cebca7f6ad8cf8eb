#include "protocol/tcp_packet.hpp"

#include <algorithm>

namespace protocol {

namespace {

/// What an IP header says of what follows it.
struct Datagram {
    TcpPacket packet;
    Bytes segment;
    std::size_t size = 0;  // of the segment on the wire
};

void set_addresses(TcpPacket& packet, Bytes from, Bytes to) {
    packet.from.v6 = packet.to.v6 = from.size() == 16;
    std::copy(from.begin(), from.end(), packet.from.address.begin());
    std::copy(to.begin(), to.end(), packet.to.address.begin());
}

std::optional<Datagram> decode_v4(Bytes bytes) {
    Reader reader(bytes);
    const std::size_t header_size = (reader.u8() & 0x0f) * std::size_t{4};
    reader.u8();  // type of service
    const std::size_t size = reader.u16();
    reader.u16();  // identification
    const bool fragment = (reader.u16() & 0x3fff) != 0;
    reader.u8();  // time to live
    const bool is_tcp = reader.u8() == ip_protocol_tcp;
    reader.u16();  // checksum
    const Bytes from = reader.take(4), to = reader.take(4);
    if (!reader.ok() || fragment || !is_tcp || header_size < 20 || size < header_size || bytes.size() < header_size)
        return std::nullopt;
    Datagram datagram{.packet = {}, .segment = bytes.subspan(header_size), .size = size - header_size};
    set_addresses(datagram.packet, from, to);
    return datagram;
}

std::optional<Datagram> decode_v6(Bytes bytes) {
    Reader reader(bytes);
    reader.u32();  // version, traffic class, flow label
    const std::size_t size = reader.u16();
    const bool is_tcp = reader.u8() == ip_protocol_tcp;
    reader.u8();  // hop limit
    const Bytes from = reader.take(16), to = reader.take(16);
    if (!reader.ok() || !is_tcp) return std::nullopt;
    Datagram datagram{.packet = {}, .segment = reader.rest(), .size = size};
    set_addresses(datagram.packet, from, to);
    return datagram;
}

}  // namespace

std::optional<TcpPacket> decode_tcp_packet(Bytes bytes) {
    const int version = bytes.empty() ? 0 : bytes[0] >> 4;
    auto datagram = version == 4 ? decode_v4(bytes) : version == 6 ? decode_v6(bytes) : std::nullopt;
    if (!datagram) return std::nullopt;

    TcpPacket& packet = datagram->packet;
    // Behind a datagram there may be what the link added to make it long enough.
    const Bytes segment = datagram->segment.first(std::min(datagram->size, datagram->segment.size()));
    Reader reader(segment);
    packet.from.port = reader.u16();
    packet.to.port = reader.u16();
    packet.sequence = reader.u32();
    packet.acknowledged = reader.u32();
    const std::size_t header_size = (reader.u8() >> 4) * std::size_t{4};
    packet.flags = reader.u8();
    if (!reader.ok() || header_size < 20 || header_size > segment.size()) return std::nullopt;
    packet.payload = segment.subspan(header_size);
    packet.size = datagram->size - header_size;
    return std::move(packet);
}

void leave_out_first(Buffer& bytes, std::size_t count) {
    const auto packet = decode_tcp_packet(bytes);
    if (!packet) return;
    count = std::min(count, packet->payload.size());
    const auto payload = static_cast<std::size_t>(packet->payload.data() - bytes.data());
    const bool v6 = bytes[0] >> 4 == 6;
    const std::size_t sequence_at = (v6 ? 40 : (bytes[0] & 0x0f) * std::size_t{4}) + 4;
    const std::size_t size_at = v6 ? 4 : 2;
    const std::size_t size = std::size_t{bytes[size_at]} << 8 | bytes[size_at + 1];
    bytes[size_at] = static_cast<std::uint8_t>((size - count) >> 8);
    bytes[size_at + 1] = static_cast<std::uint8_t>(size - count);
    const std::uint32_t sequence = packet->sequence + static_cast<std::uint32_t>(count);  // modulo 2^32
    for (std::size_t i = 0; i < 4; ++i) bytes[sequence_at + i] = static_cast<std::uint8_t>(sequence >> (24 - 8 * i));
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(payload);
    bytes.erase(begin, begin + static_cast<std::ptrdiff_t>(count));
}

}  // namespace protocol
