// CRC-32C (Castagnoli; RFC 3720, B.4): the checksum of a PROXY protocol header. It finds mistakes,
// and proves nothing against whoever makes them on purpose.
#pragma once

#include <cstdint>

#include "protocol/bytes.hpp"

namespace protocol {

/// Of several stretches one after the other: `before` is what the last one gave.
std::uint32_t crc32c(Bytes bytes, std::uint32_t before = 0) noexcept;

}  // namespace protocol
