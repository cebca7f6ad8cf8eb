#include "proxy/observation/sources.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Sources;

const Sources::Time start = Sources::Time() + 1h;
const Sources::Identity ada{
    .listener = "legacy", .address = "10.0.0.1", .usename = "ada", .datname = "shop", .application_name = "psql"};

void refuse(Sources& sources, const std::string& address, Sources::Time now) {
    sources.tls_began(address);
    sources.tls_ended(address, true, now);
}

}  // namespace

TEST_CASE("while TLS is open its fate is unknown, and may be a refusal") {
    Sources sources;
    sources.tls_began("10.0.0.1");
    sources.tls_began("10.0.0.1");
    CHECK(sources.tls_was_refused("10.0.0.1", start));
    CHECK_FALSE(sources.tls_was_refused("10.0.0.2", start));
    sources.tls_ended("10.0.0.1", false, start);
    CHECK(sources.tls_was_refused("10.0.0.1", start));
    sources.tls_ended("10.0.0.1", false, start);
    CHECK_FALSE(sources.tls_was_refused("10.0.0.1", start));
}

TEST_CASE("nothing has been refused from an address that was never seen") {
    const Sources sources;
    CHECK_FALSE(sources.tls_was_refused("10.0.0.1", start));
    CHECK_FALSE(sources.login_was_refused_over_tls(ada, start));
    CHECK_FALSE(sources.clear_was_refused(ada, start));
}

TEST_CASE("refused TLS is remembered for an address, for five seconds") {
    Sources sources;
    refuse(sources, "10.0.0.1", start);
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
    for (std::string Sources::Identity::*part :
         {&Sources::Identity::listener, &Sources::Identity::address, &Sources::Identity::usename,
          &Sources::Identity::datname, &Sources::Identity::application_name}) {
        Sources::Identity other = ada;
        other.*part = "other";
        CHECK_FALSE(sources.clear_was_refused(other, start));
    }
}

TEST_CASE("the last refusal counts") {
    Sources sources;
    refuse(sources, "a", start);
    refuse(sources, "a", start + 4s);
    CHECK(sources.tls_was_refused("a", start + 8s));
}

