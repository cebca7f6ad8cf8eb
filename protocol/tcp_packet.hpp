// A TCP segment behind its IP header, as it stands in a capture.
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/bytes.hpp"
#include "protocol/endpoint.hpp"

namespace protocol {

/// What an IP header calls TCP (IANA, protocol numbers).
inline constexpr std::uint8_t ip_protocol_tcp = 6;

/// Bits of a segment's flags (RFC 9293, 3.1).
namespace tcp_flag {
inline constexpr std::uint8_t fin = 0x01;
inline constexpr std::uint8_t syn = 0x02;
inline constexpr std::uint8_t rst = 0x04;
inline constexpr std::uint8_t psh = 0x08;
inline constexpr std::uint8_t ack = 0x10;
}  // namespace tcp_flag

struct TcpPacket {
    Endpoint from;
    Endpoint to;
    std::uint32_t sequence = 0;      ///< of the payload's first byte, or of SYN or FIN
    std::uint32_t acknowledged = 0;  ///< the next one that is expected of the other side
    std::uint8_t flags = 0;
    Bytes payload;         ///< of the bytes that were decoded
    std::size_t size = 0;  ///< what the payload was on the wire: more when the capture cut it
};

/// `bytes`: from an IPv4 or IPv6 header on. nullopt: no TCP, a fragment, IPv6 extension headers, or
/// broken.
std::optional<TcpPacket> decode_tcp_packet(Bytes bytes);

/// The same one as if its payload began `count` bytes later, at most at its end. `bytes`: one that
/// decode_tcp_packet reads, whole.
void leave_out_first(Buffer& bytes, std::size_t count);

}  // namespace protocol
