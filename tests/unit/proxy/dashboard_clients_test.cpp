// What the dashboard says of clients, by inventories made by hand.
#include <boost/json.hpp>
#include <set>

#include "proxy/dashboard/clients_json.hpp"
#include "proxy/dashboard/inventory_places.hpp"
#include "proxy/dashboard/rotation_json.hpp"
#include "proxy/dashboard/warning.hpp"
#include "report_fixture.hpp"
#include "support/catch.hpp"

using namespace proxy;
using namespace proxy::dashboard;
namespace json = boost::json;
using report_fixture::day;
using report_fixture::hour;

namespace {

constexpr Timestamp now = 20'000 * day + 12 * hour;

DayFacts connections(std::int64_t on, std::uint64_t count = 1) {
    return {.connections = count, .first_seen = on * day + hour, .last_seen = on * day + 2 * hour};
}

/// One client of an inventory; `modes`: by how many days ago.
ClientRow seen(const std::string& user, const std::map<int, std::string>& modes) {
    ClientRow row;
    row.who = {{.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = ""},
               {.usename = user, .datname = "shop", .application_name = ""}};
    row.first_seen = now;
    for (const auto& [ago, mode] : modes) {
        const std::int64_t on = 20'000 - ago;
        row.days[on][mode] = connections(on);
        row.first_seen = std::min(row.first_seen, on * day + hour);
        row.last_seen = std::max(row.last_seen, on * day + 2 * hour);
        ++row.connections;
        if (mode == "plain") ++row.plain;
        row.evidence.push_back(
            {.label = std::string(protocol::label(mode == "plain" ? protocol::Evidence::clear_startup
                                                                  : protocol::Evidence::tls_startup)),
             .evidence = mode == "plain" ? protocol::Evidence::clear_startup : protocol::Evidence::tls_startup,
             .certificate = {},
             .first_seen = on * day + hour,
             .last_seen = on * day + 2 * hour,
             .count = 1,
             .session = {}});
    }
    return row;
}

std::vector<InventoryRows> inventory(std::vector<ClientRow> clients) {
    InventoryRows rows;
    rows.instance = "a1";
    rows.proxy = {.id = "a1", .name = "app-1", .last_seen = now};
    rows.clients = std::move(clients);
    return {rows};
}

report::ReportClient only(const ClientRow& row) {
    auto report = report::make_report(inventory({row}), {.now = now});
    REQUIRE(report.clients.size() == 1);
    return report.clients.front();
}

std::string trend(const std::map<int, std::string>& modes) {
    return std::string(trend_of(only(seen("app", modes)), now));
}

double number(const json::value& value) { return value.to_number<double>(); }

}  // namespace

TEST_CASE("a client's trend compares the worst of two weeks") {
    CHECK(trend({{10, "plain"}, {1, "TLSv1.3"}}) == "better");
    CHECK(trend({{10, "TLSv1.3"}, {1, "plain"}}) == "worse");
    CHECK(trend({{10, "TLSv1.3"}, {1, "TLSv1.3"}}) == "same");
    CHECK(trend({{10, "TLSv1.1"}, {1, "TLSv1.2"}}) == "better");
    CHECK(trend({{10, "plain"}, {2, "plain"}, {1, "TLSv1.3"}}) == "same");
    CHECK(trend({{1, "TLSv1.3"}}) == "new");
}

TEST_CASE("of a client that was silent for a week no trend is known") {
    CHECK(trend({{10, "plain"}}).empty());
    CHECK(trend({{20, "plain"}, {1, "TLSv1.3"}}).empty());
}

