// What people said about clients: whom it concerns, and for how long it holds.
#include <algorithm>

#include "proxy/report/report.hpp"
#include "support/catch.hpp"

namespace {

using protocol::Evidence;
using namespace proxy;
using namespace proxy::report;

constexpr Timestamp hour = 3'600'000'000;
constexpr Timestamp start = 20'000 * day_length;
constexpr Timestamp now = start + 10 * day_length;

EvidenceRow seen(Evidence evidence, Timestamp when, std::uint64_t count = 4) {
    return {.label = std::string(label(evidence)),
            .evidence = evidence,
            .certificate = "real",
            .first_seen = when,
            .last_seen = when,
            .count = count,
            .session = "s"};
}

ClientRow client(const std::string& name) {
    ClientRow row;
    row.who = {{.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = ""},
               {.usename = name, .datname = "db", .application_name = ""}};
    row.first_seen = row.last_seen = start;
    return row;
}

/// Four connections over `mode`, which prove `evidence`.
void connect(ClientRow& row, const std::string& mode, Evidence evidence, Timestamp when = start,
             std::uint64_t weak_tls = 0) {
    row.days[when / day_length][mode] = {.connections = 4, .weak_tls = weak_tls, .first_seen = when, .last_seen = when};
    row.evidence.push_back(seen(evidence, when));
    row.connections += 4;
    row.plain += mode == "plain" ? 4 : 0;
    row.weak_tls += weak_tls;
    row.last_seen = std::max(row.last_seen, when);
}

ClientRow in_clear(const std::string& name) {
    ClientRow row = client(name);
    connect(row, "plain", Evidence::clear_startup);
    return row;
}

ClientRow over_tls(const std::string& name) {
    ClientRow row = client(name);
    connect(row, "TLSv1.3", Evidence::tls_startup);
    return row;
}

InventoryRows inventory(std::vector<ClientRow> clients, std::vector<MarkRow> marks = {}) {
    InventoryRows rows;
    rows.instance = "a";
    rows.proxy.id = "a";
    rows.proxy.last_seen = now;
    rows.clients = std::move(clients);
    rows.marks = std::move(marks);
    return rows;
}

Report made(const InventoryRows& rows, std::vector<Dimension> group_by = {}) {
    ReportFilter filter;
    filter.now = now;
    filter.group_by = std::move(group_by);
    return make_report({rows}, filter);
}

const ReportClient& only(const Report& report) {
    REQUIRE(report.clients.size() == 1);
    return report.clients.front();
}

/// As `pgairlock client accept` does it.
MarkRow accepted(const ClientRow& row, Timestamp until = 0) {
    const Report report = made(inventory({row}));
    MarkRow mark = mark_of(only(report));
    mark.accepted = true;
    mark.accepted_until = until;
    mark.accepted_state = joined_words(complaints(only(report)));
    mark.owner = "Anna";
    mark.changed_at = now - hour;
    return mark;
}

MarkRow repaired(const ClientRow& row, Timestamp at) {
    MarkRow mark;
    mark.who = row.who;
    mark.repaired_at = mark.changed_at = at;
    return mark;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("an accepted client stays visible, comes last, and does not fail --fail-on") {
    const ClientRow legacy = in_clear("legacy");
    const Report before = made(inventory({legacy, over_tls("modern")}));
    CHECK(before.clients.front().row.who.usename == "legacy");
    CHECK(has_failed(before, FailOn::weak));

    const Report report = made(inventory({legacy, over_tls("modern")}, {accepted(legacy)}));
    REQUIRE(report.clients.size() == 2);
    CHECK(report.clients.back().row.who.usename == "legacy");
    CHECK(report.clients.back().weak);
    CHECK(report.clients.back().excused);
    CHECK(report.summary.weak == 1);
    CHECK(report.summary.accepted == 1);
    CHECK_FALSE(has_failed(report, FailOn::weak));
    CHECK_FALSE(has_failed(report, FailOn::failing));
    CHECK(has_failed(report, FailOn::unknown));  // the other one's
}

TEST_CASE("an acceptance ends at its time, and is still shown") {
    const ClientRow legacy = in_clear("legacy");
    CHECK_FALSE(has_failed(made(inventory({legacy}, {accepted(legacy, now + 1)})), FailOn::weak));
    const Report report = made(inventory({legacy}, {accepted(legacy, now)}));
    CHECK(has_failed(report, FailOn::weak));
    CHECK(only(report).accepted->owner == "Anna");
    CHECK(only(report).accepted->worse.empty());
}

TEST_CASE("whoever comes after an acceptance is not excused by it") {
    const ClientRow legacy = in_clear("legacy");
    ClientRow elsewhere = legacy;
    elsewhere.who.client_addr = "10.0.0.2";
    const Report report = made(inventory({legacy, elsewhere}, {accepted(legacy)}));
    CHECK(report.clients.front().row.who.client_addr == "10.0.0.2");
    CHECK(has_failed(report, FailOn::weak));
}

TEST_CASE("an accepted client that becomes worse is not excused any more") {
    SECTION("in clear, when what it verifies was unknown") {
        ClientRow row = over_tls("app");
        const MarkRow mark = accepted(row);
        CHECK(mark.accepted_state.empty());
        CHECK_FALSE(has_failed(made(inventory({row}, {mark})), FailOn::unknown));
        connect(row, "plain", Evidence::clear_startup, start + day_length);
        const Report report = made(inventory({row}, {mark}));
        CHECK_FALSE(only(report).excused);
        CHECK(only(report).accepted->worse == Words{"plain", "mixed"});
        CHECK(has_failed(report, FailOn::weak));
    }
    SECTION("does not verify, when that was unknown") {
        ClientRow row = over_tls("app");
        const MarkRow mark = accepted(row);
        row.evidence.push_back(seen(Evidence::untrusted_accepted, start + day_length));
        CHECK(only(made(inventory({row}, {mark}))).accepted->worse == Words{"not_verifying"});
    }
    SECTION("in clear, when it only did not verify") {
        ClientRow row = over_tls("app");
        row.evidence.push_back(seen(Evidence::untrusted_accepted, start));
        const MarkRow mark = accepted(row);
        CHECK(mark.accepted_state == "not_verifying");
        connect(row, "plain", Evidence::clear_startup, start + day_length);
        CHECK(only(made(inventory({row}, {mark}))).accepted->worse == Words{"plain"});
    }
    SECTION("old TLS, when it only did not verify") {
        ClientRow row = over_tls("app");
        row.evidence.push_back(seen(Evidence::untrusted_accepted, start));
        const MarkRow mark = accepted(row);
        connect(row, "TLSv1.1", Evidence::tls_startup, start + day_length, 4);
        CHECK(only(made(inventory({row}, {mark}))).accepted->worse == Words{"weak_tls"});
    }
    SECTION("cannot connect any more") {
        ClientRow row = client("app");
        row.evidence.push_back(seen(Evidence::clear_startup, start));
        const MarkRow mark = accepted(row);
        row.failures = 3;
        row.last_failure = start;
        const Report report = made(inventory({row}, {mark}));
        CHECK(only(report).accepted->worse == Words{"failing"});
        CHECK(has_failed(report, FailOn::failing));
    }
}

TEST_CASE("an accepted client that becomes better stays excused") {
    ClientRow row = in_clear("app");
    const MarkRow mark = accepted(row);
    CHECK(mark.accepted_state == "plain");
    connect(row, "TLSv1.1", Evidence::tls_startup, start + day_length, 4);
    row.evidence.push_back(seen(Evidence::untrusted_accepted, start + day_length));
    const Report report = made(inventory({row}, {mark}));
    CHECK(only(report).plain);
    CHECK(only(report).mixed);
    CHECK(only(report).excused);
}

TEST_CASE("of clients in one row all must be excused") {
    const ClientRow one = in_clear("one"), other = in_clear("other");
    const std::vector<Dimension> by{Dimension::database};
    CHECK(has_failed(made(inventory({one, other}, {accepted(one)}), by), FailOn::weak));
    CHECK_FALSE(has_failed(made(inventory({one, other}, {accepted(one), accepted(other)}), by), FailOn::weak));

    // Worse by itself: what the others were accepted for does not cover it.
    ClientRow worse = over_tls("worse");
    const MarkRow mark = accepted(worse);
    connect(worse, "plain", Evidence::clear_startup);
    CHECK(has_failed(made(inventory({one, worse}, {accepted(one), mark}), by), FailOn::weak));
}

TEST_CASE("what was seen until a repair counts no more, failures neither") {
    ClientRow row = client("app");
    connect(row, "plain", Evidence::clear_startup);
    row.days[start / day_length]["plain"].failures = 2;
    row.last_failure = start;
    const Report report = made(inventory({row}, {repaired(row, start + hour)}));
    CHECK_FALSE(only(report).weak);
    CHECK_FALSE(only(report).failing);
    CHECK(only(report).verifies == protocol::Verifies::unknown);
    CHECK(only(report).action == Action::probe);
    CHECK(has_failed(report, FailOn::unknown));

    row.last_failure = start + 2 * hour;
    CHECK(only(made(inventory({row}, {repaired(row, start + hour)}))).failing);
    connect(row, "plain", Evidence::clear_startup, start + 2 * hour);
    CHECK(only(made(inventory({row}, {repaired(row, start + hour)}))).weak);
}

TEST_CASE("names that were folded are marked as their pattern") {
    std::vector<ClientRow> rows;
    for (int i = 10; i < 20; ++i) {
        rows.push_back(in_clear("app"));
        rows.back().who.application_name = "worker " + std::to_string(i);
    }
    const Report before = made(inventory(rows));
    MarkRow mark = mark_of(only(before));
    CHECK(mark.who.application_name == "worker #");
    mark.accepted = true;
    set_state(mark, only(before), complaints(only(before)));
    CHECK_FALSE(has_failed(made(inventory(rows, {mark})), FailOn::weak));
}

TEST_CASE("a client whose address is of its host alone is marked on that host") {
    ClientRow row = in_clear("app");
    row.who.client_addr = "127.0.0.1";
    InventoryRows here = inventory({row}), there = inventory({row});
    there.instance = there.proxy.id = "b";
    ReportFilter filter;
    filter.now = now;
    filter.proxy = "a";
    const Report of_a = make_report({here, there}, filter);
    MarkRow mark = mark_of(only(of_a));
    CHECK(mark.who.seen_by == "a");
    mark.accepted = true;
    mark.accepted_state = joined_words(complaints(only(of_a)));
    here.marks = {mark};
    CHECK_FALSE(has_failed(make_report({here, there}, filter), FailOn::weak));
    filter.proxy = "b";
    CHECK(has_failed(make_report({here, there}, filter), FailOn::weak));
}

TEST_CASE("of marks in several places the newest counts, and says everything") {
    const ClientRow row = in_clear("app");
    MarkRow older = accepted(row);
    MarkRow newer = mark_of(only(made(inventory({row}, {older}))));
    CHECK(newer.accepted);
    CHECK(newer.accepted_state == older.accepted_state);
    CHECK(newer.owner == "Anna");
    CHECK(newer.changed_at == older.changed_at);
    newer.note = "seen to";
    newer.changed_at += 1;
    InventoryRows fleets_own;
    fleets_own.marks = {newer};
    ReportFilter filter;
    filter.now = now;
    const Report report = make_report({fleets_own, inventory({row}, {older})}, filter);
    CHECK(only(report).note == "seen to");
    CHECK(only(report).excused);
}

TEST_CASE("what was said of a client whose name looks like a pattern is said of nobody else") {
    const auto job = [](const std::string& name) {
        ClientRow row = in_clear("legacy");
        row.who.application_name = name;
        return row;
    };
    std::vector<ClientRow> all{job("job #")};
    const MarkRow of_the_one = accepted(all.front());
    for (int i = 0; i < 20; ++i) all.push_back(job("job " + std::to_string(i)));
    const Report report = made(inventory(all, {of_the_one}));
    REQUIRE(report.clients.size() == 1);
    CHECK_FALSE(report.clients.front().excused);
    CHECK(has_failed(report, FailOn::weak));

    MarkRow of_all = mark_of(only(report));
    of_all.accepted = true;
    set_state(of_all, only(report), complaints(only(report)));
    CHECK(only(made(inventory(all, {of_all}))).excused);
    CHECK_FALSE(only(made(inventory({all.front()}, {of_all}))).excused);
    CHECK(only(made(inventory(all, {of_all}))).accepted->state == complaints(only(report)));
}
