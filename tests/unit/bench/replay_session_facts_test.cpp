#include "bench/replay/session_facts.hpp"
#include "support/catch.hpp"

using namespace bench::replay;

TEST_CASE("a session's comment is read, quoted values too") {
    SessionFacts facts;
    CHECK(take_comment(facts,
                       R"(session=a-1 user="o \"b" database=shop ssl=true version=TLSv1.3 sslmode=a..b joined=true)"));
    CHECK(facts.session == "a-1");
    CHECK(facts.user == "o \"b");
    CHECK(facts.database == "shop");
    CHECK(facts.ssl == std::optional<bool>(true));
    CHECK(facts.version == "TLSv1.3");
    CHECK(facts.joined);
    CHECK_FALSE(take_comment(facts, "framing lost: the rest of this direction is blanked"));
}

TEST_CASE("audit events say what a comment does not") {
    const auto event = facts_of({.fields = {{"MESSAGE", R"({"event":"connected","session":"a","negotiation":"direct",)"
                                                        R"("sni":"db","alpn":null,"backend_pid":7,"ssl":true})"}}});
    REQUIRE(event.has_value());
    SessionFacts facts;
    merge(facts, *event);
    CHECK(facts.negotiation == "direct");
    CHECK(facts.sni == std::optional<std::string>("db"));
    CHECK(facts.alpn == std::optional<std::string>(""));
    CHECK(facts.backend_pid == 7);
    CHECK(facts.failed.empty());
    CHECK_FALSE(facts_of({.fields = {{"MESSAGE", R"({"event":"reloaded"})"}}}).has_value());
    CHECK_FALSE(facts_of({.fields = {{"MESSAGE", "{broken"}}}).has_value());
    CHECK(facts_of({.fields = {{"MESSAGE", R"({"event":"tls_failed","session":"a"})"}}})->failed == "tls_failed");
}

TEST_CASE("of TLS that failed an event says who ended it, and whether a certificate was shown") {
    const auto event = facts_of(
        {.fields = {{"MESSAGE", R"x({"event":"tls_failed","session":"a","alert":48,"certificate_shown":"/c.crt",)x"
                                R"x("error":"alert unknown_ca (48)","reason":"tls_abandoned"})x"}}});
    REQUIRE(event.has_value());
    SessionFacts facts;
    merge(facts, *event);
    CHECK(facts.reason == "tls_abandoned");
    CHECK(facts.error == "alert unknown_ca (48)");
    CHECK(facts.alert);
    CHECK(facts.certificate_shown);
    const auto none = facts_of({.fields = {{"MESSAGE", R"x({"event":"tls_failed","session":"a","alert":null,)x"
                                                       R"x("certificate_shown":null})x"}}});
    CHECK_FALSE(none->alert);
    CHECK_FALSE(none->certificate_shown);
}
