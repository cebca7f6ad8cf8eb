#include "protocol/server_name.hpp"

#include "support/catch.hpp"
#include "support/words.hpp"

namespace {

using protocol::ServerName;
using support::words;

std::string spelled(std::string_view text) {
    const auto name = ServerName::parse(text);
    return name ? (name->is_address() ? "address " : "name ") + name->text() : "neither";
}

std::string a_labels(std::string_view text) { return protocol::in_a_labels(text).value_or("none"); }

}  // namespace

TEST_CASE("a DNS name has one spelling: lower case, and no dot at its end") {
    CHECK(spelled("db.example.com") == "name db.example.com");
    CHECK(spelled("DB.Example.COM.") == "name db.example.com");
    CHECK(spelled("localhost") == "name localhost");
    CHECK(spelled("orders_db") == "name orders_db");
    CHECK(spelled("xn--bcher-kva.example") == "name xn--bcher-kva.example");
    CHECK(spelled(std::string(63, 'a') + ".b") == "name " + std::string(63, 'a') + ".b");
}

TEST_CASE("an address has one spelling, and its zone is not part of it") {
    CHECK(spelled("10.0.0.1") == "address 10.0.0.1");
    CHECK(spelled("::1") == "address ::1");
    CHECK(spelled("0:0:0:0:0:0:0:1") == "address ::1");
    CHECK(spelled("FE80::1%eth0") == "address fe80::1");
    CHECK(spelled("fe80::1%eth0.100") == "address fe80::1");
    CHECK(spelled("::ffff:10.0.0.1") == "address ::ffff:10.0.0.1");
    CHECK(words(ServerName::parse("fe80::1%lo")->address()) == "fe800000 00000000 00000000 00000001");
    CHECK(words(ServerName::parse("10.1.2.255")->address()) == "0a0102ff");
    CHECK(ServerName::parse("db.example.com")->address().empty());
}

TEST_CASE("what is neither a name nor an address is neither") {
    for (const std::string& text : {std::string(),
                                    std::string("."),
                                    std::string(".."),
                                    std::string("a..b"),
                                    std::string("a.."),
                                    std::string(".a"),
                                    std::string("-a"),
                                    std::string("a-"),
                                    std::string("a b"),
                                    std::string("10.0.0.256"),
                                    std::string("10.0.0.1."),
                                    std::string("10.0.0"),
                                    std::string("a.7"),
                                    std::string("7"),
                                    std::string("*.example.com"),
                                    std::string("[::1]"),
                                    std::string("::1%"),
                                    std::string("::1%e th0"),
                                    std::string("::1%abcdefghijklmnop"),
                                    std::string("10.0.0.1%eth0"),
                                    std::string("b\xc3\xbc"),
                                    std::string("a\0b", 3),
                                    std::string(64, 'a'),
                                    std::string("/run/postgresql")}) {
        CAPTURE(text);
        CHECK(spelled(text) == "neither");
    }
    std::string longest(253, 'a');
    for (const std::size_t dot : {63, 127, 191}) longest[dot] = '.';
    CHECK(spelled(longest) == "name " + longest);
    CHECK(spelled(longest + ".") == "name " + longest);
    CHECK(spelled(longest + "a") == "neither");
}

TEST_CASE("names are compared without case and without the root's dot; a star is one whole label") {
    using protocol::names_match;
    CHECK(names_match("db.example.com", "DB.example.com."));
    CHECK(names_match("db.example.com.", "db.example.com"));
    CHECK_FALSE(names_match("db.example.com", "db.example.org"));
    CHECK(names_match("*.example.com", "db.Example.com."));
    CHECK(names_match("*.Example.com.", "db.example.com"));
    CHECK_FALSE(names_match("*.example.com", "a.db.example.com"));
    CHECK_FALSE(names_match("*.example.com", "example.com"));
    CHECK_FALSE(names_match("*.example.com", ".example.com"));
    CHECK_FALSE(names_match("db.example.com", "db.example.com.."));
    CHECK_FALSE(names_match("", "a"));
}

TEST_CASE("a name in other letters is told as what DNS has for it") {
    CHECK(a_labels("b\xc3\xbc"
                   "cher.example") == "xn--bcher-kva.example");
    CHECK(a_labels("B\xc3\x9c"
                   "CHER.Example.") == "xn--bcher-kva.example");
    CHECK(a_labels("m\xc3\xbcnchen") == "xn--mnchen-3ya");
    CHECK(a_labels("stra\xc3\x9f"
                   "e.de") == "xn--strae-oqa.de");
    // RFC 3492, 7.1: (B) Chinese, simplified; (L) Japanese.
    CHECK(a_labels("\xe4\xbb\x96\xe4\xbb\xac\xe4\xb8\xba\xe4\xbb\x80\xe4\xb9\x88\xe4\xb8\x8d\xe8\xaf\xb4"
                   "\xe4\xb8\xad\xe6\x96\x87") == "xn--ihqwcrb4cv8a8dqg056pqjye");
    CHECK(a_labels("3\xe5\xb9\xb4"
                   "B\xe7\xb5\x84\xe9\x87\x91\xe5\x85\xab\xe5\x85\x88\xe7\x94\x9f") == "xn--3b-ww4c5e180e575a65lsy2b");
    CHECK(a_labels("\xd0\x9f\xd0\xa0\xd0\x98\xd0\x9c\xd0\x95\xd0\xa0.\xd1\x80\xd1\x84") == "xn--e1afmkfd.xn--p1ai");
    CHECK(a_labels("\xce\xa0\xce\xb1\xcf\x81\xce\xac.gr") == "xn--hxaj8bf.gr");
    CHECK(a_labels("\xc5\x81\xc3\xb3\xc5\xbb.pl") == "xn--kda1nng.pl");
}

TEST_CASE("of a name that cannot be told so, nothing is told") {
    CHECK(a_labels("plain.example") == "none");
    CHECK(a_labels("") == "none");
    CHECK(a_labels("b\xfc"
                   "cher") == "none");
    CHECK(a_labels("bu\xcc\x88"
                   "cher") == "none");          // a mark by itself
    CHECK(a_labels("\xef\xac\x81") == "none");  // a ligature
    CHECK(a_labels("\xc3\xbc b") == "none");
    std::string endless;
    for (int i = 0; i < 300; ++i) endless += "\xc3\xbc";
    CHECK(a_labels(endless) == "none");
}
