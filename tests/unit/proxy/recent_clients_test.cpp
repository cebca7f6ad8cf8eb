#include "proxy/observation/recent_clients.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Caller;
using proxy::RecentClients;

const RecentClients::Time start = RecentClients::Time() + 1h;
const Caller ada{{.usename = "ada", .datname = "shop", .application_name = "psql"}, "legacy", "10.0.0.1"};

void fail(RecentClients& clients, const std::string& address, RecentClients::Time now) {
    clients.tls_began(address);
    clients.tls_failed(address, now);
}

}  // namespace

TEST_CASE("while TLS is open its fate is unknown, and may be a failure") {
    RecentClients clients;
    clients.tls_began("10.0.0.1");
    clients.tls_began("10.0.0.1");
    CHECK(clients.may_have_failed_tls("10.0.0.1", start));
    CHECK_FALSE(clients.may_have_failed_tls("10.0.0.2", start));
    clients.tls_succeeded("10.0.0.1");
    CHECK(clients.may_have_failed_tls("10.0.0.1", start));
    clients.tls_succeeded("10.0.0.1");
    CHECK_FALSE(clients.may_have_failed_tls("10.0.0.1", start));
}

TEST_CASE("nothing has failed from an address that was never seen") {
    const RecentClients clients;
    CHECK_FALSE(clients.may_have_failed_tls("10.0.0.1", start));
    CHECK_FALSE(clients.was_denied_over_tls(ada, start));
    CHECK_FALSE(clients.was_rejected_in_clear(ada, start));
}

TEST_CASE("failed TLS is remembered for an address, for five seconds") {
    RecentClients clients;
    fail(clients, "10.0.0.1", start);
    CHECK(clients.may_have_failed_tls("10.0.0.1", start));
    CHECK(clients.may_have_failed_tls("10.0.0.1", start + 5s));
    CHECK_FALSE(clients.may_have_failed_tls("10.0.0.1", start + 5001ms));
    CHECK_FALSE(clients.may_have_failed_tls("10.0.0.2", start));
}

TEST_CASE("a denied login is remembered for its caller, for two seconds") {
    RecentClients clients;
    clients.login_denied_over_tls(ada, start);
    CHECK(clients.was_denied_over_tls(ada, start + 2s));
    CHECK_FALSE(clients.was_denied_over_tls(ada, start + 2001ms));
    CHECK_FALSE(clients.was_rejected_in_clear(ada, start));
    CHECK_FALSE(clients.may_have_failed_tls(ada.client_addr, start));
}

TEST_CASE("every part of a caller counts") {
    RecentClients clients;
    clients.rejected_in_clear(ada, start);
    CHECK(clients.was_rejected_in_clear(ada, start));
    for (std::string Caller::*part : std::initializer_list<std::string Caller::*>{
             &Caller::listener, &Caller::client_addr, &Caller::usename, &Caller::datname, &Caller::application_name}) {
        Caller other = ada;
        other.*part = "other";
        CHECK_FALSE(clients.was_rejected_in_clear(other, start));
    }
}

TEST_CASE("the last failure counts") {
    RecentClients clients;
    fail(clients, "a", start);
    fail(clients, "a", start + 4s);
    CHECK(clients.may_have_failed_tls("a", start + 8s));
}

TEST_CASE("in a flood of failures any address may have failed, until it is over") {
    RecentClients clients;
    for (int i = 0; i < 10'000; ++i) fail(clients, "client " + std::to_string(i), start);
    CHECK_FALSE(clients.may_have_failed_tls("unnoted", start));
    fail(clients, "one more", start + 1s);
    CHECK(clients.may_have_failed_tls("one more", start + 1s));
    CHECK(clients.may_have_failed_tls("unnoted", start + 1s));
    CHECK_FALSE(clients.may_have_failed_tls("unnoted", start + 7s));
    SECTION("what is old makes room") {
        fail(clients, "later", start + 10s);
        CHECK(clients.may_have_failed_tls("later", start + 10s));
        CHECK_FALSE(clients.may_have_failed_tls("unnoted", start + 10s));
    }
}

TEST_CASE("an address that is noted already counts anew even when there is no room for another") {
    RecentClients clients;
    for (int i = 0; i < 10'000; ++i) fail(clients, "client " + std::to_string(i), start);
    fail(clients, "client 5", start + 4s);
    CHECK(clients.may_have_failed_tls("client 5", start + 8s));
}

TEST_CASE("in a flood who is known already is noted anew") {
    RecentClients clients;
    clients.login_denied_over_tls(ada, start);
    for (int i = 0; i < 20'000; ++i) {
        Caller other = ada;
        other.usename = std::to_string(i);
        clients.login_denied_over_tls(other, start + 1s);
    }
    clients.login_denied_over_tls(ada, start + 2s);
    const auto memory = [&] {
        auto now = start;
        while (clients.was_denied_over_tls(ada, now)) now += 1s;
        return now;
    }();
    RecentClients alone;
    alone.login_denied_over_tls(ada, start + 2s);
    CHECK(alone.was_denied_over_tls(ada, memory - 1s));
    CHECK_FALSE(alone.was_denied_over_tls(ada, memory));
}

TEST_CASE("a flood of callers claims nothing for the others") {
    RecentClients clients;
    Caller other = ada;
    for (int i = 0; i <= 10'000; ++i) {
        other.usename = std::to_string(i);
        clients.login_denied_over_tls(other, start);
        clients.rejected_in_clear(other, start);
    }
    CHECK_FALSE(clients.was_denied_over_tls(ada, start));
    CHECK_FALSE(clients.was_rejected_in_clear(ada, start));
    CHECK_FALSE(clients.was_denied_over_tls(other, start));  // the one that found no room
}

TEST_CASE("who was told that there is no TLS may come again in clear, for a while") {
    RecentClients clients;
    clients.tls_declined("10.0.0.1", start);
    CHECK(clients.was_declined_tls("10.0.0.1", start + 5s));
    CHECK_FALSE(clients.was_declined_tls("10.0.0.1", start + 6s));
    CHECK_FALSE(clients.was_declined_tls("10.0.0.2", start));
    CHECK_FALSE(clients.may_have_failed_tls("10.0.0.1", start));
}
