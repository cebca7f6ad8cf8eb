#include "proxy/observation/front.hpp"

#include "protocol/utf8.hpp"

namespace proxy {
namespace {

constexpr std::size_t max_front_text = 255;

std::string text(const std::string& sent) { return protocol::as_utf8(sent, max_front_text); }

}  // namespace

std::string Front::tls_text() const {
    if (!tls) return {};
    std::string out = tls->version;
    if (!tls->cipher.empty()) out += " " + tls->cipher;
    if (tls->certificate) out += tls->verified ? " certificate verified" : " certificate not verified";
    if (!tls->common_name.empty()) out += " CN=" + tls->common_name;
    return out;
}

Front front_of(const protocol::ProxyHeader& header, std::string addr) {
    Front front{.addr = std::move(addr),
                .version = header.version,
                .local = header.local,
                .named_client = header.source.has_value(),
                .alpn = text(header.alpn),
                .authority = text(header.authority),
                .unique_id = protocol::as_distinct_utf8(header.unique_id),  // opaque, and must stay different
                .vpce_id = text(header.vpce_id),
                .azure_link_id = header.azure_link_id,
                .tls = header.tls};
    if (front.tls) {
        for (std::string* const one :
             {&front.tls->version, &front.tls->cipher, &front.tls->common_name, &front.tls->group})
            *one = text(*one);
    }
    return front;
}

std::size_t footprint(const Front& front) noexcept {
    std::size_t bytes = sizeof front;
    for (const std::string* one : {&front.addr, &front.alpn, &front.authority, &front.unique_id, &front.vpce_id})
        bytes += one->capacity();
    if (front.tls) {
        bytes += front.tls->version.capacity() + front.tls->cipher.capacity() + front.tls->common_name.capacity() +
                 front.tls->group.capacity();
    }
    return bytes;
}

}  // namespace proxy
