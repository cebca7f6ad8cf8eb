#include "protocol/endpoint.hpp"

#include "support/catch.hpp"
#include "support/words.hpp"

namespace {

using namespace protocol;
using support::words;

std::string parsed(std::string_view text) {
    const auto endpoint = parse_endpoint(text);
    return endpoint ? words(address_bytes(*endpoint)) : "none";
}

}  // namespace

TEST_CASE("addresses are read from text") {
    CHECK(parsed("10.1.2.255") == "0a0102ff");
    CHECK(parsed("0.0.0.0") == "00000000");
    CHECK(parsed("::") == "00000000 00000000 00000000 00000000");
    CHECK(parsed("::1") == "00000000 00000000 00000000 00000001");
    CHECK(parsed("2001:db8::") == "20010db8 00000000 00000000 00000000");
    CHECK(parsed("2001:DB8:0:1::a:b") == "20010db8 00000001 00000000 000a000b");
    CHECK(parsed("1:2:3:4:5:6:7:8") == "00010002 00030004 00050006 00070008");
    CHECK(parsed("::ffff:10.0.0.1") == "00000000 00000000 0000ffff 0a000001");
    CHECK(parsed("64:ff9b::192.0.2.33") == "0064ff9b 00000000 00000000 c0000221");
    CHECK(parsed("1:2:3:4:5:6:7.8.9.10") == "00010002 00030004 00050006 0708090a");
    CHECK(parsed("fe80::1%eth0") == "fe800000 00000000 00000000 00000001");
}

TEST_CASE("what is no address is none") {
    for (const char* text : {"",
                             ".",
                             ":",
                             ":::",
                             "1.2.3",
                             "1.2.3.4.5",
                             "1.2.3.256",
                             "1.2.3.-4",
                             "1.2.3.+4",
                             "1.2.3. 4",
                             "01.2.3.4",
                             "1.2.3.4 ",
                             "1..2.3",
                             "0x1.2.3.4",
                             "localhost",
                             "/run/postgresql",
                             "[::1]",
                             "::1::",
                             "1:2:3:4:5:6:7",
                             "1:2:3:4:5:6:7:8:9",
                             "1::2:3:4:5:6:7:8",
                             "12345::",
                             "g::",
                             "::1.2.3",
                             "1.2.3.4::",
                             "::1.2.3.4:5",
                             "1:2:3:4:5:6:7:",
                             ":1:2:3:4:5:6:7",
                             "%eth0"}) {
        CAPTURE(text);
        CHECK(parsed(text) == "none");
    }
}

TEST_CASE("an endpoint without an address is on 127.0.0.1") {
    CHECK(endpoint("192.0.2.7", 4711) == Endpoint{.address = {192, 0, 2, 7}, .port = 4711});
    CHECK(endpoint("::1", 1).v6);
    for (const char* text : {"", "/run/postgresql/.s.PGSQL.5432", "db.example.com"})
        CHECK(endpoint(text, 5432) == Endpoint{.address = {127, 0, 0, 1}, .port = 5432});
}

TEST_CASE("an IPv4 endpoint has an IPv6 form, and an IPv6 one stays as it is") {
    const Endpoint mapped = as_v6(endpoint("192.0.2.7", 4711));
    CHECK(words(address_bytes(mapped)) == "00000000 00000000 0000ffff c0000207");
    CHECK(mapped.port == 4711);
    CHECK(mapped.v6);
    CHECK(as_v6(mapped) == mapped);
}

TEST_CASE("addresses are written as RFC 5952 wants them, and read again") {
    for (const char* text : {"10.1.2.255", "0.0.0.0", "::", "::1", "1::", "2001:db8::1", "2001:db8:0:1:1:1:1:1",
                             "2001:0:0:1::1", "2001:db8::1:0:0:1", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.7",
                             "fe80::abcd:ef01", "0:1:2:3:4:5:6:7", "1:2:3:4:5:6:7:0", "::2:3:4:5:6:7"}) {
        const auto endpoint = parse_endpoint(text);
        REQUIRE(endpoint);
        CHECK(address_text(*endpoint) == text);
    }
    CHECK(address_text(*parse_endpoint("2001:DB8:0:0:1:0:0:1")) == "2001:db8::1:0:0:1");
}
