// What a server is called: one spelling for each name, and one definition of what is an address.
// Hosts, names to verify, names of certificates and names that clients ask for are compared in it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/endpoint.hpp"

namespace protocol {

/// A DNS name or an IP address.
class ServerName {
   public:
    /// nullopt: neither. A DNS name is letters of any case, digits, '-' and, as in practice, '_',
    /// in labels joined by dots; it may end in one. An address is IPv4, or IPv6 without brackets,
    /// with an optional zone (fe80::1%eth0). Something like 10.0.0.256 is neither.
    static std::optional<ServerName> parse(std::string_view text);

    bool is_address() const noexcept { return address_.has_value(); }
    /// "db.example.com": in lower case, without the root's dot. "fe80::1": as in RFC 5952, without
    /// the zone, which names an interface of this host and nothing of the server.
    const std::string& text() const noexcept { return text_; }
    /// 4 or 16 bytes; none of a DNS name.
    Bytes address() const noexcept { return address_ ? address_bytes(*address_) : Bytes(); }

    bool operator==(const ServerName& other) const noexcept { return text_ == other.text_; }

   private:
    ServerName(std::string text, std::optional<Endpoint> address) : text_(std::move(text)), address_(address) {}

    std::string text_;
    std::optional<Endpoint> address_;
};

/// Whether a certificate, or a client that sends it as SNI, calls a server so: "*.example.com" in
/// `pattern` stands for exactly one label (RFC 6125, 6.4.3).
bool names_match(std::string_view pattern, std::string_view name);

/// What DNS and certificates hold of a name in other letters (RFC 5890: the A-label):
/// "b\xc3\xbccher.example" is "xn--bcher-kva.example". nullopt: it is in plain letters already, is
/// not UTF-8, or is written with marks that would have to be composed first.
std::optional<std::string> in_a_labels(std::string_view name);

}  // namespace protocol
