#include "proxy/observation/recent_clients.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Caller;
using proxy::RecentClients;
using proxy::SameProcess;
using proxy::TlsEnd;
using Before = RecentClients::Before;

const RecentClients::Time start = RecentClients::Time() + 1h;
const Caller ada{{.usename = "ada", .datname = "shop", .application_name = "psql"}, "legacy", "10.0.0.1"};

void fail(RecentClients& clients, const std::string& address, RecentClients::Time now) {
    clients.tls_ended(clients.tls_began(address, nullptr, now), {.end = TlsEnd::failure}, now);
}

/// Of somebody who comes in clear, and logs in at once.
Before before(const RecentClients& clients, const std::string& address, RecentClients::Time now) {
    return clients.judge(clients.before(address, now), {ada, nullptr, now}).before;
}

RecentClients::Process process(uid_t uid, pid_t pid, const std::string& exe = "/usr/bin/psql") {
    return std::make_shared<proxy::ProcessOwner>(proxy::Process{.uid = uid, .pid = pid, .exe = pid != 0 ? exe : ""},
                                                 true);
}

}  // namespace

TEST_CASE("nothing has failed from an address that was never seen") {
    const RecentClients clients;
    CHECK(before(clients, "10.0.0.1", start) == Before::nothing);
    CHECK_FALSE(clients.was_rejected_in_clear(ada, start).has_value());
}

TEST_CASE("failed TLS is remembered for an address, for five seconds") {
    RecentClients clients;
    fail(clients, "10.0.0.1", start);
    CHECK(before(clients, "10.0.0.1", start) == Before::perhaps_failed);
    CHECK(before(clients, "10.0.0.1", start + 5s) == Before::perhaps_failed);
    CHECK(before(clients, "10.0.0.1", start + 5001ms) == Before::nothing);
    CHECK(before(clients, "10.0.0.2", start) == Before::nothing);
}

TEST_CASE("the last failure counts") {
    RecentClients clients;
    fail(clients, "a", start);
    fail(clients, "a", start + 4s);
    CHECK(before(clients, "a", start + 8s) == Before::perhaps_failed);
}

TEST_CASE("two connections are of one process when that is known of both") {
    CHECK(proxy::same_process(nullptr, nullptr) == SameProcess::perhaps);
    CHECK(proxy::same_process(nullptr, process(1, 17)) == SameProcess::perhaps);
    CHECK(proxy::same_process(process(1, 17), process(1, 0)) == SameProcess::perhaps);
    CHECK(proxy::same_process(process(1, 17), process(1, 17)) == SameProcess::yes);
    CHECK(proxy::same_process(process(1, 17), process(1, 18)) == SameProcess::no);
    CHECK(proxy::same_process(process(1, 17, "/usr/bin/python3"), process(1, 17)) == SameProcess::perhaps);
    CHECK(proxy::same_process(process(1, 0), process(2, 0)) == SameProcess::no);
}

TEST_CASE("in a flood of failures at one address any client there may have failed, until it is over") {
    RecentClients clients;
    const auto wave = [&] {
        for (int i = 0; i < 300; ++i)
            clients.tls_ended(clients.tls_began("gateway", process(1, i + 1), start), {.end = TlsEnd::failure}, start);
    };
    const auto of_other = [&](RecentClients::Time now) {
        return clients.judge(clients.before("gateway", now), {ada, process(2, 999), now}).before;
    };
    wave();
    CHECK(of_other(start + 1s) == Before::perhaps_failed);
    CHECK(before(clients, "elsewhere", start + 1s) == Before::nothing);
    CHECK(of_other(start + 6s) == Before::nothing);
}

