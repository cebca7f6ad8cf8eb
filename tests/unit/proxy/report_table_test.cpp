#include <algorithm>

#include "proxy/report/report_layout.hpp"
#include "report_fixture.hpp"
#include "support/catch.hpp"

using namespace report_fixture;

namespace {

ReportCertificate certificate(const std::string& issuer, const std::string& sha256) {
    UpstreamCertificateRow row;
    row.upstream = "orders";
    row.upstream_addr = "10.1.0.1:5432";
    row.sha256 = sha256;
    row.issuer = row.anchor = issuer;
    return {.row = row, .current = true};
}

std::size_t widest_line(const std::string& text) {
    std::size_t widest = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        widest = std::max(widest, columns_of(std::string_view(text).substr(at, end - at)));
        at = end + 1;
    }
    return widest;
}

std::string line_with(const std::string& text, std::string_view part) {
    const std::size_t at = text.find(part);
    if (at == std::string::npos) return "";
    const std::size_t begin = text.rfind('\n', at) + 1;
    return text.substr(begin, text.find('\n', at) - begin);
}

}  // namespace

TEST_CASE("the table says first how many proxies it knows, which are silent, and what is missing") {
    Report report = report_of({client("app")});
    CHECK(table(report).starts_with("1 proxy\n"));
    report.proxies.push_back(proxy_named("b2", "db-7", 2 * day));
    report.summary.silent_proxies = 1;
    report.summary.incomplete = {"db-7: 3 events dropped"};
    CHECK(table(report).starts_with("2 proxies, 1 silent: db-7 for 2 days\nincomplete: db-7: 3 events dropped\n"));
    const std::string coloured = to_table(report, {.colours = true, .now = start});
    CHECK(coloured.starts_with("\x1b[33m2 proxies, 1 silent: db-7 for 2 days\x1b[0m\n\x1b[33mincomplete"));
    CHECK(table(report_of({})).starts_with("1 proxy\n"));
    CHECK(table(Report{}).starts_with("0 proxies\n"));
}

TEST_CASE("clear text over a network is told apart from clear text on this host") {
    Report report = report_of({client("app")});
    report.summary.plain = 3;
    report.summary.plain_network = 1;
    report.summary.plain_local = 2;
    CHECK(has(table(report), "      3  in clear text: 1 over a network, 2 on loopback or a UNIX socket\n"));
}

