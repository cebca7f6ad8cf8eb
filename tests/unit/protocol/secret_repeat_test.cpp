#include "protocol/secret_repeat.hpp"

#include <string>

#include "protocol/messages.hpp"
#include "support/catch.hpp"

using protocol::is_part_of_secret;
using protocol::repeats_secret;
using namespace std::string_literals;

namespace {

const std::string secret = "Sup3rS3cretPassw0rd!";

}  // namespace

TEST_CASE("a secret is known again as it is, and in each form that programs give it") {
    for (const char* const form :
         {"Sup3rS3cretPassw0rd!", "SUP3RS3CRETPASSW0RD!", "sup3rs3cretpassw0rd",
          "S-u-p-3-r-S-3-c-r-e-t-P-a-s-s-w-0-r-d-!", "S u p 3 r S 3 c", "Sup3rS3 cretPas", "!dr0wssaPterc3Sr3puS",
          "RC3SR3PUS", "S''up3rS3cret",
          // hex: plain, PostgreSQL's bytea, spaced, of C
          "53757033725333637265745061737377307264 21", "\\x5375703372533363", "53 75 70 33 72 53 33 63",
          "0x53, 0x75, 0x70, 0x33, 0x72, 0x53, 0x33, 0x63", "5375703372533363726574", "0053757033725333637200",
          // URLs
          "Sup3rS3cretPassw0rd%21", "%53%75%70%33%72%53%33%63%72", "S%75p%33rS%33cret",
          // base64: alone, without padding, in lines, of URLs, of "app:" and of "user:" before it
          "U3VwM3JTM2NyZXRQYXNzdzByZCE=", "U3VwM3JTM2NyZXRQYXNzdzByZCE", "U3VwM3JT\r\nM2NyZXRQ",
          "YXBwOlN1cDNyUzNjcmV0UGFzc3cwcmQh", "dXNlcjpTdXAzclMzY3JldFBhc3N3MHJkIQ=="}) {
        INFO(form);
        CHECK(repeats_secret("bind failed for "s + form, secret));
        CHECK(repeats_secret("password authentication failed for user \""s + form + "\"", secret));
    }
}

TEST_CASE("other words are no repetition") {
    for (const char* const text :
         {"", "password authentication failed for user \"app\"", "database \"orders\" does not exist",
          "This RDS proxy has no credentials for the role app. Check the credentials for this role and try again.",
          "no pg_hba.conf entry for host \"10.0.0.1\", user \"app\", database \"orders\", no encryption", "assw0rd"}) {
        INFO(text);
        CHECK_FALSE(repeats_secret(text, secret));
    }
}

TEST_CASE("what PostgreSQL's own sentences begin with is nobody's secret") {
    CHECK_FALSE(repeats_secret("password authentication failed for user \"app\"", "Password123!"));
    CHECK_FALSE(repeats_secret("password authentication failed for user \"app\"", "authentication"));
    CHECK(repeats_secret("password authentication failed for user \"password1\"", "Password123!"));
    CHECK(repeats_secret("no such password: PASSWORD", "Password123!"));
}

TEST_CASE("short secrets are looked for as a whole, and the shortest without separators between") {
    CHECK(repeats_secret("'pw'", "pw"));
    CHECK(repeats_secret("'PW'", "pw"));
    CHECK_FALSE(repeats_secret("p w", "pw"));
    CHECK_FALSE(repeats_secret("7077", "pw"));
    CHECK(repeats_secret("not a-b-C-1", "abc1"));
    CHECK(repeats_secret("not 61626331", "abc1"));
    CHECK(repeats_secret("not YWJjMQ==", "abc1"));
    CHECK(repeats_secret("not !!!!?", "!!!!?"));
    CHECK(repeats_secret("not 21212121 3F", "!!!!?"));
    CHECK_FALSE(repeats_secret("abc", "abc1"));
    CHECK_FALSE(repeats_secret("anything", ""));
}

TEST_CASE("secrets of no ASCII characters are known again") {
    CHECK(repeats_secret("not: \xc3\xa4-\xc3\xb6-\xc3\xbc", "\xc3\xa4\xc3\xb6\xc3\xbc"));
    CHECK(repeats_secret("not: %C3%A4%C3%B6%C3%BC", "\xc3\xa4\xc3\xb6\xc3\xbc"));
}

TEST_CASE("a short text may be a part of a secret") {
    CHECK(is_part_of_secret("SUP3R", secret));
    CHECK_FALSE(is_part_of_secret("28P01", secret));
    CHECK_FALSE(is_part_of_secret("28P01", ""));
}

TEST_CASE("a SQLSTATE is five digits or capital letters") {
    for (const char* const state : {"28P01", "00000", "XX000"}) CHECK(protocol::is_sqlstate(state));
    for (const char* const none : {"", "28P0", "28P011", "Sup3r", "28p01", "28 01"})
        CHECK_FALSE(protocol::is_sqlstate(none));
}
