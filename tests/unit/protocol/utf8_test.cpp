#include "protocol/utf8.hpp"

#include "support/catch.hpp"

using protocol::as_utf8;

TEST_CASE("UTF-8 stays what it is", "[utf8]") {
    for (const std::string text : {"", "a", "order-entry 7", "Bj\xc3\xb8rn", "\xc3\xb8", "\xe2\x82\xac 5",
                                   "a\xf0\x9f\x94\x92z", "\xf4\x8f\xbf\xbf"}) {
        CAPTURE(text);
        CHECK(as_utf8(text) == text);
    }
    CHECK(as_utf8(std::string_view("a\0b", 3)) == std::string("a\0b", 3));
}

TEST_CASE("what is no UTF-8 becomes U+FFFD, byte by byte", "[utf8]") {
    const std::string bad = "\xef\xbf\xbd";
    CHECK(as_utf8("caf\xe9") == "caf" + bad);  // Latin-1
    CHECK(as_utf8("\xe9t\xe9") == bad + "t" + bad);
    CHECK(as_utf8("a\x80z") == "a" + bad + "z");  // a continuation of nothing
    CHECK(as_utf8("\xe2\x82") == bad + bad);      // cut
    CHECK(as_utf8("\xc0\xaf") == bad + bad);      // overlong
    CHECK(as_utf8("\xe0\x80\xaf") == bad + bad + bad);
    CHECK(as_utf8("\xed\xa0\x80") == bad + bad + bad);            // a surrogate
    CHECK(as_utf8("\xf4\x90\x80\x80") == bad + bad + bad + bad);  // beyond U+10FFFF
    CHECK(as_utf8("\xff") == bad);
}

TEST_CASE("a limit of bytes never cuts a character", "[utf8]") {
    CHECK(as_utf8("abc", 0).empty());
    CHECK(as_utf8("abc", 2) == "ab");
    CHECK(as_utf8("abc", 3) == "abc");
    CHECK(as_utf8("ab\xc3\xb8", 3) == "ab");
    CHECK(as_utf8("ab\xc3\xb8", 4) == "ab\xc3\xb8");
    CHECK(as_utf8("ab\xc3\xb8z", 4) == "ab\xc3\xb8");
    CHECK(as_utf8("ab\xffz", 4) == "ab");
    CHECK(as_utf8("abc\xc3\xb8", 2) == "ab");
    CHECK(as_utf8("\xc3\xb8z", 1).empty());  // what follows is not taken in its place
}