TEST_CASE("what is in clear crossed no network only when all of it is known to be of this host") {
    const auto row = [](const std::string& address) {
        ClientRow out = client("app").row;
        out.who.client_addr = address;
        out.plain = 1;
        out.days[20'000]["plain"] = {.connections = 1, .first_seen = start, .last_seen = start};
        return out;
    };
    InventoryRows rows;
    rows.instance = "a1";
    for (const char* address : {"127.0.0.1", "", "10.0.0.1"}) rows.clients.push_back(row(address));
    ReportSummary each = make_report({rows}, {}).summary;
    CHECK(each.plain_local == 2);
    CHECK(each.plain_network == 1);
    ReportFilter by_user;
    by_user.group_by = {Dimension::user};
    each = make_report({rows}, by_user).summary;
    CHECK(each.plain_local == 0);
    CHECK(each.plain_network == 1);
    rows.clients.pop_back();
    each = make_report({rows}, by_user).summary;
    CHECK(each.plain_local == 1);
    CHECK(each.plain_network == 0);
}

TEST_CASE("a mixed client is told by how much of it is in clear") {
    ReportClient mixed = client("app");
    mixed.mixed = mixed.plain = true;
    mixed.row.plain = 53;
    mixed.row.connections = 57;
    CHECK(has(table(report_of({mixed})), "  53 of 57 in clear  "));
    mixed.row.plain = 0;
    CHECK(has(table(report_of({mixed})), "  mixed  "));
}

TEST_CASE("columns that say nothing are left out") {
    const std::string plain = table(report_of({client("app")}));
    for (const char* title : {"APPLICATION", "UPSTREAM", "PROXY", "FAILED"}) CHECK_FALSE(has(plain, title));

    ReportClient other = client("other");
    other.row.who.upstream = "reader";
    other.row.who.application_name = "cron";
    other.row.failures = 7;
    other.row.proxies = {"a1", "b2"};
    Report report = report_of({client("app"), other});
    report.proxies.push_back(proxy_named("b2", "app-2"));
    const std::string full = table(report, 0);
    for (const char* title : {"APPLICATION", "UPSTREAM", "PROXY", "FAILED"}) CHECK(has(full, title));
    CHECK(has(line_with(full, "app@db"), "orders    app-1"));
    CHECK(has(line_with(full, "other@db"), "cron         reader    2 proxies"));
}

TEST_CASE("users of the operating system are shown where nothing else tells clients apart") {
    ReportClient one = client("app");
    one.row.who.client_addr = "127.0.0.1";
    one.row.who.client_exe = "/usr/bin/java";
    one.row.who.client_uid = 998;
    ReportClient other = one;
    other.row.who.client_uid = 999;
    CHECK_FALSE(has(table(report_of({one})), "uid 998"));
    CHECK(has(table(report_of({one, other})), "127.0.0.1 java uid 998"));
    one.row.who.client_exe.clear();
    CHECK(has(table(report_of({one})), "127.0.0.1 uid 998"));
}

TEST_CASE("what breaks is answered under what it breaks on") {
    ReportClient breaks = client("app");
    breaks.breaks_on_force_ssl = protocol::Readiness::yes;
    breaks.breaks_on_ca_rotation = protocol::Readiness::unknown;
    const std::string text = table(report_of({breaks}));
    const std::string titles = line_with(text, "USER@DATABASE");
    const std::string row = line_with(text, "app@db");
    CHECK(line_with(text, "BREAKS ON:").find("BREAKS ON:") == titles.find("force_ssl"));
    CHECK(row.substr(titles.find("force_ssl"), 3) == "yes");
    CHECK(row.substr(titles.find("rotation"), 2) == "? ");
}

TEST_CASE("clients that were accepted stand below the others, with who answers for them") {
    ReportClient accepted = client("legacy");
    accepted.accepted = Acceptance{.owner = "ops", .reason = "vendor", .until = start + day};
    accepted.excused = true;
    Report report = report_of({client("app"), accepted});
    report.summary.accepted = 1;
    const std::string text = table(report);
    CHECK(text.find("app@db") < text.find("Accepted as they are\n"));
    CHECK(text.find("Accepted as they are\n") < text.find("legacy@db"));
    CHECK(line_with(text, "legacy@db").ends_with("ops    2024-10-05"));
    report.clients[1].accepted->until = 0;
    CHECK(line_with(table(report), "legacy@db").ends_with("ops    no end"));
}

TEST_CASE("failures that several clients may have made name them") {
    Report report = report_of({client("app")});
    Unattributed failures{.from = {.upstream = "orders", .client_addr = "127.0.0.1", .client_exe = "/usr/bin/java"},
                          .count = 23};
    for (const char* name : {"a", "c"}) failures.candidates.push_back(client(name).row.who);
    report.unattributed = {failures};
    CHECK(has(
        table(report),
        "\n23 failed handshakes of 127.0.0.1 java may be those of a@db, c@db, or of a client that never logged in\n"));
}

TEST_CASE("the table says why clients were not probed, where probing is what they need") {
    ReportClient blocked = client("app");
    blocked.row.not_probed = "others at this address refuse our certificate";
    ReportClient done = blocked;
    done.row.who.usename = "done";
    done.action = Action::none;
    CHECK(has(table(report_of({blocked, done})),
              "\nnot probed: others at this address refuse our certificate: app@db\n"));
}

TEST_CASE("an authority is called by its CN, and by more where two would be called alike") {
    CHECK(common_name("CN=Amazon RDS Root 2019 CA,OU=Amazon RDS,O=Amazon Web Services\\, Inc.,C=US") ==
          "Amazon RDS Root 2019 CA");
    CHECK(common_name("C=US,O=Amazon\\, CN=no,CN=Root\\, the \\C3\\A4ldest") == "Root, the \xc3\xa4ldest");
    CHECK(common_name("O=\"a, CN=b\",C=US") == "O=\"a, CN=b\",C=US");
    CHECK(common_name("CN=") == "CN=");
    CHECK(common_name("") == "");
    CHECK(common_name("CN=a\\") == "a\\");

    Report report = report_of({});
    report.upstream_certificates = {certificate("CN=Root,O=Old", "1"), certificate("CN=Root,O=New", "2"),
                                    certificate("CN=Another,O=New", "3")};
    const std::string text = table(report);
    CHECK(has(text, "  CN=Root,O=Old  CN=Root,O=Old  "));
    CHECK(has(text, "  Another        Another        "));
}

TEST_CASE("old and new authority are never printed alike, however narrow the terminal is") {
    Report report = report_of({});
    const std::string subject = ",OU=Amazon RDS,O=Amazon Web Services\\, Inc.,L=Seattle,C=US";
    report.upstream_certificates = {certificate("CN=Amazon RDS Root 2019 CA and more of it" + subject, "1"),
                                    certificate("CN=Amazon RDS Root 2026 CA and more of it" + subject, "2")};
    for (std::size_t width = 60; width < 200; ++width) {
        const std::string text = table(report, width);
        CHECK(has(text, "2019"));
        CHECK(has(text, "2026"));
    }
}

TEST_CASE("authorities of one name and different keys are told apart by their keys") {
    Report report = report_of({});
    report.upstream_certificates = {certificate("CN=Root", "1"), certificate("CN=Root", "2"),
                                    certificate("CN=Other", "3")};
    const char* const keys[] = {"0123456789abcdef", "fedcba9876543210", "0123456789abcdef"};
    for (std::size_t i = 0; i < 3; ++i) report.upstream_certificates[i].row.anchor_key_sha256 = keys[i];
    const std::string text = table(report);
    CHECK(has(text, "  Root key 01234567  "));
    CHECK(has(text, "  Root key fedcba98  "));
    CHECK_FALSE(has(text, "Other key"));
}

TEST_CASE("groups of the key exchange are shown where there is room for everything") {
    ReportClient modern = client("app");
    modern.row.groups = {"X25519MLKEM768", "P-256"};
    const Report report = report_of({modern, client("in clear")});
    CHECK(has(table(report, 0), "  GROUP"));
    CHECK(has(table(report, 0), "  X25519MLKEM768,P-256  "));
    CHECK_FALSE(has(table(report, 200), "GROUP"));
    CHECK_FALSE(has(table(report_of({client("in clear")}), 0), "GROUP"));
}

TEST_CASE("names are cut only where they do not fit") {
    ReportClient wide = client(std::string(63, 'u'));
    wide.row.who.datname = std::string(63, 'd');
    wide.row.who.application_name = std::string(63, 'a');
    wide.row.who.client_exe = "/usr/bin/" + std::string(63, 'x');
    wide.row.connections = 18'000'000'000'000'000'000u;
    wide.row.failures = 1'000'000;
    const Report report = report_of({client("u"), wide});
    CHECK(widest_line(table(report, 120)) <= 120);
    CHECK(has(table(report, 120), "…"));
    CHECK(widest_line(table(report, 200)) == 200);
    CHECK_FALSE(has(table(report, 0), "…"));
    CHECK(has(table(report, 0), std::string(63, 'u') + "@" + std::string(63, 'd')));
}

TEST_CASE("sentences go on in the next line") {
    CHECK(paragraph("one two three", 2, 4, {.width = 9}) == "one two\n    three\n");
    CHECK(paragraph("one two three", 2, 4, {.width = 0}) == "one two three\n");
    CHECK(paragraph("longer-than-the-line", 0, 2, {.width = 9}) == "longer-than-the-line\n");
}

TEST_CASE("nothing that a client sent reaches the terminal as a command") {
    ReportClient evil = client("\x1b]0;owned\x07");
    evil.row.who.application_name =
        "a\xc2\x9b"
        "31m";
    evil.row.not_probed = "\x1b[2J";
    Report report = report_of({evil});
    report.proxies[0].name = "\x1b[31m";
    report.proxies[0].silent = day;
    report.summary.silent_proxies = 1;
    report.summary.incomplete = {"\x1b[31m"};
    report.filter.usename = "\x1b[31m";
    report.upstream_certificates = {certificate("CN=\\1B[31m", "1")};
    report.unattributed = {{.from = evil.row.who, .count = 1, .candidates = {evil.row.who}}};
    report.against = Comparison{.fresh = {{.client = {.who = evil.row.who}}}, .caveats = {"\x1b[31m"}};
    const std::string text = table(report);
    CHECK_FALSE(has(text, "\x1b"));
    CHECK_FALSE(has(text, "\x07"));
    CHECK_FALSE(has(text, "\xc2\x9b"));
}

TEST_CASE("what people said of a client is in the table, also that an acceptance holds no more") {
    ReportClient noted = client("noted"), over = client("over"), worse = client("worse"), holds = client("holds");
    noted.note = "moves in May";
    noted.repaired_at = start;
    over.accepted = Acceptance{.owner = "ops", .reason = "old", .until = start};
    worse.accepted = Acceptance{.owner = "ops", .reason = "old", .worse = {"plain", "failing"}};
    holds.accepted = Acceptance{.owner = "ops", .reason = "old"};
    holds.excused = true;
    const std::string text = table(report_of({noted, over, worse, holds}), 0);
    CHECK(has(text, "noted@db: moves in May; repaired 2024-10-04T00:00:00Z"));
    CHECK(has(text, "over@db: was accepted by ops until 2024-10-04, which is over"));
    CHECK(has(text, "worse@db: was accepted by ops, and is worse since: plain,failing"));
    CHECK_FALSE(has(text, "holds@db: "));
    const std::string page = to_html(report_of({noted, over, worse, holds}), start);
    CHECK(has(page, "moves in May; repaired"));
    CHECK(has(page, "which is over"));
    CHECK(has(page, "is worse since: plain,failing"));
}
