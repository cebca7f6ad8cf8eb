// The numbers of the pcapng format that its writer and its reader have in common
// (draft-ietf-opsawg-pcapng, draft-richardson-opsawg-pcapng-extras).
#pragma once

#include <cstdint>

namespace protocol::pcapng {

enum class BlockType : std::uint32_t {
    interface = 1,
    names = 4,
    statistics = 5,
    packet = 6,
    journal = 9,
    secrets = 10,
    section = 0x0a0d0d0a,  // the same in either byte order
};

inline constexpr std::uint32_t byte_order_magic = 0x1a2b3c4d;
inline constexpr std::uint16_t link_type_raw = 101;       // packets begin with an IP header
inline constexpr std::uint32_t tls_key_log = 0x544c534b;  // "TLSK"

/// A code means something else in every block, but for comment.
namespace option {
inline constexpr std::uint16_t end = 0;
inline constexpr std::uint16_t comment = 1;
inline constexpr std::uint16_t system = 3;
inline constexpr std::uint16_t application = 4;
inline constexpr std::uint16_t interface_name = 2;
inline constexpr std::uint16_t interface_description = 3;
inline constexpr std::uint16_t time_resolution = 9;
inline constexpr std::uint16_t time_offset = 14;
inline constexpr std::uint16_t flags = 2;
inline constexpr std::uint16_t dropped = 4;
inline constexpr std::uint16_t packet_id = 5;
inline constexpr std::uint16_t process = 8;
inline constexpr std::uint16_t statistics_received = 4;
inline constexpr std::uint16_t statistics_dropped = 5;
}  // namespace option

namespace name_record {
inline constexpr std::uint16_t end = 0;
inline constexpr std::uint16_t v4 = 1;
inline constexpr std::uint16_t v6 = 2;
}  // namespace name_record

}  // namespace protocol::pcapng
