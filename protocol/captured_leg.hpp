// Which conversation of which leg a captured packet belongs to: interfaces are called "<listener>
// client leg" and "<listener> server leg", and servers have port 5432.
#pragma once

#include <string>

#include "protocol/pcapng_reader.hpp"
#include "protocol/tcp_packet.hpp"

namespace protocol {

/// What an interface's packets are of.
struct CapturedLeg {
    enum class Side { other, client, server };

    Side side = Side::other;
    std::string listener;   ///< empty: of no leg
    bool readable = false;  ///< its packets begin with their IP header
};
CapturedLeg captured_leg(const pcapng::InterfaceBlock& interface);

/// Who says a packet, and to whom.
struct CapturedEnds {
    Endpoint client;
    Endpoint server;
    bool from_client = false;

    /// IPv4 that was written as IPv6: beside the conversation in clear, and holds its TLS records.
    bool mapped() const;
    /// The same for all packets of a conversation, and of one leg for no other that is open.
    std::string key() const;
};
CapturedEnds captured_ends(const TcpPacket& tcp, const pcapng::PacketBlock& packet, CapturedLeg::Side leg);

/// IPv4 as such, also where it was written as IPv6.
Endpoint unmapped(const Endpoint& endpoint);

}  // namespace protocol