TEST_CASE("in a flood of addresses any may have failed, until it is over") {
    RecentClients clients;
    for (int i = 0; i < 10'000; ++i) fail(clients, "client " + std::to_string(i), start);
    CHECK(before(clients, "unnoted", start) == Before::nothing);
    fail(clients, "one more", start + 1s);
    CHECK(before(clients, "one more", start + 1s) == Before::perhaps_failed);
    CHECK(before(clients, "unnoted", start + 1s) == Before::perhaps_failed);
    CHECK(before(clients, "unnoted", start + 7s) == Before::nothing);
    SECTION("what is old makes room") {
        fail(clients, "later", start + 10s);
        CHECK(before(clients, "later", start + 10s) == Before::perhaps_failed);
        CHECK(before(clients, "unnoted", start + 10s) == Before::nothing);
    }
}

TEST_CASE("TLS that is open, however much of it, fills no memory that is not given back") {
    RecentClients clients;
    std::vector<RecentClients::AttemptPtr> open;
    for (int i = 0; i < 20'000; ++i) open.push_back(clients.tls_began("host " + std::to_string(i), nullptr, start));
    for (const auto& attempt : open) clients.tls_ended(attempt, {.end = TlsEnd::success}, start);
    fail(clients, "another", start);
    CHECK(before(clients, "another", start) == Before::perhaps_failed);
    CHECK(before(clients, "host 1", start) == Before::nothing);
}

TEST_CASE("a rejection in clear is remembered for its caller, for two seconds, with its process") {
    RecentClients clients;
    const auto psql = process(1, 17);
    clients.rejected_in_clear(ada, psql, start);
    CHECK(clients.was_rejected_in_clear(ada, start + 2s) == psql);
    CHECK_FALSE(clients.was_rejected_in_clear(ada, start + 2001ms).has_value());
    for (std::string Caller::*part : std::initializer_list<std::string Caller::*>{
             &Caller::listener, &Caller::client_addr, &Caller::usename, &Caller::datname, &Caller::application_name}) {
        Caller other = ada;
        other.*part = "other";
        CHECK_FALSE(clients.was_rejected_in_clear(other, start).has_value());
    }
}

TEST_CASE("in a flood of callers who is known is noted anew, and nothing is claimed of the others") {
    RecentClients clients;
    clients.rejected_in_clear(ada, nullptr, start);
    Caller other = ada;
    for (int i = 0; i < 20'000; ++i) {
        other.usename = std::to_string(i);
        clients.rejected_in_clear(other, nullptr, start);
    }
    CHECK_FALSE(clients.was_rejected_in_clear(other, start).has_value());  // found no room
    clients.rejected_in_clear(ada, nullptr, start + 2s);
    CHECK(clients.was_rejected_in_clear(ada, start + 4s).has_value());
}

TEST_CASE("who was told that there is no TLS may come again in clear, for a while") {
    RecentClients clients;
    clients.tls_declined("10.0.0.1", nullptr, start);
    CHECK(before(clients, "10.0.0.1", start + 5s) == Before::declined);
    CHECK(before(clients, "10.0.0.1", start + 6s) == Before::nothing);
    CHECK(before(clients, "10.0.0.2", start) == Before::nothing);
}

TEST_CASE("each source is told of once when it falls back") {
    RecentClients clients;
    const proxy::ClientOrigin source{"orders", "10.0.0.1", ""};
    CHECK(clients.is_first_fallback(source));
    CHECK_FALSE(clients.is_first_fallback(source));
    CHECK(clients.is_first_fallback({"orders", "10.0.0.2", ""}));
}

TEST_CASE("where fallbacks are many, the one that was longest quiet is forgotten, and no other") {
    RecentClients clients;
    const auto source = [](std::size_t i) { return proxy::ClientOrigin{"orders", std::to_string(i), ""}; };
    for (std::size_t i = 0; i < RecentClients::max_fallbacks; ++i) REQUIRE(clients.is_first_fallback(source(i)));
    CHECK_FALSE(clients.is_first_fallback(source(0)));  // it goes on
    CHECK(clients.is_first_fallback(source(RecentClients::max_fallbacks)));
    CHECK_FALSE(clients.is_first_fallback(source(0)));
    CHECK_FALSE(clients.is_first_fallback(source(2)));
    CHECK(clients.is_first_fallback(source(1)));
}

TEST_CASE("a process that began after TLS had failed at its address is another client") {
    const auto judged = [](RecentClients::Time began, RecentClients::Process failed) {
        RecentClients clients;
        clients.tls_ended(clients.tls_began("127.0.0.1", std::move(failed), start), {.end = TlsEnd::refusal},
                          start + 5ms);
        const auto psql = std::make_shared<proxy::ProcessOwner>(
            proxy::Process{.uid = 1, .pid = 18, .exe = "/usr/bin/psql", .started = began}, true);
        const RecentClients::Arrival arrival{ada, psql, start + 40ms};
        return clients.judge(clients.before("127.0.0.1", start + 40ms), arrival).before;
    };
    const auto gone = process(1, 0);  // before it was found
    CHECK(judged(start + 20ms, gone) == Before::nothing);
    CHECK(judged(start - 20ms, gone) == Before::perhaps_failed);
    CHECK(judged({}, gone) == Before::perhaps_failed);  // nobody knows when it began
    CHECK(judged(start - 20ms, process(1, 17)) == Before::nothing);
    CHECK(judged(start - 20ms, process(1, 18)) == Before::refused);
    CHECK(judged(start + 20ms, nullptr) == Before::nothing);  // whoever failed, it was not yet there
    CHECK(judged(start - 20ms, nullptr) == Before::perhaps_failed);
}
