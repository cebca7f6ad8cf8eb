#include "protocol/utf8.hpp"

#include <map>
#include <vector>

#include "support/catch.hpp"

using protocol::as_distinct_utf8;
using protocol::as_utf8;
using protocol::printable;
using protocol::printable_json;

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

TEST_CASE("what is printable can neither move a terminal's cursor nor turn its text round") {
    CHECK(printable("plain \xc3\xa4") == "plain \xc3\xa4");
    CHECK(printable("a\x1b[31mb\nc\x7f") ==
          "a\xef\xbf\xbd[31mb\xef\xbf\xbd"
          "c\xef\xbf\xbd");
    CHECK(printable("\xc2\x9b"
                    "31m") ==
          "\xef\xbf\xbd"
          "31m");  // CSI as one character
    CHECK(printable("a\xe2\x80\xae"
                    "b") ==
          "a\xef\xbf\xbd"
          "b");  // RIGHT-TO-LEFT OVERRIDE
    CHECK(printable("a\xe2\x81\xa6"
                    "b") ==
          "a\xef\xbf\xbd"
          "b");  // LEFT-TO-RIGHT ISOLATE
    CHECK(printable("\xff") == "\xef\xbf\xbd");
    CHECK(printable("\xd8\x9c") == "\xef\xbf\xbd");  // ARABIC LETTER MARK
    CHECK(printable("\xf0\x9f\x90\x98 \xe2\x80\xa6") == "\xf0\x9f\x90\x98 \xe2\x80\xa6");
}

TEST_CASE("JSON loses what a terminal obeys, but none of its meaning") {
    CHECK(printable_json("{\"a\":\"\\u001b\"}") == "{\"a\":\"\\u001b\"}");
    CHECK(printable_json("\"\xc3\xa9\xc2\x9b\xe2\x80\xae\x7f\xf0\x9f\x90\x98\"") ==
          "\"\xc3\xa9\\u009b\\u202e\\u007f\xf0\x9f\x90\x98\"");
    CHECK(printable_json("[1,\n2]") == "[1,\n2]");
}

TEST_CASE("different bytes are different names as UTF-8") {
    CHECK(as_distinct_utf8("caf\xc3\xa9 \\ \\x \\xg0 \\xFF") == "caf\xc3\xa9 \\ \\x \\xg0 \\xFF");
    CHECK(as_distinct_utf8("J\xfcrgen") == "J\\xfcrgen");
    CHECK(as_distinct_utf8("\xff") == "\\xff");
    CHECK(as_distinct_utf8("\\xff") == "\\x5cxff");  // whose name is that
    CHECK(as_distinct_utf8("\\x5cxff") == "\\x5cx5cxff");
    CHECK(as_distinct_utf8("\xef\xbf\xbd") == "\xef\xbf\xbd");
    CHECK(as_distinct_utf8("\\\xff") == "\\\\xff");

    const std::string alphabet = "\\x5cf\xff\xc3\xa9";
    std::map<std::string, std::string> seen;
    std::vector<std::string> names{""};
    for (std::size_t i = 0; i < names.size() && names[i].size() < 5; ++i) {
        for (const char c : alphabet) names.push_back(names[i] + c);
    }
    for (const std::string& name : names) {
        const auto [entry, is_new] = seen.emplace(as_distinct_utf8(name), name);
        REQUIRE(is_new);
        REQUIRE(as_utf8(entry->first) == entry->first);
    }
}
