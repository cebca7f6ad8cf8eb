// One TCP connection as packets that nobody sent: what two peers said to each other, dressed so
// that Wireshark shows it as a conversation. Checksums are 0: readers take that for "not computed".
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "protocol/bytes.hpp"
#include "protocol/endpoint.hpp"

namespace protocol {

class TcpConversation {
   public:
    enum class Sender : std::uint8_t { client, server };
    /// Called for each packet, which begins with its IP header and is gone when it returns.
    using Sink = std::function<void(Sender, Bytes packet)>;

    /// Of different families: the IPv4 one is written as an IPv6 one (RFC 4291, 2.5.5.2).
    TcpConversation(const Endpoint& client, const Endpoint& server);

    /// SYN, SYN and ACK, ACK.
    void open(const Sink& sink);
    /// In as many packets as it takes (60,000 bytes each).
    void data(Sender from, Bytes bytes, const Sink& sink);
    /// Bytes that are not in the file: sequence numbers go on behind them, so that a reader sees
    /// that they are missing (by less than 2^31: TCP cannot tell more). What follows has to begin a
    /// message, or Wireshark finds no other one in this direction.
    void skip(Sender from, std::size_t size);
    /// FIN, which the other side answers with its own, or RST, which it does not.
    void close(Sender from, bool reset, const Sink& sink);

   private:
    struct Side {
        Endpoint endpoint;
        std::uint32_t next = 1;  // sequence number
    };
    void packet(Sender from, std::uint8_t flags, Bytes payload, const Sink& sink);

    std::array<Side, 2> sides_;
};

}  // namespace protocol
