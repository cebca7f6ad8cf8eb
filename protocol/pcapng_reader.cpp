#include "protocol/pcapng_reader.hpp"

#include <algorithm>

#include "protocol/pcapng_blocks.hpp"
#include "protocol/pcapng_format.hpp"

namespace protocol::pcapng {

namespace {

constexpr std::size_t smallest_block = 12;  // its type, and its length twice

}  // namespace

std::optional<Block> BlockReader::next(Bytes& bytes) {
    while (const auto block = whole_block(bytes)) {
        auto parsed = parse(*block);
        offset_ += block->size();
        partial_.clear();
        if (!error_.empty()) break;
        if (parsed) return parsed;
        ++skipped_;
    }
    if (!error_.empty()) bytes = {};
    return std::nullopt;
}

/// It is in `bytes`, or in partial_ when it came in several pieces.
std::optional<Bytes> BlockReader::whole_block(Bytes& bytes) {
    while (error_.empty()) {
        const Bytes front = partial_.empty() ? bytes : Bytes(partial_);
        const std::size_t size = block_size(front);
        if (!error_.empty()) break;
        if (front.size() >= size) {
            if (partial_.empty()) bytes = bytes.subspan(size);
            return front.first(size);
        }
        if (bytes.empty()) break;
        const Bytes taken = bytes.first(std::min(bytes.size(), size - partial_.size()));
        partial_.insert(partial_.end(), taken.begin(), taken.end());
        bytes = bytes.subspan(taken.size());
    }
    return std::nullopt;
}

/// How many bytes are needed at least to say more: in the end the whole block.
std::size_t BlockReader::block_size(Bytes front) {
    if (front.size() < smallest_block) return smallest_block;
    const bool section = Cursor(front, false).u32() == static_cast<std::uint32_t>(BlockType::section);
    if (section) {
        big_endian_ = Cursor(front.subspan(8), true).u32() == byte_order_magic;
        if (!big_endian_ && Cursor(front.subspan(8), false).u32() != byte_order_magic) {
            fail("a section of no byte order");
            return 0;
        }
        in_section_ = true;
        interfaces_.clear();
    }
    if (!in_section_) {
        fail("this is no pcapng file");
        return 0;
    }
    const std::size_t size = Cursor(front.subspan(4), big_endian_).u32();
    if (size < smallest_block || size % 4 != 0 || size > max_block)
        fail("a block of " + std::to_string(size) + " bytes");
    return size;
}

std::optional<Block> BlockReader::parse(Bytes block) {
    const auto type = static_cast<BlockType>(Cursor(block, big_endian_).u32());
    const auto length_at = [&](std::size_t at) { return Cursor(block.subspan(at), big_endian_).u32(); };
    if (length_at(4) != length_at(block.size() - 4)) fail("a block whose two lengths differ");
    if (type == BlockType::section && Cursor(block.subspan(12), big_endian_).u16() != 1)
        fail("a section of an unknown version");
    if (!error_.empty()) return std::nullopt;

    Cursor body(block.subspan(8, block.size() - smallest_block), big_endian_);
    auto parsed = parse_body(type, body);
    if (!body.ok()) fail("a block that is shorter than what it holds");
    return parsed;
}

std::optional<Block> BlockReader::parse_body(BlockType type, Cursor& body) {
    switch (type) {
        case BlockType::section: return read_section(body);
        case BlockType::interface: {
            if (interfaces_.size() == max_interfaces) fail("too many interfaces");
            auto interface = read_interface(body, interfaces_.emplace_back());
            interface.number = static_cast<std::uint32_t>(interfaces_.size() - 1);
            return interface;
        }
        case BlockType::packet: {
            auto packet = read_packet(body);
            packet.time = in_nanoseconds(packet.time, packet.interface);
            return packet;
        }
        case BlockType::secrets: return read_secrets(body);
        case BlockType::names: return read_names(body);
        case BlockType::journal: return read_journal(body);
        case BlockType::statistics: {
            auto statistics = read_statistics(body);
            statistics.time = in_nanoseconds(statistics.time, statistics.interface);
            return statistics;
        }
    }
    return std::nullopt;
}

std::uint64_t BlockReader::in_nanoseconds(std::uint64_t ticks, std::uint32_t interface) {
    if (interface >= interfaces_.size()) {
        fail("interface " + std::to_string(interface) + ", which is not described");
        return 0;
    }
    return nanoseconds(ticks, interfaces_[interface]);
}

void BlockReader::fail(const std::string& why) {
    if (error_.empty()) error_ = "at byte " + std::to_string(offset_) + ": " + why;
}

}  // namespace protocol::pcapng
