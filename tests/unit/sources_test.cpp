#include "proxy/sources.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Sources;

const Sources::Time start = Sources::Time() + 1h;
const Sources::Identity ada{.address = "10.0.0.1", .usename = "ada", .datname = "shop", .application_name = "psql"};

}  // namespace

TEST_CASE("nothing has been refused from an address that was never seen") {
    const Sources sources;
    CHECK_FALSE(sources.tls_was_refused("10.0.0.1", start));
    CHECK_FALSE(sources.login_was_refused_over_tls(ada, start));
    CHECK_FALSE(sources.clear_was_refused(ada, start));
}

TEST_CASE("refused TLS is remembered for an address, for five seconds") {
    Sources sources;
    sources.tls_refused("10.0.0.1", start);
    CHECK(sources.tls_was_refused("10.0.0.1", start));
    CHECK(sources.tls_was_refused("10.0.0.1", start + 5s));
    CHECK_FALSE(sources.tls_was_refused("10.0.0.1", start + 5001ms));
    CHECK_FALSE(sources.tls_was_refused("10.0.0.2", start));
}

TEST_CASE("a refused login is remembered for its identity, for two seconds") {
    Sources sources;
    sources.login_refused_over_tls(ada, start);
    CHECK(sources.login_was_refused_over_tls(ada, start + 2s));
    CHECK_FALSE(sources.login_was_refused_over_tls(ada, start + 2001ms));
    CHECK_FALSE(sources.clear_was_refused(ada, start));
    CHECK_FALSE(sources.tls_was_refused(ada.address, start));
}

TEST_CASE("every part of an identity counts") {
    Sources sources;
    sources.clear_refused(ada, start);
    CHECK(sources.clear_was_refused(ada, start));
    for (std::string Sources::Identity::*part : {&Sources::Identity::address, &Sources::Identity::usename,
                                                 &Sources::Identity::datname, &Sources::Identity::application_name}) {
        Sources::Identity other = ada;
        other.*part = "other";
        CHECK_FALSE(sources.clear_was_refused(other, start));
    }
}

TEST_CASE("the last refusal counts") {
    Sources sources;
    sources.tls_refused("a", start);
    sources.tls_refused("a", start + 4s);
    CHECK(sources.tls_was_refused("a", start + 8s));
}

TEST_CASE("in a flood of refusals any address may have been refused, until it is over") {
    Sources sources;
    for (int i = 0; i < 10'000; ++i) sources.tls_refused("client " + std::to_string(i), start);
    CHECK_FALSE(sources.tls_was_refused("unnoted", start));
    sources.tls_refused("one more", start + 1s);
    CHECK(sources.tls_was_refused("one more", start + 1s));
    CHECK(sources.tls_was_refused("unnoted", start + 1s));
    CHECK_FALSE(sources.tls_was_refused("unnoted", start + 7s));
    SECTION("what is old makes room") {
        sources.tls_refused("later", start + 10s);
        CHECK(sources.tls_was_refused("later", start + 10s));
        CHECK_FALSE(sources.tls_was_refused("unnoted", start + 10s));
    }
}

TEST_CASE("an address that is noted already counts anew even when there is no room for another") {
    Sources sources;
    for (int i = 0; i < 10'000; ++i) sources.tls_refused("client " + std::to_string(i), start);
    sources.tls_refused("client 5", start + 4s);
    CHECK(sources.tls_was_refused("client 5", start + 8s));
}

TEST_CASE("a flood of identities claims nothing for the others") {
    Sources sources;
    Sources::Identity other = ada;
    for (int i = 0; i <= 10'000; ++i) {
        other.usename = std::to_string(i);
        sources.login_refused_over_tls(other, start);
        sources.clear_refused(other, start);
    }
    CHECK_FALSE(sources.login_was_refused_over_tls(ada, start));
    CHECK_FALSE(sources.clear_was_refused(ada, start));
    CHECK_FALSE(sources.login_was_refused_over_tls(other, start));  // the one that found no room
}