TEST_CASE("a connection in clear that stays open is in clear for as long") {
    ClientRow row = seen("app", {{10, "plain"}, {1, "TLSv1.3"}});
    row.days[20'000 - 10]["plain"].open_until = now;
    CHECK(trend_of(only(row), now) == "same");
}

TEST_CASE("the dashboard's clients are the report's, with what a page needs") {
    const auto rows = inventory({seen("app", {{1, "plain"}}), seen("billing", {{1, "TLSv1.3"}})});
    const auto report = report::make_report(rows, {.now = now});
    json::value told = json::parse(clients_text(report, nullptr, now));
    const json::value expected = json::parse(report::to_json(report));
    CHECK(told.at("summary") == expected.at("summary"));
    json::array& clients = told.as_object().at("clients").as_array();
    REQUIRE(clients.size() == 2);
    CHECK(clients[0].at("key").as_string() != clients[1].at("key").as_string());
    CHECK(clients[0].at("explain").as_string() == report::explain(report.clients[0].action));
    CHECK(clients[0].at("trend").as_string() == "new");
    CHECK(clients[0].at("sessions_open").is_null());
    for (json::value& client : clients) {
        for (const char* more : {"key", "explain", "trend", "sessions_open"}) client.as_object().erase(more);
    }
    CHECK(told == expected);
}

TEST_CASE("a client's key is the same whatever it did meanwhile") {
    const std::string before = key_of(only(seen("app", {{10, "plain"}})));
    CHECK(key_of(only(seen("app", {{10, "plain"}, {1, "TLSv1.3"}}))) == before);
    CHECK(key_of(only(seen("app2", {{10, "plain"}}))) != before);
}

TEST_CASE("sessions that are open now are told with their client") {
    LiveSessions live;
    SessionRecord record;
    record.upstream = "orders";
    record.client_addr = "10.0.0.1";
    record.usename = "app";
    record.datname = "shop";
    const auto first = live.add(record), second = live.add(record);
    record.usename = "somebody else";
    const auto third = live.add(record);
    const auto report = report::make_report(inventory({seen("app", {{1, "plain"}})}), {.now = now});
    const OpenSessions open = live.open();
    const json::value told = json::parse(clients_text(report, &open, now));
    CHECK(number(told.at("clients").at(0).at("sessions_open")) == 2);
}

TEST_CASE("a week's clients by upstream are those of its summary") {
    const auto rows =
        inventory({seen("app", {{1, "plain"}}), seen("billing", {{1, "TLSv1.3"}}), seen("old", {{20, "plain"}})});
    const Week week = week_of(rows, now);
    const UpstreamClients& orders = week.by_upstream.at("orders");
    CHECK(week.summary.clients == 2);
    CHECK(orders.plain == week.summary.plain);
    CHECK(orders.plain == 1);
    CHECK(orders.tls_not_verifying == week.summary.tls_not_verifying);
    CHECK(orders.verifying == week.summary.verifying);
    CHECK(orders.unknown == week.summary.unknown);
    CHECK(orders.not_ready == week.summary.breaks_on_ca_rotation + week.summary.breaks_on_ca_rotation_unknown);
    CHECK(week.not_ready == orders.not_ready);
    CHECK(number(week_object(week).at("total")) == 2);
}

TEST_CASE("clients that go around every proxy are told of apart from those of the week") {
    std::vector<InventoryRows> rows = inventory({seen("app", {{1, "plain"}})});
    rows[0].sampling.push_back({.upstream = "orders",
                                .upstream_addr = "10.1.0.1:5432",
                                .first_look = now - day,
                                .last_look = now,
                                .looks = 100,
                                .interval = 5'000'000});
    for (const char* user : {"app", "batch"}) {
        SampledSessionsRow row;
        row.upstream = "orders";
        row.upstream_addr = "10.1.0.1:5432";
        row.client_addr = "10.0.0.1";
        row.usename = user;
        row.datname = "shop";
        row.first_seen = now - day;
        row.last_seen = now;
        row.looks = row.sessions = row.seen = 3;
        rows[0].sampled_sessions.push_back(row);
    }
    const Week week = week_of(rows, now);
    CHECK(week.summary.clients == 1);
    CHECK(week.not_ready == 0);
    CHECK(week.by_upstream.at("orders").plain == 1);
    const json::object told = week_object(week);
    CHECK(told.at("total") == 1);
    CHECK(told.at("direct") == 2);
    CHECK(told.at("direct_plain") == 2);
    CHECK(told.at("coverage") == 0);

    const auto report = report::make_report(rows, {.now = now});
    const OpenSessions none;
    const json::value clients = json::parse(clients_text(report, &none, now)).at("clients");
    std::set<std::string> keys;
    for (const json::value& client : clients.as_array()) {
        keys.insert(std::string(client.at("key").as_string()));
        CHECK(client.at("sessions_open").is_null() == (client.at("source") == "direct"));
    }
    CHECK(keys.size() == 3);  // also of the one that comes both ways

    const json::value rotation = json::parse(rotation_text(rows, now, [] { return false; }));
    CHECK(rotation.at("days").as_array().back().at("clients") == 1);

    std::vector<Warning> warnings;
    warn_of_direct(warnings, week.summary);
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].what == "direct");
    CHECK(warnings[0].text == "2 clients went around pgairlock in the last 7 days, 2 of them in clear text");
    report::ReportSummary accepted = week.summary;
    accepted.direct_accepted = 2;
    warnings.clear();
    warn_of_direct(warnings, accepted);
    CHECK(warnings.empty());
}

