#include "proxy/record/audit_chain.hpp"

#include <vector>

#include "proxy/record/chain_check.hpp"
#include "support/catch.hpp"
#include "tls/certificates.hpp"

namespace {

using proxy::AuditChain;
using proxy::ChainCheck;
using proxy::parse_chained;
using Lines = std::vector<std::string>;

Lines chained(const Lines& texts, AuditChain chain = {}) {
    Lines out;
    chain.begin("no line");
    for (const std::string& text : texts) out.push_back(chain.link(text));
    return out;
}

/// What is said of each line; empty: nothing.
Lines findings(const Lines& lines) {
    ChainCheck check;
    Lines out;
    for (const std::string& line : lines) out.push_back(check.add(line).value_or(""));
    return out;
}

const Lines five = chained({R"({"n":1})", R"({"n":2})", R"({"n":3})", R"({"n":4})", R"({"n":5})"});

std::size_t breaks(const Lines& lines) {
    std::size_t count = 0;
    for (const std::string& finding : findings(lines)) count += !finding.empty();
    return count;
}

}  // namespace

TEST_CASE("audit chain: a value is SHA-256 of the one before and the line without it") {
    AuditChain chain;
    chain.begin("no line");
    const std::string first = chain.link(R"({"a":1})");
    const std::string unchained = R"({"a":1,"chain_begins":"no line"})";
    const std::string text = std::string(64, '0') + unchained;
    const std::string value = tls::sha256_hex(text.data(), text.size());
    CHECK(first == R"({"a":1,"chain_begins":"no line","chain":")" + value + "\"}");
    const std::string next = value + R"({"b":2})";
    CHECK(chain.link(R"({"b":2})") == R"({"b":2,"chain":")" + tls::sha256_hex(next.data(), next.size()) + "\"}");
}

TEST_CASE("audit chain: a line is taken apart, and what only looks like a chained one is none") {
    const auto first = parse_chained(five[0]);
    REQUIRE(first);
    CHECK(first->why == "no line");
    CHECK(first->unchained == R"({"n":1,"chain_begins":"no line"})");
    const auto second = parse_chained(five[1]);
    REQUIRE(second);
    CHECK(second->why.empty());
    CHECK(second->unchained == R"({"n":2})");
    CHECK(second->follows(first->value));
    CHECK_FALSE(second->follows(proxy::before_the_first()));
    const std::string value(64, 'a');
    CHECK(parse_chained(R"({"a":1,"chain":")" + value + "\"}"));
    for (const std::string& text :
         {std::string(), std::string("{}"), five[0].substr(1, 20), five[0] + " ", five[0].substr(0, five[0].size() - 1),
          R"({"a":1,"chain":")" + std::string(64, 'A') + "\"}", R"({"a":1,"chain":")" + value + "a\"}",
          R"({"a":",\"chain\":\")" + value + "\"}"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_chained(text));
    }
    // A client cannot begin a chain by its name.
    const std::string named = R"({"name":",\"chain_begins\":\"no line","chain":")" + value + "\"}";
    REQUIRE(parse_chained(named));
    CHECK(parse_chained(named)->why.empty());
}

TEST_CASE("audit chain: what was written is whole") {
    ChainCheck check;
    for (const std::string& line : five) CHECK_FALSE(check.add(line));
    CHECK(check.confirmed() == 5);
    CHECK(check.value() == parse_chained(five.back())->value);
}

TEST_CASE("audit chain: a changed, lost, doubled, moved or added line is found where it is") {
    Lines changed = five;
    changed[2][5] = '9';
    CHECK_FALSE(findings(changed)[2].empty());
    CHECK(breaks(changed) == 1);
    changed = five;
    changed[0][5] = '9';
    CHECK_FALSE(findings(changed)[0].empty());
    CHECK(breaks({five[0], five[1], five[3], five[4]}) == 1);
    CHECK_FALSE(findings({five[0], five[1], five[3]})[2].empty());
    CHECK(breaks({five[0], five[1], five[1], five[2]}) == 1);
    CHECK(breaks({five[0], five[2], five[1], five[3]}) == 3);
    CHECK(breaks({five[0], five[1], R"({"n":7})", R"({"n":8})", five[2]}) == 1);
    CHECK(breaks({five[0], "{\"n\":", five[1]}) == 1);
    CHECK(findings({five[0], "{\"n\":"})[1] == "is no whole line");
    CHECK(findings({five[0], "{}"})[1] == "carries no chain value");
}

TEST_CASE("audit chain: a chain that begins anew is a break that says why") {
    AuditChain chain;
    chain.begin("lost lines");
    const std::string anew = chain.link(R"({"n":6})");
    CHECK(findings({five[0], anew})[1].find("(lost lines)") != std::string::npos);
    CHECK(breaks({five[0], anew, chain.link(R"({"n":7})")}) == 1);
}

TEST_CASE("audit chain: what cannot be known is not called right") {
    ChainCheck later;  // its beginning is in a file that is gone
    CHECK_FALSE(later.add(five[3]));
    CHECK_FALSE(later.add(five[4]));
    CHECK(later.goes_on_from_elsewhere());
    CHECK(later.confirmed() == 1);

    ChainCheck switched_on;
    CHECK_FALSE(switched_on.add("{}"));
    CHECK_FALSE(switched_on.add("{}"));
    CHECK_FALSE(switched_on.add(five[0]));
    CHECK(switched_on.uncovered() == 2);
    CHECK(switched_on.confirmed() == 1);

    ChainCheck stripped;  // the values of its first lines were taken away
    CHECK_FALSE(stripped.add(R"({"n":1})"));
    CHECK(stripped.add(five[1]));
    CHECK(ChainCheck().value().empty());
}
