#include <algorithm>

#include "report_fixture.hpp"
#include "support/catch.hpp"

using namespace report_fixture;

namespace {

std::string page(const Report& report) { return to_html(report, start); }

std::size_t count(const std::string& text, std::string_view part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

/// With `clear` and `tls` connections on a day.
ReportClient on_day(const std::string& name, std::int64_t day, std::uint64_t clear, std::uint64_t tls) {
    ReportClient out = client(name);
    if (clear > 0) out.row.days[day]["plain"].connections = clear;
    if (tls > 0) out.row.days[day]["TLSv1.3"].connections = tls;
    return out;
}

}  // namespace

TEST_CASE("a page's title says which proxies, which time and which clients it covers") {
    Report report = report_of({client("app")});
    report.filter.since = start - day;
    report.filter.until = start + day;
    report.filter.usename = "app<";
    CHECK(has(page(report),
              "<title>pgairlock: migration report of app-1, 2024-10-03T00:00Z to 2024-10-05T00:00Z, user app&lt;"
              "</title>"));
    for (const char* id : {"b", "c", "d", "e"}) report.proxies.push_back(proxy_named(id, id));
    CHECK(has(page(report), "<title>pgairlock: migration report of 5 proxies, "));
}

TEST_CASE("a page says what is missing before anything else") {
    Report report = report_of({client("app")});
    report.summary.incomplete = {"app-1: 3 events dropped"};
    report.proxies[0].silent = 3 * hour;
    report.summary.silent_proxies = 1;
    const std::string text = page(report);
    CHECK(text.find("app-1 is silent for 3 hours") < text.find("class=\"tiles\""));
    CHECK(text.find("Incomplete: app-1: 3 events dropped.") < text.find("class=\"tiles\""));
    CHECK_FALSE(has(page(report_of({client("app")})), "class=\"missing\""));
}

TEST_CASE("a page's columns stand in the order of the questions, and only where there is something in them") {
    ReportClient full = client("app");
    full.mixed = full.excused = true;
    full.row.who.client_uid = 1000;
    full.row.who.application_name = "cron";
    full.accepted = Acceptance{.owner = "ops", .reason = "vendor", .until = 0};
    ReportClient other = client("other");
    other.row.who.upstream = "reader";
    Report report = report_of({full, other});
    report.summary.accepted = 1;
    report.proxies.push_back(proxy_named("b2", "app-2"));
    const std::string text = page(report);
    const std::string accepted = text.substr(text.find("id=\"accepted\""));
    std::size_t at = 0;
    for (const char* title : {"Client", "uid", "User@database", "Application", "Upstream", "Proxy", "Weak", "Mixed",
                              "Verifies", "Breaks on force_ssl", "Breaks on CA rotation", "Action", "In clear",
                              "Connections", "Failures", "Last seen", "Accepted", "sslmode", "Proof"}) {
        const std::size_t found = accepted.find(">" + std::string(title) + "</button>");
        INFO(title);
        REQUIRE(found != std::string::npos);
        CHECK(found > at);
        at = found;
    }
    const std::string small = page(report_of({client("app")}));
    for (const char* title : {"uid", "Application", "Upstream", "Proxy", "Mixed", "Accepted"})
        CHECK_FALSE(has(small.substr(0, small.find("id=\"certificates\"")), ">" + std::string(title) + "</button>"));
}

TEST_CASE("bars have numbers: the day's total, and what of it is in clear") {
    Report report = report_of({client("app")});
    report.summary.days[20'000] = {{"plain", 53}, {"TLSv1.3", 4}};
    const std::string text = page(report);
    CHECK(has(text, "53 of 57 connections in clear text</title>"));
    CHECK(has(text, ">57</text>"));
    CHECK(has(text, "<text class=\"on\""));
    CHECK(has(text, ">53</text>"));
}

TEST_CASE("clients by day are counted by what they did that day, and verification is said not to be known by day") {
    Report report = report_of({on_day("a", 20'000, 3, 0), on_day("b", 20'000, 1, 2), on_day("c", 20'000, 0, 2),
                               on_day("d", 20'000, 0, 1), on_day("e", 20'001, 0, 1)});
    const std::string text = page(report);
    CHECK(has(text, "2024-10-04: 1 of 4 clients in clear text only"));
    CHECK(has(text, "2024-10-04: 1 of 4 clients in clear text and with TLS"));
    CHECK(has(text, "2024-10-04: 2 of 4 clients with TLS only"));
    CHECK(has(text, "2024-10-05: 1 of 1 clients with TLS only"));
    CHECK(has(text, "Whether one verified the server was not written down day by day"));
    CHECK(count(page(report_of({client("app")})), "Clients by day") == 0);
}

TEST_CASE("a page names authorities by their CN, and has the rest of them at hand") {
    Report report = report_of({client("app")});
    UpstreamCertificateRow row;
    row.issuer = row.anchor = "CN=Root,O=\"Old\"";
    report.upstream_certificates = {{.row = row, .current = true}};
    CHECK(count(page(report), "<td title=\"CN=Root,O=&quot;Old&quot;\">Root</td>") == 2);
}

TEST_CASE("a page shows the last group of a client's key exchange, and keys of authorities that share a name") {
    ReportClient modern = client("app");
    modern.row.groups = {"X25519MLKEM768", "P-256"};
    Report report = report_of({modern});
    for (const char* const key : {"0123456789", "9876543210"}) {
        UpstreamCertificateRow row;
        row.issuer = row.anchor = "CN=Root";
        row.anchor_key_sha256 = key;
        report.upstream_certificates.push_back({.row = row, .current = true});
    }
    const std::string text = page(report);
    CHECK(has(text, "<small>X25519MLKEM768</small>"));
    CHECK(has(text, "<small>key 01234567</small>"));
    CHECK(has(text, "<small>key 98765432</small>"));
}

TEST_CASE("a page shows what changed since an older report") {
    Report report = report_of({client("app")});
    CHECK_FALSE(has(page(report), "id=\"against\""));
    report.against = Comparison{.until = start,
                                .worse = {{.client = {.who = client("<app>").row.who, .state = State::in_clear},
                                           .changes = {{"state", "unknown", "in clear"}}}}};
    const std::string text = page(report);
    CHECK(has(text, "new 0, worse 1, better 0, gone 0"));
    CHECK(has(text, "state unknown → in clear"));
    CHECK(has(text, "&lt;app&gt;"));
}
