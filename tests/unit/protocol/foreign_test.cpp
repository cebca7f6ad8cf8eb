// First bytes as other programs send them, taken byte by byte: each beginning is named from its
// fourth byte on, where four bytes can tell.
#include "protocol/foreign.hpp"

#include <set>
#include <string>

#include "protocol/startup.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::string_literals;
using protocol::Buffer;
using protocol::Foreign;
using protocol::foreign_protocol;

std::optional<Foreign> named(const std::string& bytes) {
    return foreign_protocol({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

/// From how many bytes on it is taken for `foreign`, and for nothing before.
std::size_t named_from(const std::string& bytes, Foreign foreign) {
    std::size_t first = bytes.size() + 1;
    for (std::size_t size = bytes.size(); size > 0 && named(bytes.substr(0, size)) == foreign; --size) first = size;
    for (std::size_t size = 0; size < first && size <= bytes.size(); ++size) CHECK_FALSE(named(bytes.substr(0, size)));
    return first;
}

const std::string proxy_v2 = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\x0a\0\0\x02\xc3\x50\x15\x38"s;
// mstsc: TPKT, X.224 connection request, RDP negotiation request.
const std::string rdp = "\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x0b\0\0\0"s;
// Nmap's probe of terminal servers: without a negotiation request.
const std::string rdp_probe = "\x03\0\0\x0b\x06\xe0\0\0\0\0\0"s;
// mysql 8 with TLS: the first packet after the greeting is an SSLRequest.
const std::string mysql_ssl = "\x20\0\0\x01\x05\xae\xff\x19\0\0\0\x01\xff\0\0\0"s;
const std::string mysql_login = "\xb2\0\0\x01\x85\xa2\xbf\x01\0\0\0\x01\x2d\0\0\0"s;

}  // namespace

TEST_CASE("another protocol is named from its fourth byte on") {
    CHECK(named_from("GET / HTTP/1.1\r\nHost: db\r\n\r\n", Foreign::http) == 4);
    CHECK(named_from("HEAD / HTTP/1.0\r\n\r\n", Foreign::http) == 4);
    CHECK(named_from("POST /x HTTP/1.1\r\n", Foreign::http) == 4);
    CHECK(named_from("PUT /x HTTP/1.1\r\n", Foreign::http) == 4);
    CHECK(named_from("DELETE /x HTTP/1.1\r\n", Foreign::http) == 4);
    CHECK(named_from("CONNECT db:5432 HTTP/1.1\r\n", Foreign::http) == 4);
    CHECK(named_from("OPTIONS / HTTP/1.0\r\n\r\n", Foreign::http) == 4);
    CHECK(named_from("TRACE / HTTP/1.1\r\n", Foreign::http) == 4);
    CHECK(named_from("PATCH /x HTTP/1.1\r\n", Foreign::http) == 4);
    CHECK(named_from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Foreign::http) == 4);
    CHECK(named_from("SSH-2.0-OpenSSH_9.2p1\r\n", Foreign::ssh) == 4);
    CHECK(named_from("PROXY TCP4 10.0.0.1 10.0.0.2 50000 5432\r\n", Foreign::proxy_protocol) == 4);
    CHECK(named_from("PROXY UNKNOWN\r\n", Foreign::proxy_protocol) == 4);
    CHECK(named_from(proxy_v2, Foreign::proxy_protocol) == 4);
    CHECK(named_from(rdp, Foreign::rdp) == 4);
    CHECK(named_from(rdp_probe, Foreign::rdp) == 4);
}

TEST_CASE("a MySQL client is named once its capabilities are there") {
    CHECK(named_from(mysql_ssl, Foreign::mysql) == 6);
    CHECK(named_from(mysql_login, Foreign::mysql) == 6);
}

TEST_CASE("one byte that differs is enough to name nothing") {
    const auto changed = [](std::string bytes, std::size_t at) {
        bytes[at] = static_cast<char>(bytes[at] ^ 0x80);
        return named(bytes);
    };
    for (std::size_t at = 0; at < 4; ++at) {
        CAPTURE(at);
        CHECK_FALSE(changed("GET / HTTP/1.1\r\n", at));
        CHECK_FALSE(changed("SSH-2.0-x\r\n", at));
        CHECK_FALSE(changed("PROXY TCP4 ", at));
        CHECK_FALSE(changed(rdp, at));
    }
    for (std::size_t at = 0; at < protocol::foreign_size; ++at) CHECK_FALSE(changed(proxy_v2, at));
    CHECK_FALSE(changed("PROXY TCP4 ", 5));
    CHECK_FALSE(changed(rdp, 4));
    CHECK_FALSE(changed(rdp, 5));
    CHECK_FALSE(changed(mysql_ssl, 2));
    CHECK_FALSE(changed(mysql_ssl, 3));
}

TEST_CASE("lengths that those protocols do not have name nothing") {
    CHECK_FALSE(named("\x03\0\0\x0a\x05\xe0\0\0\0\0"s));
    CHECK_FALSE(named("\x1f\0\0\x01\x05\xae\xff\x19"s));
    CHECK_FALSE(named("\x20\0\0\x01\x05\0\xff\x19"s));  // of before MySQL 4.1
}

TEST_CASE("what is garbage, or PostgreSQL's own, is named nothing") {
    CHECK_FALSE(named(""));
    CHECK_FALSE(named("GET"));
    CHECK_FALSE(named("GETS"));
    CHECK_FALSE(named("get / HTTP/1.1"));
    CHECK_FALSE(named("\xff\xff\xff\xff\xff\xff\xff\xff"));
    CHECK_FALSE(named("X\0\0\0\x04"s));  // Terminate
    CHECK_FALSE(foreign_protocol(protocol::serialize(protocol::SSLRequest{})));
    CHECK_FALSE(foreign_protocol(protocol::serialize(protocol::CancelRequest{.pid = 1, .key = {1, 2, 3, 4}})));
    CHECK_FALSE(foreign_protocol(protocol::serialize(
        protocol::StartupMessage{.version = 3 << 16, .parameters = {{"user", "ada"}, {"database", "orders"}}})));
}

TEST_CASE("every foreign protocol has a label of its own and a hint that asks for the cause") {
    std::set<std::string_view> labels;
    for (const Foreign foreign : {Foreign::http, Foreign::ssh, Foreign::proxy_protocol, Foreign::rdp, Foreign::mysql}) {
        CHECK(labels.insert(label(foreign)).second);
        CHECK(hint(foreign).starts_with("this looks like "));
        CHECK(hint(foreign).find('?') != std::string_view::npos);
    }
}
