#include "proxy/session/live_sessions.hpp"

#include <thread>

#include "support/catch.hpp"

namespace {

using namespace proxy;
using namespace std::chrono_literals;

SessionRecord record(const std::string& name) {
    SessionRecord record;
    record.session = name;
    record.listener = "main";
    record.upstream = "orders";
    record.client_addr = "10.0.0.1";
    record.client_port = 4711;
    record.usename = "app";
    record.datname = "shop";
    record.ssl = true;
    record.client_tls.version = "TLSv1.3";
    record.evidence = {protocol::Evidence::tls_startup};
    record.backend_pid = 99;
    return record;
}

}  // namespace

TEST_CASE("a session is among the open ones until its end, and then among those that ended") {
    LiveSessions sessions;
    auto entry = sessions.add(record("s-1"));
    {
        const auto open = sessions.open();
        REQUIRE(open.size() == 1);
        const SessionFacts& facts = open[0]->facts;
        CHECK(facts.text(SessionText::session) == "s-1");
        CHECK(facts.text(SessionText::upstream) == "orders");
        CHECK(facts.text(SessionText::usename) == "app");
        CHECK(facts.text(SessionText::application_name).empty());
        CHECK(facts.text(SessionText::version) == "TLSv1.3");
        CHECK(facts.text(SessionText::evidence) == "tls_startup");
        CHECK(facts.text(SessionText::upstream_cipher).empty());
        CHECK(facts.backend_pid == 99);
        CHECK(facts.pid > 0);
    }
    entry.figures()->from_client = 10;
    entry.figures()->from_server = 20;
    CHECK(sessions.totals().at("orders").bytes_from_server == 20);
    entry.end(Reason::client_closed, "");
    CHECK(sessions.open().empty());
    const auto ended = sessions.ended();
    REQUIRE(ended.size() == 1);
    CHECK(ended[0]->facts.text(SessionText::session) == "s-1");
    CHECK(ended[0]->reason == Reason::client_closed);
    CHECK(ended[0]->bytes_from_client == 10);
    CHECK(sessions.totals().at("orders").sessions == 1);
    CHECK(sessions.totals().at("orders").bytes_from_client == 10);
    CHECK_FALSE(entry.figures());
}

TEST_CASE("a session that is dropped leaves no entry behind") {
    LiveSessions sessions;
    { const auto entry = sessions.add(record("s-1")); }
    CHECK(sessions.count() == 0);
    CHECK(sessions.ended().empty());
}

TEST_CASE("no two open sessions have one pid") {
    LiveSessions sessions;
    const auto a = sessions.add(record("a"));
    const auto b = sessions.add(record("b"));
    const auto open = sessions.open();
    CHECK(open.at(0)->facts.pid != open.at(1)->facts.pid);
}

TEST_CASE("only so many ended sessions are remembered, the last ones") {
    LiveSessions few(3);
    for (int i = 0; i < 5; ++i) few.add(record("s-" + std::to_string(i))).end(Reason::client_closed, "");
    const auto ended = few.ended();
    REQUIRE(ended.size() == 3);
    CHECK(ended.front()->facts.text(SessionText::session) == "s-2");
    CHECK(ended.back()->facts.text(SessionText::session) == "s-4");

    LiveSessions small(100'000, 4000);
    for (int i = 0; i < 100; ++i) small.add(record("s")).end(Reason::client_closed, "");
    CHECK(small.ended().size() < 20);
    CHECK_FALSE(small.ended().empty());
}

TEST_CASE("texts of any length are kept apart") {
    SessionRecord long_one = record("s");
    long_one.client_tls.client_dn = std::string(10'000, 'x');
    long_one.sni = std::string(10'000, 'y');
    const SessionFacts facts(long_one, std::chrono::system_clock::now());
    CHECK(facts.text(SessionText::client_dn).size() == 2048);
    CHECK(facts.text(SessionText::sni).find('x') == std::string_view::npos);
}

TEST_CASE("who reads meets whole entries while others come and go") {
    LiveSessions sessions(1000);
    std::atomic<bool> stop = false;
    std::thread busy([&] {
        while (!stop) sessions.add(record("s")).end(Reason::client_closed, "");
    });
    const auto kept = sessions.add(record("kept"));
    for (int i = 0; i < 200; ++i) {
        const auto open = sessions.open();
        CHECK(std::any_of(open.begin(), open.end(),
                          [](const auto& one) { return one->facts.text(SessionText::session) == "kept"; }));
        CHECK(sessions.ended().size() <= 2000);
    }
    stop = true;
    busy.join();
}
