#include "report_rows.hpp"

using namespace report_rows;

TEST_CASE("since leaves out what was not seen since, to the moment") {
    ReportClient changed;
    changed.row =
        client("app", {seen(Evidence::clear_startup, start), seen(Evidence::untrusted_refused, start + 3 * day)}, true);
    changed.row.days.clear();
    changed.row.days[20'000]["plain"] = connections(7, start, start + hour);
    changed.row.days[20'003]["TLSv1.2"] = connections(2, start + 3 * day, start + 3 * day, 1);
    ReportClient later = changed;
    REQUIRE(restrict_to(changed, {.since = start + 2 * hour}));
    CHECK(changed.row.connections == 2);
    CHECK(changed.row.plain == 0);
    CHECK(changed.row.weak_tls == 1);
    evaluate(changed);
    CHECK(changed.sslmode.min == SslMode::verify_ca);
    CHECK_FALSE(restrict_to(changed, {.since = start + 4 * day}));
    // A day's connections are not told apart: all of them may have been within.
    REQUIRE(restrict_to(later, {.since = start + hour}));
    CHECK(later.row.plain == 7);
}

TEST_CASE("until leaves out what came later, and what speaks for a client must have been seen within") {
    ReportClient got;
    got.row = client("app", {seen(Evidence::tls_startup, start), seen(Evidence::clear_startup, start + 3 * day)});
    got.row.evidence.push_back(seen(Evidence::untrusted_refused, start));
    got.row.evidence.back().last_seen = start + 6 * day;
    got.row.days.clear();
    got.row.days[20'000]["TLSv1.3"] = connections(5, start, start + hour);
    got.row.days[20'003]["plain"] = connections(7, start + 3 * day, start + 3 * day);
    got.row.last_seen = start + 6 * day;
    ReportClient within = got;
    REQUIRE(restrict_to(got, {.until = start + day}));
    CHECK(got.row.connections == 5);
    CHECK_FALSE(find(got, Evidence::clear_startup));
    CHECK(find(got, Evidence::untrusted_refused));
    REQUIRE(restrict_to(within, {.since = start + 2 * day, .until = start + 4 * day}));
    CHECK(within.row.plain == 7);
    CHECK(find(within, Evidence::clear_startup));
    CHECK_FALSE(find(within, Evidence::untrusted_refused));
    CHECK_FALSE(restrict_to(got, {.until = start - day}));
}

TEST_CASE("a client that left an old TLS version behind is not weak since then") {
    ReportClient old;
    old.row = client("app", {seen(Evidence::tls_startup, start + 3 * day)});
    old.row.days.clear();
    old.row.days[20'000]["TLSv1"] = connections(5, start, start, 5);
    old.row.days[20'003]["TLSv1.2"] = connections(2, start + 3 * day, start + 3 * day);
    REQUIRE(restrict_to(old, {.since = start + day}));
    CHECK(old.row.weak_tls == 0);
}

// --- Facts decide

TEST_CASE("one connection in clear makes a client weak, whatever came later") {
    const Report report = make_report({inventory({mixed_client()})}, {});
    const ReportClient& got = report.clients.at(0);
    CHECK(got.plain);
    CHECK(got.weak);
    CHECK(got.mixed);
    CHECK(got.verifies == Verifies::no);
    CHECK(got.breaks_on_force_ssl == Readiness::unknown);
    CHECK(got.action == Action::split);
    CHECK(report.summary.plain == 1);
    CHECK(report.summary.mixed == 1);
    CHECK(has_failed(report, FailOn::weak));
    CHECK(has_failed(report, FailOn::force_ssl));
}

TEST_CASE("what was failed over TLS does not clear a client that comes in clear") {
    ClientRow row = client("billing", {seen(Evidence::clear_startup, start)}, true);
    row.evidence.push_back(seen(Evidence::tls_startup, start + hour));  // with a wrong password
    row.days[20'000]["TLSv1.3"] = {
        .failures = 1, .auth_failed = 1, .first_seen = start + hour, .last_seen = start + hour};
    const Report report = make_report({inventory({row})}, {});
    CHECK(report.clients.at(0).weak);
    CHECK(report.clients.at(0).plain);
}

TEST_CASE("clear text is a thing of the past after a long time of as many connections with TLS") {
    const auto judged = [](std::uint64_t with_tls, Timestamp later) {
        ReportClient client;
        client.row = mixed_client();
        client.row.days[(start + later) / day]["TLSv1.3"] = connections(with_tls, start + later, start + later);
        client.row.evidence[1].last_seen = start + later;
        client.row.last_seen = start + later;
        evaluate(client, 30 * day);
        return client;
    };
    CHECK(judged(100, 29 * day).plain);
    CHECK(judged(48, 31 * day).plain);  // and 4 on the first day: 52 of 53
    const ReportClient changed = judged(100, 31 * day);
    CHECK_FALSE(changed.plain);
    CHECK_FALSE(changed.mixed);
    CHECK_FALSE(changed.weak);
    CHECK(changed.changed_at == start);
    CHECK(changed.breaks_on_force_ssl == Readiness::no);
}

TEST_CASE("clear text that was never let in is a thing of the past as well") {
    ReportClient client;
    client.row = ::client("app", {seen(Evidence::clear_startup, start)});
    client.row.evidence.push_back(seen(Evidence::tls_startup, start + hour, 4));
    client.row.evidence.back().last_seen = start + 31 * day + hour;
    client.row.days.clear();
    client.row.days[20'000]["TLSv1.3"] = connections(4, start + hour, start + hour);
    client.row.days[20'031]["TLSv1.3"] = connections(4, start + 31 * day, start + 31 * day + hour);
    evaluate(client, 30 * day);
    CHECK_FALSE(client.plain);
    CHECK_FALSE(client.mixed);
    CHECK(client.changed_at == start);
    CHECK(client.action == Action::probe);
}

TEST_CASE("people may say that a client was repaired, and then what came before does not count") {
    ReportClient client;
    client.row = mixed_client();
    client.repaired_at = start + 1;
    evaluate(client);
    CHECK_FALSE(client.plain);
    CHECK_FALSE(client.weak);
    CHECK(client.breaks_on_force_ssl == Readiness::no);
    client.repaired_at = start - 1;
    evaluate(client);
    CHECK(client.plain);
}

TEST_CASE("a session that was open when its proxy was last heard of is open still") {
    constexpr Timestamp minute = hour / 60;
    const auto weak_since = [&](DayFacts facts, const std::string& mode, Timestamp since, Timestamp now) {
        ClientRow row = client("app", {seen(Evidence::tls_startup, start + minute)}, false);
        row.days[20'000].clear();
        facts.connections = 1;
        facts.first_seen = start;
        row.days[20'000][mode] = facts;
        InventoryRows rows = of_proxy("a", {row});
        rows.proxy.last_seen = start + minute;
        const Report report = make_report({rows}, {.since = since, .now = now});
        return report.summary.weak == 1;
    };
    const Timestamp later = start + minute + minute / 2;
    const DayFacts open{.last_seen = start, .open_until = start + minute}, begun{.last_seen = start + minute + 1},
        ended{.last_seen = start, .open_until = start + minute - 1};
    CHECK(weak_since(open, "plain", later, later + 1));
    CHECK(weak_since(begun, "plain", later, later + 1));
    CHECK_FALSE(weak_since(ended, "plain", later, later + 1));
    CHECK_FALSE(weak_since(begun, "TLSv1.3", later, later + 1));
    CHECK_FALSE(weak_since(open, "plain", start + 2 * hour, start + 3 * hour));  // the proxy is silent
}

TEST_CASE("a session that is still open is of every range until then") {
    constexpr Timestamp week = 7 * 24 * hour;
    const auto of_the_week_after = [&](const std::string& mode, std::uint64_t weak, Evidence evidence) {
        ClientRow row = client("app", {seen(evidence)});
        row.days[20'000].clear();
        row.days[20'000][mode] = {.connections = 10,
                                  .weak_tls = weak,
                                  .failures = 4,
                                  .first_seen = start,
                                  .last_seen = start,
                                  .open_until = start + 2 * week};
        row.last_seen = start + 2 * week;
        return make_report({inventory({row})}, {.since = start + week});
    };
    const Report clear = of_the_week_after("plain", 0, Evidence::clear_startup);
    REQUIRE(clear.clients.size() == 1);
    CHECK(clear.clients[0].plain);
    CHECK(clear.clients[0].weak);
    CHECK(clear.clients[0].row.failures == 0);  // those were before
    const Report weak = of_the_week_after("TLSv1", 3, Evidence::tls_startup);
    REQUIRE(weak.clients.size() == 1);
    CHECK(weak.clients[0].weak);
    CHECK(weak.clients[0].row.connections == 3);
    CHECK(of_the_week_after("TLSv1.3", 0, Evidence::tls_startup).clients[0].row.connections == 10);
}

TEST_CASE("a session that stays open is no success while new logins fail") {
    ClientRow row = client("app", {seen(Evidence::clear_startup)});
    row.failures = row.auth_failed = 30;
    row.last_failure = row.last_seen = start + 5 * hour;
    row.days[20'000].clear();
    row.days[20'000]["plain"] = {.connections = 1,
                                 .failures = 30,
                                 .auth_failed = 30,
                                 .first_seen = start,
                                 .last_seen = start,
                                 .open_until = start + 6 * hour};
    CHECK(make_report({inventory({row})}, {}).clients[0].failing);
}

TEST_CASE("a client that never succeeded is failing, and comes first") {
    ClientRow broken = client("broken", {seen(Evidence::tls_startup)});
    broken.connections = 0;
    broken.failures = broken.auth_failed = 30;
    broken.last_failure = start;
    broken.days[20'000].clear();
    broken.days[20'000]["TLSv1.3"] = {.failures = 30, .auth_failed = 30, .first_seen = start, .last_seen = start};
    const Report report = make_report({inventory({client("app", {seen(Evidence::clear_startup)}, true), broken},
                                                 {handshake(seen(Evidence::tls_refused, start, 5), "", "other")})},
                                      {});
    REQUIRE(report.clients.size() == 3);
    CHECK(report.summary.failing == 2);
    CHECK(report.clients[0].failing);
    CHECK(report.clients[1].failing);
    CHECK(report.summary.failures == 35);
    CHECK(has_failed(report, FailOn::failing));
}
