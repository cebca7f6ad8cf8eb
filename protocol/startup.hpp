// The packets that open a connection: no type byte, only a length and a code (PostgreSQL docs,
// "Message Formats").
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/fault.hpp"

namespace protocol {

inline constexpr std::uint32_t cancel_request_code = 80877102;
inline constexpr std::uint32_t ssl_request_code = 80877103;
inline constexpr std::uint32_t gssenc_request_code = 80877104;

/// What is read first: a length that no packet may have is refused by it alone, as PostgreSQL does.
inline constexpr std::size_t opening_length_size = 4;
/// Length and code: what every opening packet begins with.
inline constexpr std::size_t opening_header_size = 8;
/// MAX_STARTUP_PACKET_LENGTH of PostgreSQL (src/include/libpq/pqcomm.h); does not count the length
/// field there, nor here.
inline constexpr std::size_t max_startup_packet = 10'000;
/// Protocol 3.2 allows keys of 4 to 256 bytes (PostgreSQL docs, "BackendKeyData").
inline constexpr std::size_t min_cancel_key = 4;
inline constexpr std::size_t max_cancel_key = 256;

struct SSLRequest {};
struct GSSENCRequest {};

struct CancelRequest {
    std::uint32_t pid = 0;
    Buffer key;
};

struct StartupMessage {
    std::uint32_t version = 0;  ///< major << 16 | minor
    std::vector<std::pair<std::string, std::string>> parameters;

    /// "" when the client did not send it.
    std::string_view find(std::string_view name) const noexcept;
    /// As PostgreSQL does: the user's name when the client named no database.
    std::string_view database() const noexcept;
    /// A connection for physical replication, which has no database, whatever it names.
    bool is_physical_replication() const;
    /// It may decide by itself whether its session can write: nothing follows from that for others
    /// of its user and database. True of `options` and of every parameter that is not known better.
    bool may_choose_read_only() const;
};

using OpeningPacket = std::variant<StartupMessage, CancelRequest, SSLRequest, GSSENCRequest, Fault>;

/// The number of bytes of the whole packet, from its first four; nullopt when no packet may have
/// that length.
std::optional<std::size_t> opening_packet_size(Bytes begin) noexcept;

/// `packet` is one whole packet, its length field included.
OpeningPacket parse_opening(Bytes packet);

Buffer serialize(const SSLRequest&);
Buffer serialize(const CancelRequest&);
Buffer serialize(const StartupMessage&);

/// "3.2".
std::string version_text(std::uint32_t version);

}  // namespace protocol
