#include "bench/replay/tls_offer.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace bench::replay {
namespace {

using protocol::Bytes;
using protocol::Reader;

constexpr std::size_t ssl_request_size = 8;
constexpr std::size_t record_header_size = 5;
constexpr std::uint8_t handshake_record = 22;
constexpr std::uint8_t client_hello = 1;
/// Clients send less than 4 KiB, with keys of hybrid groups too. It is read anew with each piece.
constexpr std::size_t max_hello = 32 * 1024;

constexpr std::uint16_t extension_groups = 10;
constexpr std::uint16_t extension_versions = 43;
constexpr std::uint16_t extension_key_share = 51;

struct Group {
    std::uint16_t number;
    const char* name;
};

/// IANA's "TLS Supported Groups", as OpenSSL calls them.
constexpr auto groups = std::to_array<Group>({{21, "P-224"},
                                              {22, "secp256k1"},
                                              {23, "P-256"},
                                              {24, "P-384"},
                                              {25, "P-521"},
                                              {26, "brainpoolP256r1"},
                                              {27, "brainpoolP384r1"},
                                              {28, "brainpoolP512r1"},
                                              {29, "X25519"},
                                              {30, "X448"},
                                              {31, "brainpoolP256r1tls13"},
                                              {32, "brainpoolP384r1tls13"},
                                              {33, "brainpoolP512r1tls13"},
                                              {256, "ffdhe2048"},
                                              {257, "ffdhe3072"},
                                              {258, "ffdhe4096"},
                                              {259, "ffdhe6144"},
                                              {260, "ffdhe8192"},
                                              {512, "MLKEM512"},
                                              {513, "MLKEM768"},
                                              {514, "MLKEM1024"},
                                              {4587, "SecP256r1MLKEM768"},
                                              {4588, "X25519MLKEM768"},
                                              {4589, "SecP384r1MLKEM1024"},
                                              {25497, "X25519Kyber768Draft00"}});

bool is_grease(std::uint16_t value) { return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff); }

/// Empty: it has none.
std::string name_of(std::uint16_t number) {
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.number == number; });
    return found == groups.end() ? std::string() : found->name;
}

std::string shown(std::uint16_t number) {
    if (is_grease(number)) return "GREASE";
    if (std::string name = name_of(number); !name.empty()) return name;
    char text[8];
    std::snprintf(text, sizeof text, "0x%04x", unsigned{number});
    return text;
}

std::vector<std::uint16_t> numbers(Bytes bytes) {
    Reader list(bytes);
    std::vector<std::uint16_t> out;
    while (list.rest().size() >= 2) out.push_back(list.u16());
    return out;
}

void read_extension(std::uint16_t type, Reader data, TlsOffer& offer) {
    if (type == extension_groups) offer.groups = numbers(data.take(data.u16()));
    if (type == extension_versions) {
        auto versions = numbers(data.take(data.u8()));
        std::erase_if(versions, is_grease);
        if (versions.empty()) return;
        const auto [least, most] = std::minmax_element(versions.begin(), versions.end());
        offer.lowest = *least;
        offer.highest = *most;
    }
    if (type != extension_key_share) return;
    Reader shares(data.take(data.u16()));
    while (shares.ok() && !shares.rest().empty()) {
        const std::uint16_t group = shares.u16();
        shares.take(shares.u16());
        if (shares.ok()) offer.key_shares.push_back(group);
    }
}

/// `hello`: behind its header.
std::optional<TlsOffer> read_hello(Reader hello) {
    TlsOffer offer;
    offer.highest = hello.u16();
    hello.take(32);           // random
    hello.take(hello.u8());   // session id
    hello.take(hello.u16());  // ciphers
    hello.take(hello.u8());   // compression methods
    if (!hello.ok()) return std::nullopt;
    if (hello.rest().empty()) return offer;
    Reader extensions(hello.take(hello.u16()));
    while (extensions.ok() && !extensions.rest().empty()) {
        const std::uint16_t type = extensions.u16();
        const Bytes data = extensions.take(extensions.u16());
        if (extensions.ok()) read_extension(type, Reader(data), offer);
    }
    if (!hello.ok() || !extensions.ok()) return std::nullopt;
    return offer;
}

void add_once(std::vector<std::string>& to, std::string text) {
    if (std::find(to.begin(), to.end(), text) == to.end()) to.push_back(std::move(text));
}

}  // namespace

bool HelloReader::take(Bytes bytes) {
    if (over_) return false;
    const std::size_t room = max_hello - bytes_.size();
    bytes_.insert(bytes_.end(), bytes.begin(),
                  bytes.begin() + static_cast<std::ptrdiff_t>(std::min(room, bytes.size())));
    over_ = read() || bytes_.size() == max_hello;
    if (over_) bytes_ = {};
    return !over_;
}

/// True: the hello is whole, or what is there is none.
bool HelloReader::read() {
    Bytes rest(bytes_);
    if (rest.empty()) return false;
    if (rest[0] == 0) {  // a length: SSLRequest
        if (rest.size() < ssl_request_size) return false;
        rest = rest.subspan(ssl_request_size);
    }
    std::vector<std::uint8_t> handshake;  // what the records carry
    bool ended = false;                   // by another record
    while (!rest.empty() && !ended) {
        ended = rest[0] != handshake_record;
        if (ended || rest.size() < record_header_size) break;
        Reader header(rest);
        header.take(3);  // type and version
        const std::size_t size = header.u16();
        const Bytes body = header.rest().first(std::min(size, header.rest().size()));
        handshake.insert(handshake.end(), body.begin(), body.end());
        rest = header.rest().subspan(body.size());
        if (body.size() < size) break;
    }
    if (!handshake.empty() && handshake[0] != client_hello) return true;
    Reader message{Bytes(handshake)};
    message.u8();
    const std::size_t high = message.u8();
    const std::size_t size = (high << 16) + message.u16();
    if (!message.ok() || message.rest().size() < size) return ended;
    offer_ = read_hello(Reader(message.take(size)));
    return true;
}

GroupsAgain groups_again(const TlsOffer& offer, const KnownGroups& known) {
    GroupsAgain out;
    std::vector<std::uint16_t> offered;
    for (const std::uint16_t group : offer.groups) {
        const std::string name = name_of(group);
        const bool has = !name.empty() && known.has && known.has(name);
        if (!has) {
            add_once(out.left_out, shown(group));
            continue;
        }
        const bool has_share =
            std::find(offer.key_shares.begin(), offer.key_shares.end(), group) != offer.key_shares.end();
        if (!out.list.empty()) out.list += ':';
        if (has_share && known.chooses_key_shares) out.list += '*';
        out.list += name;
        offered.push_back(group);
    }
    if (known.chooses_key_shares || offered.empty()) return out;
    const bool has_shares = !offer.key_shares.empty();  // else it is no hello of TLS 1.3
    bool first_has = false;
    for (const std::uint16_t share : offer.key_shares) {
        first_has = first_has || share == offered.front();
        const bool is_offered = std::find(offered.begin(), offered.end(), share) != offered.end();
        if (is_offered && share != offered.front()) add_once(out.left_out, "the key share of " + shown(share));
    }
    if (has_shares && !first_has) add_once(out.left_out, "no key share of " + shown(offered.front()));
    return out;
}

}  // namespace bench::replay
