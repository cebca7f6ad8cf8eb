// One certificate of a server, as several proxies of a fleet know it.
#include <algorithm>

#include "proxy/dashboard/warning.hpp"
#include "report_fixture.hpp"
#include "support/catch.hpp"

namespace {

using namespace report_fixture;

UpstreamCertificateRow row_of(std::optional<bool> candidate_ok, Timestamp last_seen = start) {
    UpstreamCertificateRow row{};
    row.upstream = "orders";
    row.upstream_addr = "10.1.0.1:5432";
    row.sha256 = "ab";
    row.not_after = start + 400 * day;
    row.first_seen = start - 90 * day;
    row.last_seen = last_seen;
    row.candidate_ok = candidate_ok;
    if (candidate_ok) row.candidate_since = last_seen - day;
    return row;
}

/// What the proxies edge-0, edge-1 ... know of it.
Report fleet(const std::vector<UpstreamCertificateRow>& rows) {
    std::vector<InventoryRows> each;
    for (const UpstreamCertificateRow& row : rows) {
        const std::string id = std::to_string(each.size());
        each.push_back({});
        each.back().instance = id;
        each.back().proxy = {.id = id, .name = "edge-" + id, .first_seen = start - 90 * day, .last_seen = start};
        each.back().upstream_certificates = {row};
    }
    return make_report(each, {});
}

const ReportCertificate& only(const Report& report) {
    REQUIRE(report.upstream_certificates.size() == 1);
    return report.upstream_certificates.front();
}

std::string warning(const Report& report, const std::string& what) {
    const auto all = dashboard::warnings_of(report, dashboard::to_time(start));
    const auto found = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.what == what; });
    return found == all.end() ? "" : found->text;
}

TEST_CASE("report: one proxy whose candidate refuses a server is enough, whoever saw it last") {
    for (const Timestamp later : {-hour, hour}) {
        const Report report = fleet({row_of(true), row_of(false, start + later), row_of(true, start + 2 * hour)});
        const ReportCertificate& one = only(report);
        CHECK(one.row.candidate_ok == false);
        CHECK(one.row.candidate_since == start + later - day);
        CHECK(one.rehearsal.refused_by == std::set<std::string>{"edge-1"});
        CHECK(has(table(report, 200), "fails at edge-1 since "));
        CHECK(has(to_html(report, start), "does not suffice at edge-1 since "));
        CHECK(has(to_json(report), R"("candidate_ok":false)"));
        CHECK(has(to_json(report), R"("candidate_refused_by":["edge-1"],"candidate_not_judged_by":[])"));
        CHECK(warning(report, "candidate_refuses") ==
              "sslrootcert_candidate of edge-1 would refuse the certificate that 10.1.0.1:5432 (orders) shows");
    }
}

TEST_CASE("report: a proxy without a candidate makes no candidate enough for the fleet") {
    for (const Timestamp later : {-hour, hour}) {
        const Report report = fleet({row_of(true), row_of(std::nullopt, start + later)});
        const ReportCertificate& one = only(report);
        CHECK_FALSE(one.row.candidate_ok);
        CHECK_FALSE(one.row.candidate_since);
        CHECK(has(table(report, 200), "not rehearsed at edge-1"));
        CHECK(has(to_html(report, start), "not rehearsed at edge-1"));
        CHECK(has(to_json(report), R"("candidate_ok":null,"candidate_since":null,"candidate_refused_by":[],)"
                                   R"("candidate_not_judged_by":["edge-1"])"));
        CHECK(warning(report, "candidate_missing") ==
              "sslrootcert_candidate of other proxies verifies the certificate that 10.1.0.1:5432 (orders) shows, but "
              "edge-1 has none");
    }
    // Where one refuses, that is said first.
    const Report both = fleet({row_of(false), row_of(std::nullopt)});
    CHECK(only(both).row.candidate_ok == false);
    CHECK(only(both).rehearsal.not_judged_by == std::set<std::string>{"edge-1"});
    CHECK(warning(both, "candidate_missing").empty());
    CHECK(has(table(both, 200), "fails at edge-0 since "));
    // Where nobody rehearses, nobody is in the way.
    const Report none = fleet({row_of(std::nullopt), row_of(std::nullopt)});
    CHECK(only(none).rehearsal.not_judged_by.empty());
    CHECK(warning(none, "candidate_missing").empty());
}

TEST_CASE("report: a candidate is enough for a fleet since the last proxy said so") {
    const Report report = fleet({row_of(true), row_of(true, start + hour), row_of(true, start - hour)});
    CHECK(only(report).row.candidate_ok == true);
    CHECK(only(report).row.candidate_since == start + hour - day);
    CHECK(has(table(report, 200), "suffices since "));
}

TEST_CASE("report: a proxy that has not met a server for a month is not asked about its candidate") {
    CHECK(only(fleet({row_of(true), row_of(false, start - 30 * day)})).row.candidate_ok == false);
    const Report report = fleet({row_of(false, start - 30 * day - 1), row_of(true)});
    CHECK(only(report).row.candidate_ok == true);
    CHECK(only(report).rehearsal.refused_by.empty());
}

TEST_CASE("report: of one proxy alone it goes without saying whose candidate it is") {
    const Report report = fleet({row_of(false)});
    CHECK(has(table(report, 200), "fails since "));
    CHECK(warning(report, "candidate_refuses") ==
          "sslrootcert_candidate would refuse the certificate that 10.1.0.1:5432 (orders) shows");
}

TEST_CASE("report: the newest name of an anchor counts, and has no key of another name") {
    UpstreamCertificateRow older = row_of(std::nullopt), newer = row_of(std::nullopt, start + hour);
    older.anchor = "CN=Old Root";
    older.anchor_key_sha256 = "aa";
    newer.anchor = "CN=New Root";  // of a version that knew no keys
    UpstreamCertificateRow unverified = row_of(std::nullopt, start + 2 * hour);
    std::vector<UpstreamCertificateRow> rows{older, newer, unverified};
    for (int i = 0; i < 3; ++i) {
        const UpstreamCertificateRow row = only(fleet(rows)).row;
        CHECK(row.anchor == "CN=New Root");
        CHECK(row.anchor_key_sha256.empty());
        CHECK(row.last_seen == start + 2 * hour);
        std::rotate(rows.begin(), rows.begin() + 1, rows.end());
    }
    // A key of the same name is its own.
    rows[0].anchor = "CN=New Root";
    CHECK(only(fleet(rows)).row.anchor_key_sha256 == "aa");
}

}  // namespace
