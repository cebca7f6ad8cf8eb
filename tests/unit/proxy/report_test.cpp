#include "proxy/report/report.hpp"

#include <algorithm>

#include "support/catch.hpp"

namespace {

using protocol::Evidence;
using protocol::Readiness;
using protocol::SslMode;
using protocol::SslModeInterval;
using protocol::Verifies;
using namespace proxy;
using namespace proxy::report;

constexpr Timestamp hour = 3'600'000'000;
constexpr Timestamp day = 24 * hour;
constexpr Timestamp start = 20'000 * day;

EvidenceRow seen(Evidence evidence, Timestamp when = start, std::uint64_t count = 1,
                 const std::string& certificate = "real") {
    return {.label = std::string(label(evidence)),
            .evidence = evidence,
            .certificate = certificate,
            .first_seen = when,
            .last_seen = when,
            .count = count,
            .session = "s",
            .possible = false};
}

/// Of a kind that only a newer version knows.
EvidenceRow unreadable(Timestamp when) {
    EvidenceRow row = seen(Evidence::tls_startup, when);
    row.label = "telepathy";
    row.evidence.reset();
    return row;
}

/// Of `name`; in clear when `plain`.
ClientRow client(const std::string& name, std::vector<EvidenceRow> evidence, bool plain = false) {
    ClientRow row;
    row.who = {{.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = ""},
               {.usename = name, .datname = "db", .application_name = ""}};
    row.first_seen = start;
    row.last_seen = start;
    for (const EvidenceRow& piece : evidence) row.last_seen = std::max(row.last_seen, piece.last_seen);
    row.connections = 4;
    row.plain = plain ? 4 : 0;
    row.evidence = std::move(evidence);
    return row;
}

ReportClient evaluated(std::vector<EvidenceRow> evidence, bool plain = false) {
    ReportClient out;
    out.row = client("app", std::move(evidence), plain);
    evaluate(out);
    return out;
}

HandshakeRow handshake(EvidenceRow evidence, const std::string& exe = "", const std::string& ja4 = "t13") {
    return {.from = {.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = exe},
            .ja4 = ja4,
            .listener = "l",
            .error = "alert",
            .evidence = std::move(evidence)};
}

InventoryRows inventory(std::vector<ClientRow> clients, std::vector<HandshakeRow> handshakes = {}) {
    return {.instance = "",
            .clients = std::move(clients),
            .handshakes = std::move(handshakes),
            .upstream_certificates = {},
            .probes = {}};
}

ClientRow with_ja4(ClientRow row, const std::string& ja4) {
    row.ja4 = {ja4};
    return row;
}

ClientRow with_exe(ClientRow row, const std::string& exe) {
    row.who.client_exe = exe;
    return row;
}

const EvidenceRow* find(const ReportClient& client, Evidence evidence) {
    for (const EvidenceRow& row : client.row.evidence) {
        if (row.evidence == evidence) return &row;
    }
    return nullptr;
}

}  // namespace

