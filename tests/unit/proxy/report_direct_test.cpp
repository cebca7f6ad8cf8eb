// Who goes around every proxy: whose the sessions are that servers list, what is known of them, how
// much of all the proxies see, and what nobody looked at.
#include <algorithm>
#include <boost/json.hpp>

#include "proxy/report/report.hpp"
#include "proxy/report/report_against.hpp"
#include "support/catch.hpp"

namespace {

using protocol::Evidence;
using protocol::Readiness;
using protocol::SslMode;
using protocol::Verifies;
using namespace proxy;
using namespace proxy::report;

constexpr Timestamp second = 1'000'000;
constexpr Timestamp minute = 60 * second;
constexpr Timestamp hour = 60 * minute;
constexpr Timestamp start = 20'000 * day_length;
constexpr Timestamp now = start + 10 * day_length;
const std::string server = "10.1.0.1:5432";

/// Listed from `start` until now.
SampledSessionsRow listed(const std::string& usename, const std::string& version, bool through = false) {
    return {.upstream = "orders",
            .upstream_addr = server,
            .client_addr = "10.0.0.7",
            .usename = usename,
            .datname = "db",
            .application_name = "app",
            .version = version,
            .through = through,
            .cipher = version.empty() ? "" : "TLS_AES_256_GCM_SHA384",
            .first_seen = start,
            .last_seen = now,
            .looks = 20,
            .sessions = 5,
            .seen = 40};
}

SamplingRow looked(const std::string& upstream_addr = server) {
    return {.upstream = "orders",
            .upstream_addr = upstream_addr,
            .first_look = start,
            .last_look = now,
            .looks = 1000,
            .interval = 5 * second};
}

/// Of a client that came to a proxy, in clear.
ClientRow in_clear(const std::string& usename) {
    ClientRow row;
    row.who = {{.upstream = "orders", .client_addr = "10.0.0.7", .client_exe = ""},
               {.usename = usename, .datname = "db", .application_name = "app"}};
    row.first_seen = start;
    row.last_seen = now;
    row.connections = row.plain = 4;
    row.days[start / day_length]["plain"] = {.connections = 4, .first_seen = start, .last_seen = now};
    row.evidence.push_back({.label = "clear_startup",
                            .evidence = Evidence::clear_startup,
                            .certificate = "",
                            .first_seen = start,
                            .last_seen = now,
                            .count = 4,
                            .session = "s"});
    return row;
}

InventoryRows inventory(const std::string& id, std::vector<SampledSessionsRow> sessions,
                        std::vector<SamplingRow> sampling) {
    InventoryRows rows;
    rows.instance = id;
    rows.proxy = {.id = id, .name = id, .started = start, .last_seen = now};
    rows.sampled_sessions = std::move(sessions);
    rows.sampling = std::move(sampling);
    return rows;
}

InventoryRows inventory(const std::string& id, std::vector<SampledSessionsRow> sessions) {
    return inventory(id, std::move(sessions), {looked()});
}

Report report_of(const std::vector<InventoryRows>& inventories, ReportFilter filter = {}) {
    filter.now = now;
    return make_report(inventories, filter);
}

const ReportClient* direct(const Report& report, const std::string& usename) {
    const auto found = std::find_if(report.clients.begin(), report.clients.end(), [&](const ReportClient& client) {
        return client.source == Source::direct && client.row.who.usename == usename;
    });
    return found == report.clients.end() ? nullptr : &*found;
}

std::string joined(const std::vector<std::string>& sentences) {
    std::string out;
    for (const std::string& one : sentences) out += one + "\n";
    return out;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

template <class Row>
Row with(Row row, const auto& change) {
    change(row);
    return row;
}

}  // namespace

TEST_CASE("a session that a server lists and that is not ours is a client that goes around us") {
    const Report report = report_of({inventory("a", {listed("batch", "TLSv1.3"), listed("web", "TLSv1.3", true)})});
    REQUIRE(report.clients.size() == 1);
    const ReportClient* const batch = direct(report, "batch");
    REQUIRE(batch);
    CHECK(batch->row.who.client_addr == "10.0.0.7");
    CHECK(batch->row.connections == 5);
    CHECK(batch->row.first_seen == start);
    CHECK(batch->row.last_seen == now);
    CHECK(batch->direct.servers == std::set<std::string>{server});
    CHECK(batch->direct.looks == 20);
    CHECK(batch->row.version == "TLSv1.3");
    CHECK(report.summary.direct == 1U);
    CHECK(report.summary.direct_plain == 0);
}

TEST_CASE("of TLS that goes around us it is known that it is there, and not whether it verifies") {
    const Report report = report_of({inventory("a", {listed("batch", "TLSv1.3")})});
    const ReportClient* const batch = direct(report, "batch");
    REQUIRE(batch);
    CHECK(batch->verifies == Verifies::unknown);
    CHECK(batch->sslmode == protocol::SslModeInterval{SslMode::allow, SslMode::verify_full});
    CHECK(batch->breaks_on_force_ssl == Readiness::no);
    CHECK(batch->breaks_on_ca_rotation == Readiness::unknown);
    CHECK(batch->action == Action::go_through_us);
    CHECK_FALSE(batch->also);
    CHECK_FALSE(batch->weak);
}

TEST_CASE("in clear around us is weak, may be prefer, and is said to be ready for nothing") {
    const Report report = report_of({inventory("a", {listed("batch", "")})});
    const ReportClient* const batch = direct(report, "batch");
    REQUIRE(batch);
    CHECK(state_of(*batch) == State::in_clear);
    CHECK(batch->weak);
    CHECK(batch->sslmode == protocol::SslModeInterval{SslMode::disable, SslMode::prefer});
    CHECK(batch->breaks_on_force_ssl == Readiness::unknown);  // as of every client in clear
    CHECK(batch->breaks_on_ca_rotation == Readiness::unknown);
    CHECK(batch->action == Action::enable_tls);
    CHECK(batch->also == Action::go_through_us);
    CHECK(has(explain(*batch), "go through the proxy"));
    CHECK(report.summary.direct_plain == 1);
}

TEST_CASE("in clear and with TLS around us is mixed, and time alone never makes it changed") {
    SampledSessionsRow clear = listed("batch", "");
    clear.first_seen = clear.last_seen = start - 300 * day_length;
    SampledSessionsRow tls = listed("batch", "TLSv1.3");
    tls.sessions = 1000;
    const std::vector<InventoryRows> rows{inventory("a", {clear, tls})};
    const Report report = report_of(rows);
    const ReportClient* const batch = direct(report, "batch");
    REQUIRE(batch);
    CHECK(batch->mixed);
    CHECK(batch->changed_at == 0);
    CHECK(batch->breaks_on_force_ssl == Readiness::unknown);
    CHECK(batch->action == Action::split);
    CHECK(batch->also == Action::go_through_us);
    CHECK(batch->row.plain == 5);
    // Whoever asks for a time after it is told of that time.
    const Report later = report_of(rows, {.since = start - day_length});
    REQUIRE(direct(later, "batch"));
    CHECK_FALSE(direct(later, "batch")->plain);
}

TEST_CASE("old TLS and triple DES around us are weak") {
    const auto weak_with = [](const std::string& version, const std::string& cipher) {
        SampledSessionsRow row = listed("batch", version);
        row.cipher = cipher;
        const Report report = report_of({inventory("a", {row})});
        return direct(report, "batch")->weak && direct(report, "batch")->action == Action::upgrade_tls;
    };
    CHECK(weak_with("TLSv1.1", "ECDHE-RSA-AES256-SHA"));
    CHECK(weak_with("TLSv1.2", "ECDHE-RSA-DES-CBC3-SHA"));
    CHECK_FALSE(weak_with("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384"));
}

TEST_CASE("clients that go around us are in no total of those that came to us") {
    InventoryRows rows = inventory("a", {listed("billing", ""), listed("batch", "TLSv1.3")});
    rows.clients = {in_clear("billing")};
    const Report report = report_of({rows});
    CHECK(report.clients.size() == 3);
    CHECK(report.summary.clients == 1);
    CHECK(report.summary.plain == 1);
    CHECK(report.summary.weak == 1);
    CHECK(report.summary.connections == 4);
    CHECK(report.summary.unknown == 0);
    CHECK(report.summary.breaks_on_ca_rotation_unknown == 0);
    CHECK(report.summary.actions == std::map<Action, std::uint64_t>{{Action::enable_tls, 1}});
    CHECK(report.summary.direct == 2U);
    CHECK(report.summary.direct_plain == 1);
    std::uint64_t by_day = 0;
    for (const auto& [day, modes] : report.summary.days) {
        for (const auto& [mode, count] : modes) by_day += count;
    }
    CHECK(by_day == 4);
}

TEST_CASE("without anybody who looked, it is not known who goes around us, and never none") {
    InventoryRows rows = inventory("a", {}, {});
    rows.clients = {in_clear("billing")};
    const Report report = report_of({rows});
    CHECK_FALSE(report.summary.direct);
    CHECK(report.summary.incomplete.empty());  // nobody said that it would look
    CHECK(has(who_goes_around(report).front(), "not known"));
    CHECK(has(why_failed(report, FailOn::direct), "not known"));
    const auto json = boost::json::parse(to_json(report));
    CHECK(json.at("summary").at("direct").is_null());
    CHECK(json.at("summary").at("coverage").is_null());
}

TEST_CASE("where somebody looked and found nobody, there was nobody") {
    InventoryRows rows = inventory("a", {listed("web", "TLSv1.3", true)});
    rows.clients = {in_clear("web")};
    const Report report = report_of({rows});
    CHECK(report.summary.direct == 0U);
    CHECK(why_failed(report, FailOn::direct).empty());
    CHECK(report.summary.coverage == 100U);
    CHECK(has(joined(who_goes_around(report)), "no client was seen that goes around pgairlock"));
    CHECK(has(joined(who_goes_around(report)), "a session shorter than that may be missing"));
}

TEST_CASE("what went through another proxy of the fleet is not direct") {
    const std::vector<InventoryRows> fleet{inventory("a", {listed("web", "TLSv1.3", false)}),
                                           inventory("b", {listed("web", "TLSv1.3", true)})};
    const Report report = report_of(fleet);
    CHECK(report.clients.empty());
    CHECK(report.summary.direct == 0U);
    CHECK(report.summary.coverage == 100U);

    SECTION("but for one that the other lists as not its own either") {
        std::vector<InventoryRows> both = fleet;
        both[1].sampled_sessions.push_back(listed("web", "TLSv1.3", false));
        CHECK(direct(report_of(both), "web"));
    }
    SECTION("nor is one of another TLS version") {
        std::vector<InventoryRows> both = fleet;
        both[0].sampled_sessions.push_back(listed("web", "", false));
        REQUIRE(direct(report_of(both), "web"));
        CHECK(direct(report_of(both), "web")->row.plain == 5);
    }
    SECTION("at another server it is direct") {
        std::vector<InventoryRows> both = fleet;
        both[1].sampled_sessions[0].upstream_addr = "10.1.0.2:5432";
        CHECK(direct(report_of(both), "web"));
    }
    SECTION("long after the other had its last one it is direct") {
        std::vector<InventoryRows> both = fleet;
        both[1].sampled_sessions[0].last_seen = now - hour;
        CHECK(direct(report_of(both), "web"));
        both[1].sampled_sessions[0].last_seen = now - minute;  // two look at different moments
        CHECK_FALSE(direct(report_of(both), "web"));
    }
    SECTION("long before the other had its first one it is direct") {
        std::vector<InventoryRows> both = fleet;
        both[1].sampled_sessions[0].first_seen = now - hour;
        REQUIRE(direct(report_of(both), "web"));
        CHECK(report_of(both).summary.coverage != 100U);
        both[1].sampled_sessions[0].first_seen = start + minute;
        CHECK_FALSE(direct(report_of(both), "web"));
    }
    SECTION("a proxy explains nothing by itself") {
        CHECK(direct(report_of({inventory("a", {listed("web", "", true), listed("web", "", false)})}), "web"));
    }
}

TEST_CASE("two proxies speak of one server where it has told both the same start, or by its address alone") {
    const auto goes_around = [](const std::string& of_a, Timestamp started_a, const std::string& of_b,
                                Timestamp started_b, Timestamp last_look_b = now) {
        SampledSessionsRow seen = listed("web", "TLSv1.3"), own = listed("web", "TLSv1.3", true);
        SamplingRow by_a = looked(of_a), by_b = looked(of_b);
        seen.upstream_addr = of_a;
        own.upstream_addr = of_b;
        by_a.server_started = started_a;
        by_b.server_started = started_b;
        by_b.last_look = last_look_b;
        return direct(report_of({inventory("a", {seen}, {by_a}), inventory("b", {own}, {by_b})}), "web") != nullptr;
    };
    const std::string server_6 = "[fd00::1]:5432";
    CHECK_FALSE(goes_around(server, 0, server, 0));
    CHECK_FALSE(goes_around(server, start, server, 0));
    CHECK(goes_around(server, 0, server_6, 0));
    CHECK(goes_around(server, start, server, start + second));
    CHECK_FALSE(goes_around(server, start, server_6, start));
    // It has started again since b looked, so nobody can tell.
    CHECK_FALSE(goes_around(server, now - second, server, start, now - minute));
    for (const char* own : {"127.0.0.1:5432", "[::1]:5432", "/run/postgresql/.s.PGSQL.5432", "172.17.0.2:5432"}) {
        INFO(own);
        CHECK(goes_around(own, 0, own, 0));
        CHECK(goes_around(own, start, own, 0));
        CHECK(goes_around(own, start, own, start + second));
        CHECK(goes_around(own, now - second, own, start, now - minute));
        CHECK_FALSE(goes_around(own, start, own, start));
    }
}

TEST_CASE("several that look at one server saw the same sessions") {
    SampledSessionsRow more = listed("batch", "");
    more.sessions = 7;
    const Report report = report_of({inventory("a", {listed("batch", "")}), inventory("b", {more})});
    REQUIRE(direct(report, "batch"));
    CHECK(direct(report, "batch")->row.connections == 7);
    CHECK(direct(report, "batch")->row.proxies == std::set<std::string>{"a", "b"});
    CHECK(report.summary.direct == 1U);
}

TEST_CASE("of several servers the sessions are added, and the least covered one comes first") {
    const auto at = [](SampledSessionsRow row, const std::string& address, std::uint64_t seen) {
        row.upstream_addr = address;
        row.seen = seen;
        return row;
    };
    const Report report = report_of({inventory(
        "a",
        {at(listed("web", "TLSv1.3", true), "10.1.0.1:5432", 99), at(listed("batch", ""), "10.1.0.1:5432", 1),
         at(listed("web", "TLSv1.3", true), "10.1.0.2:5432", 1), at(listed("batch", ""), "10.1.0.2:5432", 2)},
        {looked("10.1.0.1:5432"), looked("10.1.0.2:5432")})});
    REQUIRE(direct(report, "batch"));
    CHECK(direct(report, "batch")->row.connections == 10);
    CHECK(direct(report, "batch")->direct.seen == 3);
    CHECK(direct(report, "batch")->direct.servers.size() == 2);
    REQUIRE(report.sampling.size() == 2);
    CHECK(report.sampling[0].upstream_addr == "10.1.0.2:5432");
    CHECK(coverage(report.sampling[0]) == 33U);
    CHECK(coverage(report.sampling[1]) == 99U);
    CHECK(report.summary.coverage == 97U);  // 100 of 103, rounded down
    CHECK(has(joined(who_goes_around(report)),
              "pgairlock sees 97 % of the sessions that the servers list: 10.1.0.2:5432 33 %, 10.1.0.1:5432 99 %"));
}

TEST_CASE("two proxies that see each other's sessions count neither as going around") {
    SampledSessionsRow of_b = listed("web", "TLSv1.3"), of_a = listed("app", "TLSv1.3");
    const Report report = report_of({inventory("a", {listed("app", "TLSv1.3", true), of_b, listed("batch", "")}),
                                     inventory("b", {listed("web", "TLSv1.3", true), of_a, listed("batch", "")})});
    CHECK(report.summary.direct == 1U);
    CHECK(report.summary.coverage == 66U);
}

TEST_CASE("whoever was not shown all sessions says so, and coverage is not known") {
    const auto incomplete = [](const auto& change) {
        return report_of({inventory("a", {listed("web", "", true)}, {with(looked(), change)})});
    };
    const Report hidden = incomplete([](SamplingRow& row) { row.hidden = 1000; });
    REQUIRE(hidden.summary.incomplete.size() == 1);
    CHECK(has(hidden.summary.incomplete[0],
              "a: 10.1.0.1:5432 of orders does not show whose its sessions are (in 1000 of "
              "1000 looks): GRANT pg_read_all_stats"));
    CHECK_FALSE(hidden.summary.direct);  // and never 0
    CHECK_FALSE(has(joined(who_goes_around(hidden)), "no client was seen"));
    CHECK(has(who_goes_around(hidden).front(), "not known: 10.1.0.1:5432 does not show whose the sessions are"));
    CHECK_FALSE(hidden.summary.coverage);
    CHECK(has(joined(who_goes_around(hidden)), "how much of the traffic pgairlock sees is not known"));

    const Report left_out = incomplete([](SamplingRow& row) { row.left_out = 12; });
    REQUIRE(left_out.summary.incomplete.size() == 1);
    CHECK(has(left_out.summary.incomplete[0], "sessions that are in no row, 12 of 52 in all looks"));
    CHECK(left_out.summary.coverage == 76U);  // none of the 12 is known to have come through us
}

TEST_CASE("a few sessions that were gone too soon are told of, and leave the report complete") {
    SampledSessionsRow web = listed("web", "TLSv1.3", true);
    web.seen = 10'000;
    SamplingRow row = looked();
    row.left_out = 3;
    const Report report = report_of({inventory("a", {web}, {row})});
    CHECK(report.summary.incomplete.empty());
    CHECK(report.summary.coverage == 99U);
    CHECK(has(joined(who_goes_around(report)), "and 3 that were there are in no row"));
}

TEST_CASE("what was hidden until the GRANT is of the time before it") {
    SamplingRow row = looked();
    row.hidden = 900;
    row.left_out = 9000;  // the hidden ones
    row.last_hidden = row.last_left_out = start + hour;
    const auto report = [&](ReportFilter filter) {
        return report_of({inventory("a", {listed("web", "", true)}, {row})}, filter);
    };
    const Report later = report({.since = start + 2 * hour});
    CHECK(later.summary.incomplete.empty());
    CHECK(later.summary.direct == 0U);
    CHECK(later.summary.coverage == 100U);
    CHECK(later.sampling.front().left_out == 0);
    const Report whole = report({});
    REQUIRE(whole.summary.incomplete.size() == 1);
    CHECK(
        has(whole.summary.incomplete[0], "in 900 of 1000 looks until " + time_text(start + hour) + "; since then all"));
    CHECK_FALSE(has(joined(who_goes_around(whole)), "in no row"));
    // Taken back.
    row.last_hidden = now;
    CHECK_FALSE(report({.since = start + 2 * hour}).summary.direct);
    CHECK(report({.since = start + 2 * hour}).summary.incomplete.size() == 1);
}

TEST_CASE("one proxy that is not shown the sessions knows nothing, and another may, while it looks") {
    SamplingRow hidden = looked();
    hidden.hidden = 1000;
    hidden.last_hidden = now;
    SamplingRow shown = looked();
    const auto report = [&] { return report_of({inventory("a", {}, {hidden}), inventory("b", {}, {shown})}); };
    CHECK(report().summary.direct == 0U);
    CHECK(report().summary.incomplete.size() == 1);
    shown.last_look = now - day_length;
    CHECK_FALSE(report().summary.direct);
}

TEST_CASE("sessions in no row are held against the part of the time that is asked for") {
    SampledSessionsRow web = listed("web", "TLSv1.3", true);
    web.seen = 1'000'000;
    SamplingRow row = looked();
    row.left_out = 3000;  // an hour of ten days
    row.last_left_out = now - minute;
    const auto said = [&](ReportFilter filter) {
        return joined(report_of({inventory("a", {web}, {row})}, filter).summary.incomplete);
    };
    CHECK(said({}).empty());
    CHECK(
        has(said({.since = now - day_length}), "sessions that are in no row, 3000 of 1003000 in all looks, the last"));
    CHECK(has(said({.since = now - day_length}), "an older process of the proxy that still served"));
    CHECK(said({.since = now - second}).empty());
}

TEST_CASE("a look that is still to come is no look of today") {
    SamplingRow row = looked();
    row.last_look = now + day_length;
    const Report report = report_of({inventory("a", {}, {row})});
    CHECK(has(joined(report.summary.incomplete), "which is still to come: a clock is or was wrong"));
}

TEST_CASE("an interval of more than a minute is no failure, and failures count by the time they take") {
    const auto said = [](Timestamp interval, std::uint64_t failed) {
        SamplingRow row = looked();
        row.interval = interval;
        row.failed = failed;
        row.last_failure = failed == 0 ? 0 : start + hour;
        return joined(report_of({inventory("a", {}, {row})}).summary.incomplete);
    };
    CHECK(said(5 * minute, 0).empty());
    CHECK(has(said(5 * minute, 1), "could not be looked at 1 time"));
    CHECK(has(said(5 * second, 11), "could not be looked at 11 times"));
    CHECK(said(5 * second, 2).empty());
}

TEST_CASE("failures of long ago, and next to nothing of the time, are told of no more") {
    SamplingRow row = looked();
    row.first_look = now - 300 * day_length;
    row.failed = 12;
    row.last_failure = now - 200 * day_length;
    CHECK(report_of({inventory("a", {}, {row})}).summary.incomplete.empty());
    row.last_failure = now - day_length;
    CHECK(report_of({inventory("a", {}, {row})}).summary.incomplete.size() == 1);
}

TEST_CASE("looks that failed are said once they are a minute in all, or the last ones") {
    const auto said = [](std::uint64_t failed, Timestamp last_failure, ReportFilter filter = {}) {
        SamplingRow row = looked();
        row.failed = failed;
        row.last_failure = last_failure;
        row.error = "connection refused";
        return joined(report_of({inventory("a", {}, {row})}, filter).summary.incomplete);
    };
    CHECK(said(2, start + hour).empty());
    CHECK(has(said(12, start + hour), "could not be looked at 12 times, the last one at "));
    CHECK(has(said(12, start + hour), "connection refused"));
    CHECK(has(said(1, now + second), "could not be looked at 1 time"));
    CHECK(said(12, start + hour, {.since = start + 2 * hour}).empty());
}

TEST_CASE("a server that never answered was never looked at, so nothing is known") {
    SamplingRow row = looked();
    row.looks = 0;
    row.failed = 3;
    row.first_look = row.last_look = 0;
    row.error = "no pg_hba.conf entry";
    const Report report = report_of({inventory("a", {}, {row})});
    CHECK_FALSE(report.summary.direct);
    CHECK(has(joined(report.summary.incomplete), "10.1.0.1:5432 of orders was never looked at: no pg_hba.conf entry"));
}

TEST_CASE("a report of a time when nobody looked knows nothing of it") {
    SamplingRow row = looked();
    row.first_look = start + 5 * day_length;
    row.last_look = start + 6 * day_length;
    const std::vector<InventoryRows> rows{inventory("a", {}, {row})};
    const Report since = report_of(rows, {.since = start + 7 * day_length});
    CHECK_FALSE(since.summary.direct);
    CHECK(has(joined(since.summary.incomplete), "was not looked at after"));
    const Report before = report_of(rows, {.since = start + 4 * day_length});
    CHECK(before.summary.direct == 0U);
    CHECK(has(joined(before.summary.incomplete), "was not looked at before"));
    CHECK_FALSE(report_of(rows, {.until = start + 4 * day_length}).summary.direct);
}

TEST_CASE("a server that was met and not looked at is said, and one that was gone before is not") {
    InventoryRows rows = inventory("a", {});
    const auto met = [](const std::string& upstream, const std::string& address, Timestamp last) {
        UpstreamCertificateRow row;
        row.upstream = upstream;
        row.upstream_addr = address;
        row.first_seen = last - hour;
        row.last_seen = last;
        return row;
    };
    rows.upstream_certificates = {met("orders", server, now), met("orders", "10.1.0.9:5432", start - hour)};
    CHECK(report_of({rows}).summary.incomplete.empty());
    rows.upstream_certificates.push_back(met("orders", "10.1.0.2:5432", now));
    CHECK(joined(report_of({rows}).summary.incomplete) ==
          "who goes around pgairlock to 10.1.0.2:5432 of orders was not looked at, unless that is another address of a "
          "server that was\n");
    rows.upstream_certificates.back() = met("stock", "10.1.0.3:5432", now);
    CHECK(has(joined(report_of({rows}).summary.incomplete), "was not looked at for stock"));
    CHECK(report_of({rows}, {.upstream = "orders"}).summary.incomplete.empty());
}

TEST_CASE("a proxy that does not look says nothing of what is its own, so that is said first") {
    InventoryRows mute = inventory("b", {}, {});
    mute.clients = {in_clear("web")};
    const std::vector<InventoryRows> fleet{inventory("a", {listed("web", "TLSv1.3")}), mute};
    const Report report = report_of(fleet);
    CHECK(direct(report, "web"));
    CHECK(has(joined(report.summary.incomplete),
              "b does not look at 10.1.0.1:5432, so its own sessions there are among"));
    // One that was gone before anybody looked has none there.
    std::vector<InventoryRows> gone = fleet;
    gone[1].clients[0].last_seen = start - hour;
    CHECK_FALSE(has(joined(report_of(gone).summary.incomplete), "does not look at"));
}

TEST_CASE("a proxy that went on without looking says so") {
    SamplingRow row = looked();
    row.last_look = now - hour;
    InventoryRows rows = inventory("a", {}, {row});
    CHECK(report_of({rows}).summary.incomplete.empty());  // nobody went there since
    rows.clients = {in_clear("web")};
    CHECK(has(joined(report_of({rows}).summary.incomplete), "is not looked at any more since"));
}

TEST_CASE("an inventory of pgairlock sample alone is a whole report, of no proxy that could be silent") {
    SamplingRow row = looked();
    row.proxying = false;
    InventoryRows rows = inventory("s", {listed("batch", ""), listed("web", "TLSv1.3")}, {row});
    rows.proxy.last_seen = now - day_length;
    const Report report = report_of({rows});
    CHECK(report.summary.clients == 0);
    CHECK(report.summary.direct == 2U);
    CHECK(report.summary.direct_plain == 1);
    CHECK(report.summary.silent_proxies == 0);
    CHECK(report.summary.first_seen == start);
    CHECK(report.summary.incomplete.empty());
    CHECK(why_failed(report, FailOn::weak) == "1 client");
    CHECK(why_failed(report, FailOn::unknown) == "1 client");
    CHECK(why_failed(report, FailOn::rotation) == "2 clients");
    CHECK(why_failed(report, FailOn::force_ssl) == "1 client");
    CHECK(why_failed(report, FailOn::direct) == "2 clients");
    for (const FailOn what : {FailOn::failing, FailOn::fallback, FailOn::silent, FailOn::expiring})
        CHECK(has(why_failed(report, what), "no client came to a proxy"));
    const std::string table = to_table(report, {.width = 0, .now = now});
    CHECK(has(table, "no proxy: what 1 run of pgairlock sample saw"));
    CHECK(has(table, "no client came to a proxy, from "));
    CHECK_FALSE(has(table, "0 clients"));
    CHECK_FALSE(has(table, "      0  "));
    CHECK(has(table,
              "of those that go around rds.force_ssl=1 breaks 0, not 1, not known of 1; the CA rotation breaks 0, "
              "not 0, not known of 2; weak are 1"));
    CHECK_FALSE(has(to_html(report, now), "verify the server</div>"));
    CHECK(has(table, "2 clients go around pgairlock (direct): 1 in clear text, 1 with TLS"));
    CHECK(has(table, "enable TLS, go through the proxy"));
}

TEST_CASE("a UNIX-domain socket of the server has no address, and crosses no network") {
    SampledSessionsRow row = listed("postgres", "");
    row.client_addr = "local";
    const Report report = report_of({inventory("a", {row})});
    REQUIRE(direct(report, "postgres"));
    CHECK(direct(report, "postgres")->row.who.client_addr.empty());
    CHECK(direct(report, "postgres")->local);
}

TEST_CASE("Amazon's own sessions on the server itself are nobody's task, and are said") {
    const auto of_amazon = [](const std::string& address) {
        SampledSessionsRow row = listed("rdsadmin", "");
        row.client_addr = address;
        return row;
    };
    const Report report =
        report_of({inventory("a", {of_amazon("local"), of_amazon("127.0.0.1")}), inventory("b", {of_amazon("local")})});
    CHECK(report.clients.empty());
    CHECK(report.summary.direct == 0U);
    CHECK(has(joined(who_goes_around(report)), "10 sessions of rdsadmin, Amazon's own on the server itself, are not"));
    CHECK(direct(report_of({inventory("a", {of_amazon("10.0.0.7")})}), "rdsadmin"));
    SampledSessionsRow other = of_amazon("local");
    other.usename = "postgres";
    CHECK(direct(report_of({inventory("a", {other})}), "postgres"));
}

TEST_CASE("filters are about clients that go around us as well") {
    InventoryRows rows = inventory("a", {listed("billing", ""), listed("batch", "TLSv1.3")});
    rows.clients = {in_clear("billing")};
    CHECK(report_of({rows}, {.usename = "batch"}).clients.size() == 1);
    CHECK(report_of({rows}, {.usename = "billing"}).clients.size() == 2);
    CHECK(report_of({rows}, {.client_addr = "10.0.0.0/24"}).clients.size() == 3);
    CHECK(report_of({rows}, {.client_addr = "10.9.0.0/24"}).clients.empty());
    CHECK(report_of({rows}, {.upstream = "stock"}).clients.empty());
    CHECK(report_of({rows}, {.proxy = "a"}).clients.size() == 3);
    CHECK(report_of({rows}, {.proxy = "b"}).clients.empty());
}

TEST_CASE("a group has those that came to us apart from those that go around") {
    InventoryRows rows = inventory("a", {listed("billing", ""), listed("batch", "TLSv1.3")});
    rows.clients = {in_clear("billing")};
    const Report report = report_of({rows}, {.group_by = {Dimension::database}});
    REQUIRE(report.clients.size() == 2);
    CHECK(report.summary.clients == 1);
    CHECK(report.summary.direct == 1U);
    REQUIRE(direct(report, ""));
    CHECK(direct(report, "")->row.connections == 10);
    CHECK(direct(report, "")->mixed);
}

TEST_CASE("names that never repeat are one client around us as well") {
    std::vector<SampledSessionsRow> rows;
    for (int i = 0; i < 20; ++i) {
        rows.push_back(listed("batch", "TLSv1.3"));
        rows.back().application_name = "worker " + std::to_string(4700 + i);
    }
    const Report report = report_of({inventory("a", rows)});
    REQUIRE(report.clients.size() == 1);
    CHECK(report.clients[0].row.who.application_name == "worker #");
    CHECK(report.clients[0].direct.looks == 400);
    CHECK(report.clients[0].row.connections == 100);
}

TEST_CASE("whoever was accepted in clear is not excused for going around us") {
    InventoryRows rows = inventory("a", {listed("billing", "")});
    rows.clients = {in_clear("billing")};
    MarkRow mark;
    mark.who = rows.clients[0].who;
    mark.accepted = true;
    mark.accepted_state = "plain";
    mark.changed_at = 1;
    rows.marks = {mark};
    const Report report = report_of({rows});
    REQUIRE(report.clients.size() == 2);
    REQUIRE(direct(report, "billing"));
    CHECK_FALSE(direct(report, "billing")->excused);
    CHECK(direct(report, "billing")->accepted->worse == std::vector<std::string>{"direct:plain", "direct"});
    CHECK(report.summary.accepted == 1);
    CHECK(why_failed(report, FailOn::weak) == "1 client");

    SECTION("until that is accepted too, of both rows at once") {
        MarkRow both = mark_of(report.clients[0]);
        set_state(both, report.clients[0], complaints(report.clients[0]));
        MarkRow other = mark_of(report.clients[1]);
        set_state(other, report.clients[1], complaints(report.clients[1]));
        CHECK(both.who == other.who);
        add_state(both, other);
        both.accepted = true;
        rows.marks = {both};
        const Report accepted = report_of({rows});
        CHECK(accepted.summary.accepted == 1);
        CHECK(accepted.summary.direct_accepted == 1);
        CHECK(why_failed(accepted, FailOn::weak).empty());
        CHECK(why_failed(accepted, FailOn::direct).empty());
    }
}

TEST_CASE("whoever may go around us in clear may not come through us in clear") {
    InventoryRows rows = inventory("a", {listed("billing", "")});
    MarkRow mark;
    mark.who = in_clear("billing").who;
    mark.accepted = true;
    mark.changed_at = 1;
    const auto report_with = [&](const std::string& state) {
        mark.accepted_state = state;
        rows.marks = {mark};
        return report_of({rows});
    };
    const Report before = report_of({rows});
    CHECK(joined_words(complaints(before.clients.front())) == "direct:plain,direct");
    CHECK(direct(report_with("direct:plain,direct"), "billing")->excused);
    rows.clients = {in_clear("billing")};
    const Report after = report_with("direct:plain,direct");
    REQUIRE(after.clients.size() == 2);
    CHECK(direct(after, "billing")->excused);
    CHECK(after.summary.accepted == 0);
    CHECK(why_failed(after, FailOn::weak) == "1 client");
    // What was accepted before there were such words is of those that came to us.
    const Report old = report_with("plain,direct");
    CHECK(old.summary.accepted == 1);
    CHECK_FALSE(direct(old, "billing")->excused);
    // In clear covers whatever TLS, there as here.
    rows.clients.clear();
    rows.sampled_sessions.push_back(listed("billing", "TLSv1.1"));
    CHECK(direct(report_with("direct:plain,direct"), "billing")->excused);
    CHECK_FALSE(direct(report_with("direct"), "billing")->excused);
}

TEST_CASE("an older report says who began to go around us, and who no longer does") {
    InventoryRows then = inventory("a", {listed("batch", "TLSv1.3"), listed("gone", "TLSv1.3")});
    then.clients = {in_clear("billing")};
    const OlderReport older = parse_report(to_json(report_of({then})));
    InventoryRows later = inventory("a", {listed("batch", ""), listed("billing", "")});
    later.clients = {in_clear("billing")};
    const Comparison against = compare(report_of({later}), older);
    REQUIRE(against.fresh.size() == 1);
    CHECK(against.fresh[0].client.source == Source::direct);
    CHECK(against.fresh[0].client.who.usename == "billing");
    REQUIRE(against.worse.size() == 1);
    CHECK(against.worse[0].client.who.usename == "batch");
    REQUIRE(against.gone.size() == 1);
    CHECK(against.gone[0].client.who.usename == "gone");
    CHECK(against.caveats.empty());

    InventoryRows unlooked = inventory("a", {}, {});
    unlooked.clients = {in_clear("billing")};
    const Comparison first = compare(report_of({later}), parse_report(to_json(report_of({unlooked}))));
    CHECK(has(joined(first.caveats), "the older report knew nothing of who goes around pgairlock"));
    const Comparison last = compare(report_of({unlooked}), older);
    CHECK(has(joined(last.caveats), "this report knows nothing of who goes around pgairlock"));
}

TEST_CASE("every format has both sources") {
    InventoryRows rows = inventory("a", {listed("batch", "TLSv1.3")});
    rows.clients = {in_clear("billing")};
    const Report report = report_of({rows});

    const auto json = boost::json::parse(to_json(report));
    CHECK(json.at("summary").at("direct") == 1);
    CHECK(json.at("summary").at("direct_plain") == 0);
    CHECK(json.at("summary").at("coverage") == 0);
    CHECK(json.at("sampling").at(0).at("upstream_addr").as_string() == server.c_str());
    CHECK(json.at("sampling").at(0).at("looked_by").at(0) == "a");
    CHECK(json.at("sampling").at(0).at("interval_ms") == 5000);
    CHECK(json.at("clients").at(0).at("source") == "seen");
    CHECK(json.at("clients").at(0).at("direct").is_null());
    const auto& direct_row = json.at("clients").at(1);
    CHECK(direct_row.at("source") == "direct");
    CHECK(direct_row.at("direct").at("servers").at(0).as_string() == server.c_str());
    CHECK(direct_row.at("direct").at("looks") == 20);
    CHECK(direct_row.at("direct").at("cipher") == "TLS_AES_256_GCM_SHA384");
    CHECK(direct_row.at("days").as_array().empty());
    CHECK(direct_row.at("modes").at("TLSv1.3") == 5);
    CHECK(direct_row.at("action") == "go through the proxy");

    const std::string csv = to_csv(report);
    CHECK(has(csv, ",source,servers,looks,proxy\r\n"));
    CHECK(has(csv, ",direct," + server + ",20,a\r\n"));
    CHECK(has(csv, ",seen,,,a\r\n"));

    const std::string table = to_table(report, {.width = 0, .now = now});
    CHECK(has(table, "SOURCE"));
    CHECK(has(table, "go through the proxy"));
    CHECK(has(table, "1 client goes around pgairlock (direct): 0 in clear text, 1 with TLS; no other figure counts"));

    const std::string html = to_html(report, now);
    CHECK(has(html, "1 client goes around pgairlock (direct)"));
    CHECK(has(html, ">direct<small>" + server));
}
