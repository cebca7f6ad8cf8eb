// What a TLS ClientHello tells about its sender: name asked for, protocols offered, fingerprint
// (RFC 8446, 4.1.2).
//
// Read from the message itself and not through the TLS library, which forgets extensions that it
// does not know.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocol/bytes.hpp"

namespace protocol {

/// RFC 1035, 2.3.4. The extension may be 256 times as long.
inline constexpr std::size_t max_server_name = 255;

/// GREASE values (RFC 8701) are left out of every list.
struct ClientHello {
    std::uint16_t version = 0;  ///< the highest offered: supported_versions when present, else the legacy field
    std::string sni;            ///< empty: none sent; cut to max_server_name, and control characters replaced by '?'
    std::string alpn_letters = "00";  ///< JA4's two characters for the first ALPN name, taken from it as it was sent
    std::vector<std::uint16_t> ciphers;
    std::vector<std::uint16_t> extensions;
    std::vector<std::uint16_t> signature_algorithms;
};

/// `message` is the handshake message with its four-byte header. nullopt: malformed (the TLS
/// library will refuse it as well).
std::optional<ClientHello> parse_client_hello(Bytes message);

/// The JA4 fingerprint (FoxIO, "JA4: TLS client fingerprinting"): the same driver on the same TLS
/// library gives the same text. `sha256_hex` is passed in because this layer has no cryptography.
std::string ja4(const ClientHello& hello, std::string (*sha256_hex)(std::string_view));

}  // namespace protocol