TEST_CASE("what each client's evidence means for it") {
    struct Case {
        const char* about;
        std::vector<EvidenceRow> evidence;
        bool plain;
        Readiness force_ssl;
        Readiness rotation;
        bool weak;
        Action action;
    };
    const std::vector<Case> cases{
        {"only in clear: disable or allow",
         {seen(Evidence::clear_startup)},
         true,
         Readiness::unknown,
         Readiness::no,
         true,
         Action::enable_tls},
        {"in clear after N",
         {seen(Evidence::clear_startup_after_no)},
         true,
         Readiness::unknown,
         Readiness::no,
         true,
         Action::enable_tls},
        {"allow, by its second attempt",
         {seen(Evidence::tls_after_clear_refused), seen(Evidence::tls_startup)},
         false,
         Readiness::no,
         Readiness::no,
         true,
         Action::verify_the_server},
        {"prefer, falling back",
         {seen(Evidence::clear_startup_after_tls_login), seen(Evidence::tls_startup)},
         true,
         Readiness::no,
         Readiness::no,
         true,
         Action::repair_fallback},
        {"falls back because it verifies",
         {seen(Evidence::tls_refused), seen(Evidence::clear_startup_after_tls)},
         true,
         Readiness::unknown,
         Readiness::no,
         true,
         Action::repair_fallback},
        {"TLS, no more known",
         {seen(Evidence::tls_startup)},
         false,
         Readiness::no,
         Readiness::unknown,
         false,
         Action::probe},
        {"TLS to a certificate nobody can verify",
         {seen(Evidence::tls_startup_undistributed)},
         false,
         Readiness::no,
         Readiness::no,
         true,
         Action::verify_the_server},
        {"accepts an impostor",
         {seen(Evidence::tls_startup), seen(Evidence::untrusted_accepted)},
         false,
         Readiness::no,
         Readiness::no,
         true,
         Action::verify_the_server},
        {"verifies, candidate not tried",
         {seen(Evidence::tls_startup), seen(Evidence::untrusted_refused)},
         false,
         Readiness::no,
         Readiness::unknown,
         false,
         Action::probe},
        {"verifies, refused the candidate",
         {seen(Evidence::tls_startup), seen(Evidence::candidate_refused)},
         false,
         Readiness::no,
         Readiness::yes,
         false,
         Action::update_trust_store},
        {"verifies, refused the candidate by closing, twice",
         {seen(Evidence::tls_startup), seen(Evidence::candidate_refused_silently, start, 2)},
         false,
         Readiness::no,
         Readiness::yes,
         false,
         Action::update_trust_store},
        {"refused the candidate, then accepted it",
         {seen(Evidence::tls_startup), seen(Evidence::candidate_refused), seen(Evidence::untrusted_refused),
          seen(Evidence::candidate_accepted, start + hour)},
         false,
         Readiness::no,
         Readiness::no,
         false,
         Action::none},
        {"accepts the candidate, verification unknown",
         {seen(Evidence::tls_startup), seen(Evidence::candidate_accepted)},
         false,
         Readiness::no,
         Readiness::no,
         false,
         Action::probe},
        {"does not know the certificate of today",
         {seen(Evidence::tls_refused)},
         false,
         Readiness::no,
         Readiness::unknown,
         false,
         Action::fix_root_certificate},
        {"has no root certificate",
         {seen(Evidence::no_client_hello)},
         false,
         Readiness::unknown,
         Readiness::unknown,
         false,
         Action::fix_root_certificate},
        {"was repaired",
         {seen(Evidence::tls_refused), seen(Evidence::tls_startup, start + hour),
          seen(Evidence::candidate_accepted, start + hour)},
         false,
         Readiness::no,
         Readiness::no,
         false,
         Action::none},
        {"closed once, perhaps a port scan",
         {seen(Evidence::tls_refused_silently)},
         false,
         Readiness::unknown,
         Readiness::unknown,
         false,
         Action::probe},
        {"insists on TLS",
         {seen(Evidence::closed_after_no)},
         false,
         Readiness::no,
         Readiness::unknown,
         false,
         Action::probe},
        {"TLS once, clear ever since",
         {seen(Evidence::tls_startup), seen(Evidence::clear_startup, start + hour)},
         true,
         Readiness::unknown,
         Readiness::no,
         true,
         Action::enable_tls},
        {"nothing", {}, false, Readiness::unknown, Readiness::unknown, false, Action::probe},
    };
    for (const Case& expected : cases) {
        INFO(expected.about);
        const ReportClient got = evaluated(expected.evidence, expected.plain);
        CHECK(to_string(got.breaks_on_force_ssl) == to_string(expected.force_ssl));
        CHECK(to_string(got.breaks_on_ca_rotation) == to_string(expected.rotation));
        CHECK(got.weak == expected.weak);
        CHECK(to_string(got.action) == to_string(expected.action));
    }
}

TEST_CASE("a client that verifies and speaks an old TLS version is weak") {
    ReportClient old;
    old.row = client(
        "old", {seen(Evidence::tls_startup), seen(Evidence::untrusted_refused), seen(Evidence::candidate_accepted)});
    old.row.weak_tls = 1;
    evaluate(old);
    CHECK(old.weak);
    CHECK(old.action == Action::upgrade_tls);
}

