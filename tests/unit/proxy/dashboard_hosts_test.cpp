#include <algorithm>

#include "proxy/dashboard/live_source.hpp"
#include "support/catch.hpp"

using namespace proxy;

TEST_CASE("a certificate is not the current one of a server that shows another, which is refused") {
    report::Report report;
    report.upstream_certificates.resize(2);
    for (report::ReportCertificate& one : report.upstream_certificates) {
        one.current = true;
        one.row.upstream = "orders";
        one.row.candidate_ok = false;
    }
    report.upstream_certificates[0].row.upstream_addr = "10.0.0.1:5432";
    report.upstream_certificates[1].row.upstream_addr = "10.0.0.2:5432";
    dashboard::shows_no_more(report,
                             {{.key = "10.0.0.1:5432", .upstream = "orders", .host = "", .verify_error = "expired"},
                              {.key = "10.0.0.2:5432", .upstream = "orders", .host = "", .error = "timeout"}});
    CHECK_FALSE(report.upstream_certificates[0].current);
    CHECK(report.upstream_certificates[1].current);
    const auto warnings = dashboard::warnings_of(report, std::chrono::system_clock::time_point{});
    CHECK(std::count_if(warnings.begin(), warnings.end(),
                        [](const auto& one) { return one.what == "candidate_refuses"; }) == 1);
}

TEST_CASE("a server whose certificate is refused is one critical warning, with the reason and its time") {
    const auto since = std::chrono::system_clock::now();
    const dashboard::Warning warning = dashboard::warning_of({.key = "10.0.0.1:5432",
                                                              .upstream = "orders",
                                                              .host = "db:5432",
                                                              .error = "certificate refused: expired",
                                                              .since = since,
                                                              .verify_error = "certificate has expired"});
    CHECK(warning.critical);
    CHECK(warning.what == "upstream_unverified");
    CHECK(warning.text ==
          "the server 10.0.0.1:5432 of orders shows a certificate that is refused, and nobody is let in to it: "
          "certificate has expired");
    CHECK(warning.since == since);
}

TEST_CASE("a server that is not reached is told with what it failed with") {
    const dashboard::Warning warning = dashboard::warning_of(
        {.key = "10.0.0.1:5432", .upstream = "orders", .host = "db:5432", .error = "Connection refused"});
    CHECK(warning.what == "host_down");
    CHECK(warning.text == "the server 10.0.0.1:5432 of orders does not serve: Connection refused");
}
