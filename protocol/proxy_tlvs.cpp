// What a PROXY protocol header of version 2 says beyond addresses: type, length and value, one
// after the other, some of them within another one.
#include <algorithm>
#include <array>
#include <bitset>

#include "protocol/crc32c.hpp"
#include "protocol/proxy_header.hpp"

namespace protocol {
namespace {

/// HAProxy, "The PROXY protocol", 2.2.
enum Type : std::uint8_t {
    type_alpn = 0x01,
    type_authority = 0x02,
    type_crc32c = 0x03,
    type_noop = 0x04,
    type_unique_id = 0x05,
    type_ssl = 0x20,
    type_ssl_version = 0x21,
    type_ssl_common_name = 0x22,
    type_ssl_cipher = 0x23,
    type_ssl_group = 0x26,
    type_netns = 0x30,
    type_aws = 0xea,    // Elastic Load Balancing, "Proxy protocol"
    type_azure = 0xee,  // Azure Private Link, "Getting connection information using TCP Proxy v2"
};
/// Of the first byte of PP2_TYPE_SSL.
constexpr std::uint8_t client_ssl = 1, client_certificate = 2, session_certificate = 4;
/// The first byte of AWS's and of Azure's value.
constexpr std::uint8_t aws_vpce_id = 1, azure_link_id = 1;

constexpr std::size_t most_unique_id = 128;  // by the specification
constexpr std::size_t most_text = 255;       // a server name, a protocol's name: beyond it they are cut
constexpr std::size_t crc_size = 4;

std::string cut(Bytes value) { return std::string(as_text(value.first(std::min(value.size(), most_text)))); }

/// Types that are free for anybody's use: several may mean several things.
constexpr std::uint8_t first_custom = 0xe0;

/// Calls `take` with type and value of each. False: they do not end where `bytes` end, one of those
/// that may stand only once is there again, or `take` says so.
template <class Take>
bool each_tlv(Bytes bytes, Take take) {
    std::bitset<256> seen;
    Reader rest(bytes);
    while (!rest.rest().empty()) {
        const std::uint8_t type = rest.u8();
        const Bytes value = rest.take(rest.u16());
        if (!rest.ok()) return false;
        if (type != type_noop && type < first_custom && seen.test(type)) return false;
        seen.set(type);
        if (!take(type, value)) return false;
    }
    return true;
}

bool take_ssl(Bytes value, ProxyHeader& header) {
    Reader rest(value);
    const std::uint8_t client = rest.u8();
    const std::uint32_t verify = rest.u32();
    if (!rest.ok()) return false;
    ProxyTls tls;
    tls.used = (client & client_ssl) != 0;
    tls.certificate = tls.used && (client & (client_certificate | session_certificate)) != 0;
    tls.verified = tls.certificate && verify == 0;
    const bool is_whole = each_tlv(rest.rest(), [&](std::uint8_t type, Bytes text) {
        if (type == type_ssl_version) tls.version = cut(text);
        if (type == type_ssl_cipher) tls.cipher = cut(text);
        if (type == type_ssl_common_name) tls.common_name = cut(text);
        if (type == type_ssl_group) tls.group = cut(text);
        return true;
    });
    if (is_whole) header.tls = std::move(tls);
    return is_whole;
}

/// A text of other characters, or of an absurd length, is no id of AWS's. False: a second one.
bool take_aws(Bytes value, ProxyHeader& header) {
    if (value.size() < 2 || value[0] != aws_vpce_id || value.size() > most_text) return true;
    if (!header.vpce_id.empty()) return false;
    const Bytes id = value.subspan(1);
    const bool is_plain = std::all_of(id.begin(), id.end(), [](std::uint8_t c) { return c > 0x20 && c < 0x7f; });
    if (is_plain) header.vpce_id = std::string(as_text(id));
    return true;
}

/// The only number that is not in network byte order.
bool take_azure(Bytes value, ProxyHeader& header) {
    if (value.size() != 5 || value[0] != azure_link_id) return true;
    if (header.azure_link_id) return false;
    header.azure_link_id = std::uint32_t{value[1]} | std::uint32_t{value[2]} << 8 | std::uint32_t{value[3]} << 16 |
                           std::uint32_t{value[4]} << 24;
    return true;
}

/// The checksum is that of the header with zeros in its place.
bool matches(Bytes whole, Bytes checksum) {
    if (checksum.size() != crc_size) return false;
    const auto at = static_cast<std::size_t>(checksum.data() - whole.data());
    constexpr std::array<std::uint8_t, crc_size> zeros{};
    std::uint32_t sum = crc32c(whole.first(at));
    sum = crc32c(zeros, sum);
    sum = crc32c(whole.subspan(at + crc_size), sum);
    return Reader(checksum).u32() == sum;
}

}  // namespace

bool take_proxy_tlvs(Bytes whole, std::size_t begin, ProxyHeader& header) {
    return each_tlv(whole.subspan(begin), [&](std::uint8_t type, Bytes value) {
        switch (type) {
            case type_alpn: header.alpn = cut(value); break;
            case type_authority: header.authority = cut(value); break;
            case type_crc32c: return matches(whole, value);
            case type_unique_id:
                if (value.size() > most_unique_id) return false;
                header.unique_id = std::string(as_text(value));
                break;
            case type_ssl: return take_ssl(value, header);
            case type_netns: header.network_namespace = cut(value); break;
            case type_aws: return take_aws(value, header);
            case type_azure: return take_azure(value, header);
            default: break;  // also nothing (type_noop), and what somebody made up for himself
        }
        return true;
    });
}

}  // namespace protocol
