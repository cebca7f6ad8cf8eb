#include "protocol/foreign.hpp"

#include <algorithm>
#include <array>

namespace protocol {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t least_bytes = 4;

/// RFC 9110, 9; RFC 5789; and HTTP/2's preface (RFC 9113, 3.4).
constexpr std::array http_beginnings{"GET "sv,     "HEAD "sv,    "POST "sv,  "PUT "sv,   "DELETE "sv,
                                     "CONNECT "sv, "OPTIONS "sv, "TRACE "sv, "PATCH "sv, "PRI * HTTP/2"sv};
/// RFC 4253, 4.2.
constexpr auto ssh_beginning = "SSH-"sv;
/// HAProxy, "The PROXY protocol", 2.1 and 2.2.
constexpr auto proxy_v1_beginning = "PROXY "sv;
constexpr auto proxy_v2_beginning = "\r\n\r\n\0\r\nQUIT\n"sv;

/// As far as it has come.
bool begins_with(std::string_view first, std::string_view beginning) noexcept {
    return beginning.starts_with(first.substr(0, beginning.size()));
}

/// An X.224 connection request in a TPKT (MS-RDPBCGR, 2.2.1.1; RFC 1006, 6): version 3, 0, length;
/// the length of what follows, which for this request is all but the five bytes up to there; 0xE0.
bool is_rdp(Bytes first) noexcept {
    constexpr std::size_t least = 11;
    const std::size_t length = std::size_t{first[2]} << 8 | first[3];
    if (first[0] != 3 || first[1] != 0 || length < least) return false;
    if (first.size() > 4 && first[4] + std::size_t{5} != length) return false;
    return first.size() <= 5 || first[5] == 0xe0;
}

/// HandshakeResponse41 or SSLRequest of MySQL: length in three bytes, the lowest first; sequence
/// number 1; the client's capabilities, of which every client of this century has
/// CLIENT_PROTOCOL_41. Its clients wait for a greeting first, so it takes one that does not, or
/// somebody between who plays back what a client once said.
bool is_mysql(Bytes first) noexcept {
    constexpr std::size_t least = 32;
    constexpr unsigned client_protocol_41 = 0x0200;
    if (first.size() < 6 || first[2] != 0 || first[3] != 1) return false;
    const unsigned length = first[0] | unsigned{first[1]} << 8;
    const unsigned capabilities = first[4] | unsigned{first[5]} << 8;
    return length >= least && (capabilities & client_protocol_41) != 0;
}

}  // namespace

std::optional<Foreign> foreign_protocol(Bytes first) noexcept {
    if (first.size() < least_bytes) return std::nullopt;
    const std::string_view text = as_text(first);
    const auto begins = [text](std::string_view beginning) { return begins_with(text, beginning); };
    if (std::any_of(http_beginnings.begin(), http_beginnings.end(), begins)) return Foreign::http;
    if (begins(ssh_beginning)) return Foreign::ssh;
    if (begins(proxy_v1_beginning) || begins(proxy_v2_beginning)) return Foreign::proxy_protocol;
    if (is_rdp(first)) return Foreign::rdp;
    if (is_mysql(first)) return Foreign::mysql;
    return std::nullopt;
}

std::string_view label(Foreign foreign) noexcept {
    switch (foreign) {
        case Foreign::http: return "http";
        case Foreign::ssh: return "ssh";
        case Foreign::proxy_protocol: return "proxy_protocol";
        case Foreign::rdp: return "rdp";
        case Foreign::mysql: return "mysql";
    }
    return "";
}

std::string_view hint(Foreign foreign) noexcept {
    switch (foreign) {
        case Foreign::http: return "this looks like HTTP: is a health check pointed at the PostgreSQL port?";
        case Foreign::ssh: return "this looks like SSH: is its client pointed at the PostgreSQL port?";
        case Foreign::proxy_protocol:
            return "this looks like a PROXY protocol header: does a load balancer in front send one? Set "
                   "proxy_protocol = \"require\" and trusted_proxies, or turn it off there";
        case Foreign::rdp: return "this looks like RDP: is a scanner about?";
        case Foreign::mysql: return "this looks like a MySQL client: is it meant for another port?";
    }
    return "";
}

}  // namespace protocol