TEST_CASE("each day of the rotation is what a report until its end says") {
    const auto rows = inventory({seen("app", {{3, "plain"}, {1, "TLSv1.3"}}), seen("billing", {{1, "TLSv1.3"}})});
    const json::value told = json::parse(rotation_text(rows, now));
    const json::array& days = told.at("days").as_array();
    REQUIRE(days.size() == 4);  // nothing was known before
    for (std::size_t i = 0; i < days.size(); ++i) {
        const Timestamp end = (20'000 - 3 + static_cast<Timestamp>(i) + 1) * day - 1;
        report::ReportFilter filter{.now = now};
        if (end < now) filter.until = end;
        const report::ReportSummary expected = report::make_report(rows, filter).summary;
        CHECK(number(days[i].at("clients")) == static_cast<double>(expected.clients));
        CHECK(number(days[i].at("in_clear")) == static_cast<double>(expected.plain));
        CHECK(number(days[i].at("not_ready")) ==
              static_cast<double>(expected.breaks_on_ca_rotation + expected.breaks_on_ca_rotation_unknown));
        CHECK(number(days[i].at("ready")) + number(days[i].at("not_ready")) == number(days[i].at("clients")));
    }
    CHECK(days.back().at("day").as_string() == report::day_text(20'000));
}

TEST_CASE("a client that changes is told as a move, at the time when it was first seen so") {
    const auto rows = inventory({seen("app", {{3, "plain"}, {1, "TLSv1.3"}})});
    const json::value told = json::parse(rotation_text(rows, now));
    const json::array& moves = told.at("moves").as_array();
    REQUIRE_FALSE(moves.empty());
    CHECK(moves[0].at("what").as_string() == "client");
    CHECK(moves[0].at("client").as_string() == "app@shop from 10.0.0.1");
    CHECK(moves[0].at("from").as_string() == "in clear");
    CHECK(moves[0].at("t").as_string() == report::time_text((20'000 - 1) * day + hour));
    CHECK(number(told.at("left_out")) == 0);
}

TEST_CASE("a server that shows another issuer's certificate has moved") {
    auto rows = inventory({});
    for (const char* issuer : {"CN=old", "CN=new"}) {
        UpstreamCertificateRow row;
        row.upstream = "orders";
        row.upstream_addr = "10.0.0.9:5432";
        row.sha256 = row.issuer = issuer;
        row.first_seen = row.last_seen = now - (std::string(issuer) == "CN=old" ? 5 : 2) * day;
        row.not_after = now + 400 * day;
        row.count = 1;
        rows[0].upstream_certificates.push_back(row);
    }
    const json::value told = json::parse(rotation_text(rows, now));
    REQUIRE(told.at("moves").as_array().size() == 1);
    const json::object& move = told.at("moves").at(0).as_object();
    CHECK(move.at("what").as_string() == "server");
    CHECK(move.at("from").as_string() == "CN=old");
    CHECK(move.at("to").as_string() == "CN=new");
    CHECK(move.at("t").as_string() == report::time_text(now - 2 * day));
}

TEST_CASE("a server that shows its old authority's certificate again has moved back, and that is the last word") {
    auto rows = inventory({});
    const auto add = [&](const char* sha256, const char* issuer, Timestamp first, Timestamp last) {
        UpstreamCertificateRow row;
        row.upstream = "orders";
        row.upstream_addr = "10.0.0.9:5432";
        row.sha256 = sha256;
        row.issuer = issuer;
        row.first_seen = now - first;
        row.last_seen = now - last;
        row.not_after = now + 400 * day;
        row.count = 1;
        rows[0].upstream_certificates.push_back(row);
    };
    const auto moves = [&] { return json::parse(rotation_text(rows, now)).at("moves").as_array(); };
    add("a", "CN=old", 9 * day, hour);
    add("b", "CN=new", 3 * day, 2 * day);
    json::array told = moves();
    REQUIRE(told.size() == 2);
    CHECK(told[0].at("from").as_string() == "CN=new");
    CHECK(told[0].at("to").as_string() == "CN=old");
    CHECK(told[0].at("t").as_string() == report::time_text(now - 2 * day));
    CHECK(told[0].at("back").as_bool());
    CHECK(told[1].at("to").as_string() == "CN=new");
    CHECK_FALSE(told[1].at("back").as_bool());
    // A new certificate of the old authority is a row of its own, and told once.
    add("c", "CN=old", day, day / 2);
    told = moves();
    REQUIRE(told.size() == 2);
    CHECK(told[0].at("to").as_string() == "CN=old");
    CHECK_FALSE(told[0].at("back").as_bool());
    // Where both were seen last at one moment, nothing says that it went back.
    rows[0].upstream_certificates.clear();
    add("a", "CN=old", 9 * day, hour);
    add("b", "CN=new", 3 * day, hour);
    CHECK(moves().size() == 1);
}

TEST_CASE("a server that shows another key of the same name has moved, and which keys they are is said") {
    auto rows = inventory({});
    for (const char* key : {"aa", "bb", "bb"}) {
        UpstreamCertificateRow row;
        row.upstream = "orders";
        row.upstream_addr = "10.0.0.9:5432";
        row.sha256 = std::to_string(rows[0].upstream_certificates.size());
        row.issuer = row.anchor = "CN=Root";
        row.anchor_key_sha256 = key;
        row.first_seen = row.last_seen = now - 5 * day + static_cast<Timestamp>(rows[0].upstream_certificates.size());
        row.not_after = now + 400 * day;
        row.count = 1;
        rows[0].upstream_certificates.push_back(row);
    }
    const json::value told = json::parse(rotation_text(rows, now));
    REQUIRE(told.at("moves").as_array().size() == 1);
    const json::object& move = told.at("moves").at(0).as_object();
    CHECK(move.at("from").as_string() == "CN=Root");
    CHECK(move.at("to").as_string() == "CN=Root");
    CHECK(move.at("from_key").as_string() == "aa");
    CHECK(move.at("to_key").as_string() == "bb");
}

TEST_CASE("what is wrong is told once, the worst first") {
    const SystemTime then = to_time(now);
    std::vector<Warning> warnings;
    using std::chrono::hours;
    warn_of_end(warnings, "one", {{}, then + hours(24 * 20)}, then);
    warn_of_end(warnings, "another", {{}, then + hours(24)}, then);
    warn_of_end(warnings, "a third", {{}, then - hours(1)}, then);
    warn_of_end(warnings, "a good one", {{}, then + hours(24 * 31)}, then);
    warn_of_end(warnings, "none", {{}, SystemTime{}}, then);
    warn_of_end(warnings, "one to come", {then + hours(1), then + hours(24 * 400)}, then);
    const json::array told = warnings_array(warnings);
    REQUIRE(told.size() == 4);
    CHECK(told[0].at("severity").as_string() == "critical");
    CHECK(told[1].at("text").as_string().starts_with("a third has ended on "));
    CHECK(told[2].at("severity").as_string() == "critical");
    CHECK(told[2].at("text").as_string().starts_with("one to come is not valid before "));
    CHECK(told[3].at("severity").as_string() == "warning");
    CHECK(told[3].at("text").as_string().starts_with("one ends in 20 days, on "));
    CHECK(told[3].at("since").is_null());
}

TEST_CASE("one of several inventories that goes away is as it was, and that is said") {
    bool is_away = false;
    InventoryPlaces places({{.read =
                                 [&] {
                                     if (is_away)
                                         throw std::runtime_error("cannot connect to the inventory:\n  refused");
                                     return inventory({seen("app", {{1, "plain"}})});
                                 }},
                            {.read = [] { return std::vector<InventoryRows>{}; }}});
    const SystemTime then = to_time(now);
    auto before = places.read(then);
    CHECK(before.known);
    CHECK(before.unread.empty());
    places.keep(std::move(before));
    is_away = true;
    const auto after = places.read(then + std::chrono::minutes(5));
    CHECK(after.known);
    CHECK(after.rows.size() == 1);
    CHECK(after.oldest == then);
    REQUIRE(after.unread.size() == 1);
    CHECK(after.unread[0] == "cannot connect to the inventory:   refused; what is shown of it is of " +
                                 report::time_text(now) + "; tried at " + report::time_text(now + 5 * hour / 60));
}

TEST_CASE("of an inventory that was never read nothing is known") {
    InventoryPlaces places({{.read = []() -> std::vector<InventoryRows> { throw std::runtime_error("away"); }}});
    const auto reading = places.read(to_time(now));
    CHECK_FALSE(reading.known);
    CHECK(reading.unread.at(0).starts_with("away; nothing of it is known"));
}
