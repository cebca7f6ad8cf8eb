// Reads pcapng files, also while they grow: bytes in pieces of any size become blocks as values.
// Either byte order, any number of sections. What we never write (simple packets, custom blocks) is
// skipped and counted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/pcapng.hpp"

namespace protocol::pcapng {

/// Of a block, in bytes. Ours are 1,000 times smaller.
inline constexpr std::size_t max_block = 64 * 1024 * 1024;
/// Of a section. Ours has two for each listener.
inline constexpr std::size_t max_interfaces = 65'536;

/// Interfaces are counted anew behind it.
struct SectionBlock {
    std::string application;
    std::string system;
    std::vector<std::string> comments;
};

struct InterfaceBlock {
    std::uint32_t number = 0;     ///< in its section
    std::uint16_t link_type = 0;  ///< 101, link_type_raw: its packets begin with their IP header
    std::string name;
    std::string description;
};

struct PacketBlock {
    std::uint32_t interface = 0;  ///< of this section, and described before
    std::uint64_t time = 0;       ///< ns since 1970
    std::vector<std::uint8_t> bytes;
    std::size_t original_size = 0;  ///< more than there are bytes when the capture cut it
    std::optional<Direction> direction;
    std::optional<std::uint64_t> id;
    std::uint64_t dropped = 0;  ///< packets lost before this one, of this interface
    std::optional<Process> process;
    std::vector<std::string> comments;
};

/// That there are some; they are not kept.
struct SecretsBlock {
    std::uint32_t type = 0;  ///< tls_key_log
    std::size_t size = 0;    ///< bytes
};

struct NamesBlock {
    std::vector<Name> names;
};

struct JournalBlock {
    std::vector<std::pair<std::string, std::string>> fields;  ///< in their order

    /// Of the first field of that name; empty without one.
    std::string_view value(std::string_view key) const;
};

using Block =
    std::variant<SectionBlock, InterfaceBlock, PacketBlock, SecretsBlock, NamesBlock, JournalBlock, Statistics>;

/// How an interface counts time (if_tsresol, if_tsoffset).
struct Clock {
    std::uint8_t resolution = 6;  ///< a tick is 10^-n s, or 2^-n with the highest bit set
    std::int64_t offset = 0;      ///< s
};

class Cursor;
enum class BlockType : std::uint32_t;

class BlockReader {
   public:
    /// The next block that ends in `bytes`, whose front is taken off as far as it was looked at.
    /// nullopt: all of it was. Feed it again with what follows in the file.
    std::optional<Block> next(Bytes& bytes);

    /// Why nothing can be read any more, and the offset in the file of the block where that is so.
    /// Empty: nothing is wrong.
    const std::string& error() const noexcept { return error_; }
    /// Bytes of a block that has not ended: a file that ends here was cut.
    std::size_t pending() const noexcept { return partial_.size(); }
    /// Blocks that were not understood.
    std::uint64_t skipped() const noexcept { return skipped_; }

   private:
    std::optional<Bytes> whole_block(Bytes& bytes);
    std::size_t block_size(Bytes front);
    std::optional<Block> parse(Bytes block);
    std::optional<Block> parse_body(BlockType type, Cursor& body);
    std::uint64_t in_nanoseconds(std::uint64_t ticks, std::uint32_t interface);
    void fail(const std::string& why);

    std::vector<std::uint8_t> partial_;
    std::vector<Clock> interfaces_;  // of this section
    std::uint64_t offset_ = 0;       // in the file, of the block that comes next
    std::uint64_t skipped_ = 0;
    bool in_section_ = false;
    bool big_endian_ = false;
    std::string error_;
};

}  // namespace protocol::pcapng