TEST_CASE("in a flood of refusals any address may have been refused, until it is over") {
    Sources sources;
    for (int i = 0; i < 10'000; ++i) refuse(sources, "client " + std::to_string(i), start);
    CHECK_FALSE(sources.tls_was_refused("unnoted", start));
    refuse(sources, "one more", start + 1s);
    CHECK(sources.tls_was_refused("one more", start + 1s));
    CHECK(sources.tls_was_refused("unnoted", start + 1s));
    CHECK_FALSE(sources.tls_was_refused("unnoted", start + 7s));
    SECTION("what is old makes room") {
        refuse(sources, "later", start + 10s);
        CHECK(sources.tls_was_refused("later", start + 10s));
        CHECK_FALSE(sources.tls_was_refused("unnoted", start + 10s));
    }
}

TEST_CASE("an address that is noted already counts anew even when there is no room for another") {
    Sources sources;
    for (int i = 0; i < 10'000; ++i) refuse(sources, "client " + std::to_string(i), start);
    refuse(sources, "client 5", start + 4s);
    CHECK(sources.tls_was_refused("client 5", start + 8s));
}

TEST_CASE("in a flood who is known already is noted anew") {
    Sources sources;
    sources.login_refused_over_tls(ada, start);
    for (int i = 0; i < 20'000; ++i) {
        Sources::Identity other = ada;
        other.usename = std::to_string(i);
        sources.login_refused_over_tls(other, start + 1s);
    }
    sources.login_refused_over_tls(ada, start + 2s);
    const auto memory = [&] {
        auto now = start;
        while (sources.login_was_refused_over_tls(ada, now)) now += 1s;
        return now;
    }();
    Sources alone;
    alone.login_refused_over_tls(ada, start + 2s);
    CHECK(alone.login_was_refused_over_tls(ada, memory - 1s));
    CHECK_FALSE(alone.login_was_refused_over_tls(ada, memory));
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

TEST_CASE("who was told that there is no TLS may come again in clear, for a while") {
    Sources sources;
    sources.tls_declined("10.0.0.1", start);
    CHECK(sources.tls_was_declined("10.0.0.1", start + 5s));
    CHECK_FALSE(sources.tls_was_declined("10.0.0.1", start + 6s));
    CHECK_FALSE(sources.tls_was_declined("10.0.0.2", start));
    CHECK_FALSE(sources.tls_was_refused("10.0.0.1", start));

    // --- Who knows SCRAM
}

TEST_CASE("who left when it was offered SCRAM is remembered, and for a day") {
    Sources sources;
    CHECK_FALSE(sources.scram_was_declined(ada, start));
    sources.scram_declined(ada, start);
    CHECK(sources.scram_was_declined(ada, start));
    Sources later;
    later.scram_declined(ada, start);
    CHECK(later.scram_was_declined(ada, start + 24h));
    Sources forgotten;
    forgotten.scram_declined(ada, start);
    CHECK_FALSE(forgotten.scram_was_declined(ada, start + 24h + 1ms));
}

TEST_CASE("who keeps coming back is not forgotten") {
    Sources sources;
    sources.scram_declined(ada, start);
    for (int day = 1; day < 10; ++day) CHECK(sources.scram_was_declined(ada, start + day * 24h));
    CHECK_FALSE(sources.scram_was_declined(ada, start + 11 * 24h));
}

TEST_CASE("who has spoken SCRAM knows it, and left for another reason") {
    Sources sources;
    sources.scram_spoken(ada, start);
    sources.scram_declined(ada, start + 24h);
    CHECK_FALSE(sources.scram_was_declined(ada, start + 24h));
}

TEST_CASE("who spoke SCRAM more than a day ago may be another program now") {
    Sources sources;
    sources.scram_spoken(ada, start);
    sources.scram_declined(ada, start + 24h + 1ms);
    CHECK(sources.scram_was_declined(ada, start + 24h + 1ms));
}

TEST_CASE("who would not switch to a password is asked first, although it spoke SCRAM") {
    Sources sources;
    sources.scram_spoken(ada, start);
    sources.switch_declined(ada, start);
    CHECK(sources.scram_was_declined(ada, start));
    CHECK_FALSE(sources.scram_was_declined(ada, start + 24h + 1ms));
}

TEST_CASE("who left when it was asked for its password at once had another reason") {
    Sources sources;
    sources.scram_declined(ada, start);
    sources.password_declined(ada);
    CHECK_FALSE(sources.scram_was_declined(ada, start));
    sources.password_declined(ada);  // of whom nothing is known
    sources.scram_declined(ada, start);
    CHECK(sources.scram_was_declined(ada, start));
}

TEST_CASE("what one program did says nothing of another") {
    Sources sources;
    sources.scram_declined(ada, start);
    for (std::string Sources::Identity::*part :
         {&Sources::Identity::listener, &Sources::Identity::address, &Sources::Identity::usename,
          &Sources::Identity::datname, &Sources::Identity::application_name}) {
        Sources::Identity other = ada;
        other.*part = "other";
        CHECK_FALSE(sources.scram_was_declined(other, start));
        sources.scram_spoken(other, start);
        sources.password_declined(other);
    }
    CHECK(sources.scram_was_declined(ada, start));
}

TEST_CASE("a flood of programs keeps nobody out: the older half makes room") {
    Sources sources;
    sources.scram_declined(ada, start);
    Sources::Identity other = ada;
    for (int i = 0; i < 10'000; ++i) {
        other.usename = std::to_string(i);
        sources.scram_declined(other, start + std::chrono::milliseconds(i + 1));
    }
    CHECK(sources.scram_was_declined(other, start + 11s));
    CHECK_FALSE(sources.scram_was_declined(ada, start + 11s));
}

TEST_CASE("who keeps coming back is not forgotten in a flood") {
    Sources sources;
    sources.scram_declined(ada, start);
    Sources::Identity other = ada;
    for (int i = 0; i < 50'000; ++i) {
        other.usename = std::to_string(i);
        const auto now = start + std::chrono::milliseconds(i);
        sources.scram_declined(other, now);
        if (i % 1000 == 0) CHECK(sources.scram_was_declined(ada, now));
    }
    CHECK(sources.scram_was_declined(ada, start + 20h));
    CHECK(sources.scram_was_declined(ada, start + 40h));
}
