// What a capture's file holds, for tests: throws unless it is made of whole blocks.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "protocol/pcapng_reader.hpp"
#include "protocol/tcp_packet.hpp"
#include "support/folder.hpp"

namespace support {

inline std::vector<protocol::pcapng::Block> blocks_of(const std::string& bytes) {
    protocol::pcapng::BlockReader reader;
    std::vector<protocol::pcapng::Block> all;
    protocol::Bytes rest = protocol::as_bytes(bytes);
    while (auto block = reader.next(rest)) all.push_back(std::move(*block));
    if (!reader.error().empty()) throw std::runtime_error(reader.error());
    if (reader.pending() > 0) throw std::runtime_error("half a block at its end");
    return all;
}

template <class Block>
std::vector<Block> only(const std::vector<protocol::pcapng::Block>& blocks) {
    std::vector<Block> found;
    for (const auto& block : blocks) {
        if (const auto* one = std::get_if<Block>(&block)) found.push_back(*one);
    }
    return found;
}

/// What its packets carry, in their order.
inline std::string payloads(const std::vector<protocol::pcapng::PacketBlock>& packets) {
    std::string text;
    for (const auto& packet : packets) {
        const auto tcp = protocol::decode_tcp_packet(packet.bytes);
        if (!tcp) throw std::runtime_error("no TCP");
        text += protocol::as_text(tcp->payload);
    }
    return text;
}

}  // namespace support
