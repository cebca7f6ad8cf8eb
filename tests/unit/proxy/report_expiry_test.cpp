// Certificates of servers that come near their end, in every form of the report.
#include "report_fixture.hpp"
#include "support/catch.hpp"

namespace {

using namespace report_fixture;

ReportCertificate shown(const std::string& address, Timestamp not_after, bool current = true) {
    ReportCertificate one{.row = {}, .current = current};
    one.row.upstream = "orders";
    one.row.upstream_addr = address;
    one.row.subject = "CN=" + address;
    one.row.not_after = not_after;
    one.row.first_seen = start - 20 * day;
    one.row.last_seen = start - hour;
    return one;
}

Report report_with(std::vector<ReportCertificate> certificates) {
    Report report = report_of({client("app")});
    report.filter.now = start;
    report.upstream_certificates = std::move(certificates);
    return report;
}

TEST_CASE("report: certificates that servers show and that end within 30 days are listed, the first first") {
    const Report report = report_with({shown("late", start + 31 * day), shown("soon", start + 5 * day + hour),
                                       shown("ended", start - hour), shown("replaced", start + day, false),
                                       shown("edge", start + 30 * day)});
    const auto all = certificates_expiring(report);
    REQUIRE(all.size() == 3);
    CHECK((all[0].row->upstream_addr == "ended" && all[0].days_left == -1));
    CHECK((all[1].row->upstream_addr == "soon" && all[1].days_left == 5));
    CHECK((all[2].row->upstream_addr == "edge" && all[2].days_left == 30));
    CHECK(has(to_json(report), R"("certificates_expiring":[{"upstream":"orders","upstream_addr":"ended",)"));
    CHECK(has(to_json(report), R"("days_left":5})"));
    const std::string text = table(report);
    CHECK(has(text, time_text(start + 5 * day).substr(0, 10) + ", in 5 days"));
    CHECK(has(text, time_text(start - hour).substr(0, 10) + ", ended"));
    CHECK_FALSE(has(text, time_text(start + 31 * day).substr(0, 10) + ","));
    CHECK_FALSE(has(text, time_text(start + day).substr(0, 10) + ","));  // shown no more
}

TEST_CASE("report: --fail-on expiring says which server is the first") {
    CHECK(parse_fail_on("expiring") == FailOn::expiring);
    CHECK(why_failed(report_with({shown("a", start + 31 * day)}), FailOn::expiring).empty());
    CHECK(why_failed(report_with({shown("a", start + 31 * day), shown("b", start + 3 * day)}), FailOn::expiring) ==
          "1 certificate of servers: the first, of b (orders), ends on " + time_text(start + 3 * day));
    CHECK(has(why_failed(report_with({shown("b", start - 3 * day)}), FailOn::expiring), "has ended on"));
    CHECK(why_failed(report_with({}), FailOn::expiring) == "no certificate of a server is known");
    Report incomplete = report_with({shown("a", start + 31 * day)});
    incomplete.summary.incomplete = {"something"};
    CHECK_FALSE(why_failed(incomplete, FailOn::expiring).empty());
}

TEST_CASE("report: the certificate of a server that nobody has met for long is nobody's task") {
    ReportCertificate gone = shown("gone", start - 40 * day);
    gone.row.last_seen = start - 31 * day;
    CHECK(certificates_expiring(report_with({gone})).empty());
    gone.row.last_seen = start - 29 * day;
    CHECK(certificates_expiring(report_with({gone})).size() == 1);
}

TEST_CASE("report: the last day before the end") {
    CHECK(end_text(shown("a", start + hour), start) == time_text(start + hour).substr(0, 10) + ", within a day");
    CHECK(end_text(shown("a", start + day), start) == time_text(start + day).substr(0, 10) + ", in 1 day");
}

}  // namespace