TEST_CASE("evidence that may be another client's proves nothing and changes no answer") {
    EvidenceRow perhaps = seen(Evidence::tls_refused);
    perhaps.possible = true;
    const ReportClient with = evaluated({seen(Evidence::tls_startup), perhaps});
    const ReportClient without = evaluated({seen(Evidence::tls_startup)});
    CHECK(with.sslmode == without.sslmode);
    CHECK(with.action == without.action);
}

TEST_CASE("evidence with a label of a newer version is shown and proves nothing") {
    const ReportClient got = evaluated({unreadable(start)});
    CHECK(got.sslmode == SslModeInterval{});
    Report report;
    report.clients.push_back(got);
    CHECK(to_json(report).find("\"telepathy\"") != std::string::npos);
    CHECK(to_csv(report).find("telepathy") != std::string::npos);
    CHECK(to_html(report, start).find("telepathy (known to a newer pgairlock only)") != std::string::npos);
    CHECK(to_table(report, {}).find("unknown!") != std::string::npos);
    CHECK(to_table(report, {}).find("  !  ") != std::string::npos);
}

TEST_CASE("evidence with a label of a newer version makes no answer better") {
    const std::vector<EvidenceRow> good{seen(Evidence::tls_startup), seen(Evidence::untrusted_refused),
                                        seen(Evidence::candidate_accepted)};
    CHECK(evaluated(good).action == Action::none);
    const auto with = [](std::vector<EvidenceRow> rows, Timestamp when, bool plain = false) {
        rows.push_back(unreadable(when));
        return evaluated(std::move(rows), plain);
    };
    // What is newer than it is not in doubt.
    CHECK(with(good, start - hour).action == Action::none);
    for (const Timestamp when : {start, start + hour}) {
        const ReportClient doubtful = with(good, when);
        CHECK(doubtful.verifies == Verifies::unknown);
        CHECK(doubtful.breaks_on_ca_rotation == Readiness::unknown);
        CHECK(doubtful.action == Action::probe);
    }
    // It may be clear text.
    CHECK(with(good, start + hour).breaks_on_force_ssl == Readiness::unknown);
    CHECK(
        with({seen(Evidence::clear_startup), seen(Evidence::tls_startup, start + hour)}, start + 2 * hour, true).plain);
    // Bad answers stay: nothing says that the client was repaired.
    const ReportClient impostor = with({seen(Evidence::tls_startup), seen(Evidence::untrusted_accepted)}, start + hour);
    CHECK(impostor.verifies == Verifies::no);
    CHECK(impostor.weak);
    CHECK(impostor.breaks_on_ca_rotation == Readiness::unknown);
    const ReportClient not_ready =
        with({seen(Evidence::untrusted_refused), seen(Evidence::candidate_refused)}, start + hour);
    CHECK(not_ready.verifies == Verifies::unknown);
    CHECK(not_ready.breaks_on_ca_rotation == Readiness::yes);
    CHECK(not_ready.action == Action::update_trust_store);
    CHECK(with({seen(Evidence::clear_startup)}, start + hour, true).plain);
    // What may be another client's changes no answer.
    EvidenceRow perhaps = unreadable(start + hour);
    perhaps.possible = true;
    auto rows = good;
    rows.push_back(perhaps);
    CHECK(evaluated(rows).action == Action::none);
}

