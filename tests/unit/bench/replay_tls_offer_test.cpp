#include "bench/replay/openssl_groups.hpp"
#include "bench/replay/tls_offer.hpp"
#include "support/catch.hpp"

using namespace bench::replay;
using Groups = std::vector<std::uint16_t>;
using Texts = std::vector<std::string>;

namespace {

void u16(std::string& out, std::size_t value) {
    out += static_cast<char>(value >> 8);
    out += static_cast<char>(value & 0xff);
}

std::string with_length(const std::string& body) {
    std::string out;
    u16(out, body.size());
    return out + body;
}

std::string list(const Groups& numbers) {
    std::string out;
    for (const std::uint16_t number : numbers) u16(out, number);
    return out;
}

std::string extension(std::uint16_t type, const std::string& body) {
    std::string out;
    u16(out, type);
    return out + with_length(body);
}

std::string hello(const TlsOffer& offer) {
    std::string shares;
    for (const std::uint16_t group : offer.key_shares) {
        u16(shares, group);
        shares += with_length("key");
    }
    std::string versions = list({0x3a3a, offer.highest, offer.lowest});
    versions.insert(versions.begin(), static_cast<char>(versions.size()));
    const std::string extensions = extension(0, "") + extension(10, with_length(list(offer.groups))) +
                                   extension(43, versions) + extension(51, with_length(shares));
    std::string body;
    u16(body, 0x0303);
    body +=
        std::string(32, 'r') + '\0' + with_length(list({0x1301})) + std::string("\1\0", 2) + with_length(extensions);
    std::string out("\1\0", 2);
    return out + with_length(body);
}

std::string record(const std::string& body, char type = 22) { return std::string{type, 3, 1} + with_length(body); }

std::optional<TlsOffer> offer_in(const std::string& said, std::size_t piece) {
    HelloReader reader;
    for (std::size_t at = 0; at < said.size(); at += piece)
        if (!reader.take(protocol::as_bytes(std::string_view(said).substr(at, piece)))) break;
    return reader.offer();
}

const std::string ssl_request("\0\0\0\x08\x04\xd2\x16\x2f", 8);

KnownGroups known(const Texts& names, bool chooses = false) {
    return {.has = [=](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); },
            .chooses_key_shares = chooses};
}

}  // namespace

TEST_CASE(
    "the groups and key shares of a ClientHello are read from records of any size, behind an SSLRequest or none") {
    const TlsOffer offer{
        .lowest = 0x0303, .highest = 0x0304, .groups = {0x2a2a, 4588, 29, 23}, .key_shares = {0x2a2a, 4588, 29}};
    const std::string message = hello(offer);
    const std::string two = record(message.substr(0, 50)) + record(message.substr(50));
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{60'000}}) {
        for (const std::string& said :
             {ssl_request + record(message), record(message), ssl_request + two, two + record("x", 21)})
            CHECK(offer_in(said, piece) == std::optional<TlsOffer>(offer));
    }
}

TEST_CASE("what is no ClientHello, or half of one, offers nothing") {
    const std::string whole = record(hello({.lowest = 0x0303, .highest = 0x0304, .groups = {29}, .key_shares = {29}}));
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_FALSE(offer_in(whole.substr(0, size), 1000).has_value());
    CHECK_FALSE(offer_in(record("x", 21), 1).has_value());
    CHECK_FALSE(offer_in(record(std::string("\2\0\0\0", 4)), 1).has_value());
    CHECK_FALSE(offer_in(std::string(200'000, '\x16'), 5000).has_value());
    std::string broken = hello({.lowest = 0x0303, .highest = 0x0304, .groups = {29}, .key_shares = {29}});
    broken[4 + 2 + 32] = '\x7f';  // the session id would be longer than the message
    CHECK_FALSE(offer_in(record(broken), 1000).has_value());
}

TEST_CASE("groups that OpenSSL has are offered in their order, and the others are told") {
    const TlsOffer offer{.lowest = 0x0303,
                         .highest = 0x0304,
                         .groups = {0x2a2a, 4588, 29, 23, 0x7777},
                         .key_shares = {0x2a2a, 4588, 29}};
    const GroupsAgain old = groups_again(offer, known({"X25519", "P-256"}));
    CHECK(old.list == "X25519:P-256");
    CHECK(old.left_out == Texts{"GREASE", "X25519MLKEM768", "0x7777"});
    const GroupsAgain recent = groups_again(offer, known({"X25519", "P-256", "X25519MLKEM768"}, true));
    CHECK(recent.list == "*X25519MLKEM768:*X25519:P-256");
    CHECK(recent.left_out == Texts{"GREASE", "0x7777"});
    const GroupsAgain none = groups_again(offer, known({}));
    CHECK(none.list.empty());
}

TEST_CASE("a key share that an older OpenSSL would send otherwise is told") {
    const auto left_out = [](Groups groups, Groups shares) {
        return groups_again(
                   {.lowest = 0, .highest = 0x0304, .groups = std::move(groups), .key_shares = std::move(shares)},
                   known({"X25519", "P-256", "P-384"}))
            .left_out;
    };
    CHECK(left_out({29, 23}, {29}).empty());
    CHECK(left_out({29, 23}, {}).empty());  // TLS 1.2 has none
    CHECK(left_out({29, 23}, {29, 23}) == Texts{"the key share of P-256"});
    CHECK(left_out({29, 23}, {23}) == Texts{"the key share of P-256", "no key share of X25519"});
}

TEST_CASE("this program's OpenSSL is asked for the groups that it has") {
    CHECK(openssl_groups().has("P-256"));
    CHECK(openssl_groups().has("X25519"));
    CHECK_FALSE(openssl_groups().has("X25519Kyber768Draft00"));
}
