// The first bytes of clients that speak another protocol: a load balancer that sends a PROXY header
// in front of every connection, a health check in HTTP, a scanner. To PostgreSQL each of them is a
// packet of an invalid length; whoever has to find the cause is better served by its name.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/bytes.hpp"

namespace protocol {

enum class Foreign : std::uint8_t {
    http,
    ssh,
    proxy_protocol,
    rdp,
    mysql,
};

/// How many bytes foreign_protocol() looks at.
inline constexpr std::size_t foreign_size = 12;

/// `first`: what has come so far of a packet whose length no packet of PostgreSQL may have; of that
/// it takes no notice. A guess, for people: nothing may depend on it. nullopt also for fewer than
/// four bytes.
std::optional<Foreign> foreign_protocol(Bytes first) noexcept;

/// Short and stable: the audit's `looks_like`.
std::string_view label(Foreign foreign) noexcept;
/// For people: what it looks like, and a question about the likely cause.
std::string_view hint(Foreign foreign) noexcept;

}  // namespace protocol
