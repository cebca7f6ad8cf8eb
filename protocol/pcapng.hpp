// Blocks of a pcapng file (draft-ietf-opsawg-pcapng), appended to a buffer. Little-endian, time in
// nanoseconds since 1970, packets that begin with their IP header (LINKTYPE_RAW). Texts are UTF-8,
// and end where the format's 16-bit lengths do.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocol/bytes.hpp"

namespace protocol::pcapng {

/// The first block of every file; interfaces are counted anew behind it. Empty texts are left out.
void append_section(Buffer& out, std::string_view application, std::string_view system, std::string_view comment = {});
/// Numbered in the order in which they are appended, from 0.
void append_interface(Buffer& out, std::string_view name, std::string_view description);

/// As seen from the interface: what its owner received, or sent.
enum class Direction : std::uint8_t { inbound = 1, outbound = 2 };

struct Process {
    std::uint32_t pid = 0;
    std::uint32_t thread = 0;
};

struct Packet {
    std::uint32_t interface = 0;
    std::uint64_t time = 0;         ///< ns since 1970
    Bytes bytes = {};               ///< from its IP header on
    std::size_t original_size = 0;  ///< 0: as many as there are
    Direction direction = Direction::inbound;
    std::optional<std::uint64_t> id = {};  ///< the same on two interfaces: the same bytes on both legs
    std::uint64_t dropped = 0;             ///< packets lost before this one, of this interface
    std::optional<Process> process = {};
    std::span<const std::string> comments = {};
};
void append_packet(Buffer& out, const Packet& packet);

/// `lines`: of a TLS key log, each ended by LF. Before the packets that need them.
void append_secrets(Buffer& out, std::string_view lines);

struct Name {
    std::string address;  ///< IPv4 or IPv6, in text
    std::string name;
};
/// What is no address, or has no name, is left out. An IPv4 address has its name also where it is
/// written as an IPv6 one.
void append_names(Buffer& out, std::span<const Name> names);

struct Field {
    std::string_view key;  ///< capital letters, digits and underscores
    std::string_view value;
};
/// An entry in the journal's export format: values with line feeds and bytes that are no text come
/// through whole. One key is __REALTIME_TIMESTAMP, in us since 1970: readers sort by it.
void append_journal_entry(Buffer& out, std::span<const Field> fields);

struct Statistics {
    std::uint32_t interface = 0;
    std::uint64_t time = 0;
    std::uint64_t received = 0;
    std::uint64_t dropped = 0;
};
void append_statistics(Buffer& out, const Statistics& statistics);

}  // namespace protocol::pcapng