TEST_CASE("inventories with the same client add up") {
    ClientRow first = client("app", {seen(Evidence::tls_startup, start, 3)});
    first.days[20'000]["TLSv1.3"] = 4;
    ClientRow second =
        client("app", {seen(Evidence::tls_startup, start + day, 5), seen(Evidence::untrusted_accepted, start + day)});
    second.first_seen = start - day;
    second.version = "TLSv1.3";
    second.days[20'000]["TLSv1.3"] = 2;
    const InventoryRows merged = merge({inventory({first}), inventory({second, client("other", {})})});
    REQUIRE(merged.clients.size() == 2);
    const ClientRow& both = merged.clients.front();
    CHECK(both.connections == 8);
    CHECK(both.first_seen == start - day);
    CHECK(both.last_seen == start + day);
    CHECK(both.version == "TLSv1.3");
    CHECK(both.days.at(20'000).at("TLSv1.3") == 6);
    REQUIRE(both.evidence.size() == 2);
    CHECK(both.evidence[0].count == 8);
    CHECK(both.evidence[0].last_seen == start + day);
}

TEST_CASE("a proxy's file and the fleet's copy of it count once, as the newer has it") {
    InventoryRows older = inventory({client("app", {seen(Evidence::tls_startup)})});
    older.instance = "a1";
    InventoryRows newer = inventory({client("app", {seen(Evidence::tls_startup, start + hour)})});
    newer.instance = "a1";
    newer.clients[0].connections = 9;
    for (const auto& merged : {merge({older, newer}), merge({newer, older})})
        CHECK(merged.clients.at(0).connections == 9);
}

TEST_CASE("a failed handshake is its client's when only one has that fingerprint at that address") {
    const auto joined = join(inventory({with_ja4(client("app", {}), "t13"), with_ja4(client("web", {}), "t12")},
                                       {handshake(seen(Evidence::tls_refused))}));
    REQUIRE(joined.size() == 2);
    CHECK(find(joined[0], Evidence::tls_refused));
    CHECK_FALSE(find(joined[0], Evidence::tls_refused)->possible);
    CHECK_FALSE(find(joined[1], Evidence::tls_refused));
}

TEST_CASE("a failed handshake that fits several clients is possible for each and proves nothing about any") {
    const auto joined = join(inventory({with_ja4(client("app", {}), "t13"), with_ja4(client("web", {}), "t13")},
                                       {handshake(seen(Evidence::tls_refused))}));
    REQUIRE(joined.size() == 2);
    for (const ReportClient& each : joined) {
        REQUIRE(find(each, Evidence::tls_refused));
        CHECK(find(each, Evidence::tls_refused)->possible);
    }
}

TEST_CASE("a known executable decides, not the fingerprint") {
    const auto joined = join(inventory({with_exe(with_ja4(client("app", {}), "t13"), "/bin/a"),
                                        with_exe(with_ja4(client("web", {}), "t13"), "/bin/b")},
                                       {handshake(seen(Evidence::tls_refused), "/bin/b", "other")}));
    REQUIRE(joined.size() == 2);
    CHECK_FALSE(find(joined[0], Evidence::tls_refused));
    REQUIRE(find(joined[1], Evidence::tls_refused));
    CHECK_FALSE(find(joined[1], Evidence::tls_refused)->possible);
}

TEST_CASE("failed handshakes that fit nobody have a row without names, one for each source") {
    const auto joined = join(inventory(
        {client("app", {})}, {handshake(seen(Evidence::tls_refused)), handshake(seen(Evidence::no_client_hello)),
                              handshake(seen(Evidence::tls_refused), "", "other")}));
    REQUIRE(joined.size() == 3);
    CHECK(joined[0].known);
    CHECK_FALSE(joined[1].known);
    CHECK(joined[1].row.connections == 0);
    CHECK(joined[1].row.evidence.size() + joined[2].row.evidence.size() == 3);
}

TEST_CASE("a handshake that fits nobody proves nothing when a client of that address went on in clear") {
    const auto interval = [](Evidence before, Evidence after, const std::string& exe) {
        ClientRow row = client("app", {seen(after)});
        row.who.client_exe = exe;
        auto joined = join(inventory({row}, {handshake(seen(before), "", "")}));
        REQUIRE(joined.size() == 2);
        evaluate(joined[1]);
        return joined[1].sslmode;
    };
    CHECK(interval(Evidence::closed_after_no, Evidence::clear_startup_after_declined, "/bin/a") ==
          protocol::SslModeInterval{});
    CHECK(interval(Evidence::closed_after_no, Evidence::clear_startup, "/bin/a").min == SslMode::require);
    CHECK(interval(Evidence::tls_refused, Evidence::clear_startup_after_tls, "/bin/a") == protocol::SslModeInterval{});
    CHECK(interval(Evidence::tls_refused, Evidence::tls_startup, "/bin/a").verifies() == protocol::Verifies::yes);
}

TEST_CASE(
    "a refusal proves nothing about its client when a connection that cannot be told from its fallback came in clear") {
    const auto judged = [](Evidence refused, ClientRow in_clear, const std::string& exe = "/bin/a") {
        auto tls = with_exe(with_ja4(client("app", {seen(Evidence::tls_startup)}), "t13"), exe);
        auto joined = join(inventory({std::move(tls), std::move(in_clear)}, {handshake(seen(refused), exe)}));
        evaluate(joined.at(0));
        return joined.at(0).sslmode;
    };
    constexpr SslModeInterval nothing{SslMode::allow, SslMode::verify_full};
    const auto fell_back = seen(Evidence::clear_startup_after_tls, start + 10);
    // Its process was gone before it was found, whatever user it said.
    CHECK(judged(Evidence::untrusted_refused, client("app", {fell_back}, true)) == nothing);
    CHECK(judged(Evidence::untrusted_refused, client("other", {fell_back}, true)) == nothing);
    CHECK(judged(Evidence::closed_after_no, client("app", {seen(Evidence::clear_startup_after_declined)}, true)) ==
          nothing);
    // From another host, where no executable is known: one that never had TLS has no fingerprint.
    CHECK(judged(Evidence::untrusted_refused, client("other", {fell_back}, true), "") == nothing);
    // On this host the same names may be those of two programs.
    auto mixed = client("app", {seen(Evidence::clear_startup), fell_back}, true);
    CHECK(judged(Evidence::untrusted_refused, mixed, "").min == SslMode::verify_ca);
    mixed.client_uid = 0;
    CHECK(judged(Evidence::untrusted_refused, mixed) == nothing);
    // It was somebody else: by its program, its behaviour, the time, or the address.
    CHECK(judged(Evidence::untrusted_refused, with_exe(client("app", {fell_back}, true), "/bin/b")).min ==
          SslMode::verify_ca);
    CHECK(judged(Evidence::untrusted_refused, client("other", {seen(Evidence::clear_startup)}, true)).min ==
          SslMode::verify_ca);
    CHECK(judged(Evidence::untrusted_refused, client("other", {seen(Evidence::clear_startup_after_declined)}, true))
              .min == SslMode::verify_ca);
    CHECK(judged(Evidence::untrusted_refused,
                 client("app", {seen(Evidence::clear_startup_after_tls, start + hour)}, true))
              .min == SslMode::verify_ca);
    auto elsewhere = client("app", {fell_back}, true);
    elsewhere.who.client_addr = "10.0.0.2";
    CHECK(judged(Evidence::untrusted_refused, elsewhere).min == SslMode::verify_ca);
}

TEST_CASE("handshakes without a fingerprint are nobody's") {
    const auto joined =
        join(inventory({with_ja4(client("app", {}), "")}, {handshake(seen(Evidence::no_client_hello), "", "")}));
    CHECK(joined.size() == 2);
}

TEST_CASE("whoever accepted a certificate is not who refuses it later") {
    const auto refusal_of = [](Timestamp accepted, Timestamp refused, const std::string& certificate) {
        const auto joined = join(inventory({with_ja4(client("app", {seen(Evidence::tls_startup, accepted)}), "t13")},
                                           {handshake(seen(Evidence::tls_refused, refused, 1, certificate))}));
        return find(joined.at(0), Evidence::tls_refused)->possible;
    };
    CHECK(refusal_of(start, start + hour, "real"));
    CHECK_FALSE(refusal_of(start + hour, start, "real"));  // it was repaired in between
    CHECK_FALSE(refusal_of(start, start + hour, "probe"));
}

TEST_CASE("since leaves out what was not seen since, and counts whole days") {
    ReportClient changed;
    changed.row =
        client("app", {seen(Evidence::clear_startup, start), seen(Evidence::untrusted_refused, start + 3 * day)}, true);
    changed.row.days[20'000]["plain"] = 7;
    changed.row.days[20'003]["TLSv1.2"] = 2;
    changed.row.weak_tls = 1;
    REQUIRE(restrict_to(changed, start + 2 * day));
    CHECK(changed.row.connections == 2);
    CHECK(changed.row.plain == 0);
    CHECK(changed.row.weak_tls == 1);  // a cipher: it may have been on either day
    evaluate(changed);
    CHECK(changed.sslmode.min == SslMode::verify_ca);
    CHECK_FALSE(restrict_to(changed, start + 4 * day));
}

TEST_CASE("a client that left an old TLS version behind is not weak since then") {
    ReportClient old;
    old.row = client("app", {seen(Evidence::tls_startup, start + 3 * day)});
    old.row.days[20'000]["TLSv1"] = 5;
    old.row.days[20'003]["TLSv1.2"] = 2;
    old.row.weak_tls = 5;
    REQUIRE(restrict_to(old, start + day));
    CHECK(old.row.weak_tls == 0);
}

TEST_CASE("filters choose rows after handshakes found their clients") {
    ClientRow far = client("far", {});
    far.who.client_addr = "2001:db8::7";
    const auto rows = inventory({with_ja4(client("app", {seen(Evidence::tls_startup)}), "t13"), far},
                                {handshake(seen(Evidence::no_client_hello, start, 1), "", "zz")});
    const auto names = [&](const ReportFilter& filter) {
        std::vector<std::string> out;
        for (const ReportClient& each : make_report({rows}, filter).clients)
            out.push_back(each.known ? each.row.who.usename : "?");
        std::sort(out.begin(), out.end());
        return out;
    };
    using Names = std::vector<std::string>;
    CHECK(names({}) == Names{"?", "app", "far"});
    CHECK(names({.since = {}, .usename = "app", .datname = "", .client_addr = "", .upstream = ""}) == Names{"app"});
    CHECK(names({.since = {}, .usename = "", .datname = "", .client_addr = "10.0.0.0/8", .upstream = ""}) ==
          Names{"?", "app"});
    CHECK(names({.since = {}, .usename = "", .datname = "", .client_addr = "2001:db8::7", .upstream = ""}) ==
          Names{"far"});
    CHECK(names({.since = {}, .usename = "", .datname = "", .client_addr = "", .upstream = "other"}).empty());
}

TEST_CASE("each client is counted in one of plain, not verifying, verifying and unknown") {
    const Report report = make_report(
        {inventory({client("a", {seen(Evidence::clear_startup)}, true), client("b", {seen(Evidence::tls_startup)}),
                    client("c", {seen(Evidence::untrusted_accepted)}), client("d", {seen(Evidence::untrusted_refused)}),
                    client("e", {})})},
        {});
    const ReportSummary& s = report.summary;
    CHECK(s.clients == 5);
    CHECK(s.plain == 1);
    CHECK(s.tls_not_verifying == 1);
    CHECK(s.verifying == 1);
    CHECK(s.unknown == 2);
    CHECK(s.weak == 2);
    CHECK(report.clients.front().row.who.usename == "a");
}

TEST_CASE("probing is counted once where clients share an address") {
    InventoryRows rows = inventory({client("a", {}), client("b", {})});
    rows.probes.push_back({.from = {.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = ""},
                           .kind = "untrusted",
                           .shown = 5,
                           .accepted = 2,
                           .refused = 3,
                           .last_shown = start,
                           .last_refused = start});
    const Report report = make_report({rows}, {});
    CHECK(report.summary.probes.at("untrusted").refused == 3);
    for (const ReportClient& each : report.clients) CHECK(each.probes.at(0).shared);
}

TEST_CASE("a server's certificates: the current one, and since when the candidate would do") {
    UpstreamCertificateRow old{};
    old.upstream = "orders";
    old.upstream_addr = "10.1.0.1:5432";
    old.sha256 = "old";
    old.first_seen = start;
    old.last_seen = start + day;
    UpstreamCertificateRow recent = old;
    recent.sha256 = "new";
    recent.first_seen = start + day;
    recent.last_seen = start + 2 * day;
    recent.candidate_ok = true;
    recent.candidate_since = start + day;
    UpstreamCertificateRow elsewhere = recent;
    elsewhere.candidate_since = start + day + hour;
    InventoryRows one, other;
    one.upstream_certificates = {old, recent};
    other.upstream_certificates = {elsewhere};
    const Report report = make_report({one, other}, {});
    REQUIRE(report.upstream_certificates.size() == 2);
    CHECK(report.upstream_certificates[0].row.sha256 == "new");
    CHECK(report.upstream_certificates[0].current);
    CHECK(report.upstream_certificates[0].row.candidate_since == start + day);
    CHECK_FALSE(report.upstream_certificates[1].current);
}

TEST_CASE("intervals are written as short as they can be") {
    CHECK(interval_text({}) == "unknown");
    CHECK(interval_text({SslMode::prefer, SslMode::prefer}) == "prefer");
    CHECK(interval_text({SslMode::disable, SslMode::allow}) == "<= allow");
    CHECK(interval_text({SslMode::verify_ca, SslMode::verify_full}) == ">= verify-ca");
    CHECK(interval_text({SslMode::allow, SslMode::require}) == "allow..require");
}

TEST_CASE("names from the wire can neither move a terminal's cursor nor turn its text round") {
    CHECK(printable("plain \xc3\xa4") == "plain \xc3\xa4");
    CHECK(printable("a\x1b[31mb\nc\x7f") ==
          "a\xef\xbf\xbd[31mb\xef\xbf\xbd"
          "c\xef\xbf\xbd");
    CHECK(printable("\xc2\x9b"
                    "31m") ==
          "\xef\xbf\xbd"
          "31m");  // CSI as one character
    CHECK(printable("a\xe2\x80\xae"
                    "b") ==
          "a\xef\xbf\xbd"
          "b");  // RIGHT-TO-LEFT OVERRIDE
    CHECK(printable("a\xe2\x81\xa6"
                    "b") ==
          "a\xef\xbf\xbd"
          "b");  // LEFT-TO-RIGHT ISOLATE
    CHECK(printable("\xff") == "\xef\xbf\xbd");
}

TEST_CASE("CSV cells are no formulas, and quoted when they must be") {
    ClientRow row = client("=HYPERLINK(\"x\")", {});
    row.who.datname = "a,b\nc";
    const std::string csv = to_csv(make_report({inventory({row})}, {}));
    CHECK(csv.find("\"'=HYPERLINK(\"\"x\"\")\",\"a,b\nc\",") != std::string::npos);
    CHECK(csv.ends_with("\r\n"));
}

TEST_CASE("no line of the table is wider than 120 columns, whatever the names are") {
    std::vector<ClientRow> rows;
    for (const std::size_t length : {1u, 20u, 63u}) {
        ClientRow row = client(std::string(length, 'u'),
                               {seen(Evidence::clear_startup), seen(Evidence::tls_after_clear_refused)}, true);
        row.who.datname = std::string(length, 'd');
        row.who.application_name = std::string(length, 'a');
        row.who.client_exe = "/usr/bin/" + std::string(length, 'x');
        row.connections = 18'000'000'000'000'000'000u;
        rows.push_back(row);
    }
    const std::string table = to_table(make_report({inventory(rows)}, {}), {.colours = false, .now = start});
    std::size_t columns = 0;
    for (const char c : table) {
        columns = c == '\n' ? 0 : columns + ((c & 0xc0) != 0x80);
        REQUIRE(columns <= 120);
    }
    CHECK(table.find("…") != std::string::npos);
    for (int i = 0; i < action_count; ++i) CHECK(explain(static_cast<Action>(i)).size() <= 120 - 24);
    CHECK(table.find('\x1b') == std::string::npos);
}

TEST_CASE("a mode is known by the inventory's word for it") {
    CHECK(mode_of("plain") == Mode::clear);
    for (const char* version : {"SSLv3", "TLSv1", "TLSv1.1"}) CHECK(mode_of(version) == Mode::old_tls);
    CHECK(mode_of("TLSv1.2") == Mode::tls12);
    CHECK(mode_of("TLSv1.3") == Mode::tls13);
    CHECK(mode_of("TLSv1.4") == Mode::other);
    CHECK(mode_of("") == Mode::other);
}
