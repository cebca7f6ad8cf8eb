// An IP address and a port, from text and to text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/bytes.hpp"

namespace protocol {

/// An IP address and a port.
struct Endpoint {
    std::array<std::uint8_t, 16> address{};  ///< IPv4 in the first four
    bool v6 = false;
    std::uint16_t port = 0;

    bool operator==(const Endpoint&) const = default;
};

/// `address`: in text; what is no address (a UNIX-domain socket's path, nothing) is 127.0.0.1.
Endpoint endpoint(const std::string& address, std::uint16_t port);

/// nullopt: `address` is none. An IPv6 address's zone ("%eth0") is left out.
std::optional<Endpoint> parse_endpoint(std::string_view address, std::uint16_t port = 0);

/// IPv4 as IPv6 (RFC 4291, 2.5.5.2); what is IPv6 stays as it is.
Endpoint as_v6(const Endpoint& endpoint);

/// The bytes of its address: 4 or 16. They are the endpoint's own.
inline Bytes address_bytes(const Endpoint& endpoint) noexcept {
    return Bytes(endpoint.address).first(endpoint.v6 ? 16 : 4);
}

/// Its address in text, IPv6 as in RFC 5952.
std::string address_text(const Endpoint& endpoint);

}  // namespace protocol
