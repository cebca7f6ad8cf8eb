#include "protocol/capture_comment.hpp"

#include "support/catch.hpp"

using namespace protocol;

TEST_CASE("comments are taken apart, and false ones harm nobody") {
    const auto values = parse_comment(R"(session=s-1 user="a \"b\" \\ c" empty= none sslmode=allow..require)");
    CHECK(values.at("user") == R"(a "b" \ c)");
    CHECK(values.at("empty").empty());
    CHECK_FALSE(values.contains("none"));
    CHECK(values.at("sslmode") == "allow..require");
    for (const char* broken : {"", "=", "a=\"", "a=\"\\", "\"", "session=", "session=\"x"})
        CHECK(parse_comment(broken).size() <= 1);
    CHECK(parse_comment("a=" + std::string(10'000, 'x')).at("a").size() == 512);
}

TEST_CASE("a first packet's comment says what its conversation is") {
    const auto said = parse_conversation_comment(
        "session=s-1 user=u ssl=true version=TLSv1.3 sslmode=allow..require leg=server to=10.0.0.2:5432 "
        "content=tls-records a word joined=true");
    REQUIRE(said.has_value());
    CHECK((said->session == "s-1" && said->user == "u" && said->version == "TLSv1.3"));
    CHECK((said->ssl == std::optional(true) && said->records && said->joined && !said->prewarmed));
    CHECK(parse_conversation_comment("session=s-1 leg=server prewarmed=true")->prewarmed);
    CHECK((said->sslmode_min == "allow" && said->sslmode_max == "require" && said->upstream_addr == "10.0.0.2:5432"));
    CHECK(parse_conversation_comment("session=s-1 leg=client to=10.0.0.2:5432")->upstream_addr.empty());
    CHECK_FALSE(parse_conversation_comment("session=s-1")->ssl.has_value());
    CHECK_FALSE(parse_conversation_comment("alert unknown_ca (48)").has_value());
}

TEST_CASE("a section says what its capture holds") {
    CHECK(payload_of("capture 1 by uid 0; payload=full") == "full");
    CHECK(payload_of("capture 1 by uid 0; payload=redacted; failures only") == "redacted");
    CHECK(payload_of("capture 1 by uid 0; payload=redacted; sessions of user=x payload=full") == "redacted");
    CHECK(filter_of("capture 1 by uid 0; payload=full; failures only; sessions of user=a listener=b") ==
          "user=a listener=b");
    CHECK(filter_of("capture 1 by uid 0; payload=full").empty());
    CHECK(payload_of("something else").empty());
}
