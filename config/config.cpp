#include "config/config.hpp"

#include <arpa/inet.h>

#include <algorithm>

#include "config/keys.hpp"

namespace config {

std::string to_string(const Diagnostic& diagnostic) {
    const Origin& origin = diagnostic.origin;
    std::string text;
    if (origin.file != "command line") text = origin.file;
    if (!text.empty() && origin.line > 0) text += ":" + std::to_string(origin.line);
    if (!text.empty() && origin.column > 0) text += ":" + std::to_string(origin.column);
    for (const std::string& part : {origin.key, diagnostic.message}) {
        if (!text.empty() && !part.empty()) text += ": ";
        text += part;
    }
    return text;
}

std::string to_string(const Address& address) {
    if (address.kind == Address::Kind::unix_socket) return "unix:" + address.host;
    const bool is_ipv6 = address.host.find(':') != std::string::npos;
    return (is_ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

std::string to_string(const Cidr& range) {
    constexpr int mapped_bits = 96;
    constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const bool is_v4 =
        range.prefix_length >= mapped_bits && std::equal(mapped.begin(), mapped.end(), range.bytes.begin());
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? &range.bytes[mapped.size()] : range.bytes.data(), text.data(),
              text.size());
    return std::string{text.data()} + "/" + std::to_string(range.prefix_length - (is_v4 ? mapped_bits : 0));
}

std::string_view to_string(ClientTlsMode mode) noexcept {
    return names<ClientTlsMode>()[static_cast<std::size_t>(mode)];
}

std::string_view to_string(TlsVersion version) noexcept {
    return names<TlsVersion>()[static_cast<std::size_t>(version)];
}

bool Cidr::contains(const std::array<std::uint8_t, 16>& address) const noexcept {
    const auto whole_bytes = static_cast<std::size_t>(prefix_length / 8);
    if (!std::equal(bytes.begin(), bytes.begin() + whole_bytes, address.begin())) return false;
    const int remaining_bits = prefix_length % 8;
    if (remaining_bits == 0) return true;
    const int mask = 0xff << (8 - remaining_bits);
    return ((bytes[whole_bytes] ^ address[whole_bytes]) & mask & 0xff) == 0;
}

const Upstream* Config::find_upstream(std::string_view name) const noexcept {
    const auto found =
        std::find_if(upstreams.begin(), upstreams.end(), [&](const Upstream& u) { return u.name == name; });
    return found == upstreams.end() ? nullptr : &*found;
}

}  // namespace config
