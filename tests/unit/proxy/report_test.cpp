#include "proxy/report/report.hpp"

#include <algorithm>
#include <boost/json.hpp>

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
    row.days[start / day][plain ? "plain" : "TLSv1.3"] = {.connections = 4, .first_seen = start, .last_seen = start};
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
    InventoryRows rows;
    rows.clients = std::move(clients);
    rows.handshakes = std::move(handshakes);
    return rows;
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
         Readiness::unknown,
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
         Readiness::unknown,
         Readiness::no,
         true,
         Action::repair_fallback},
        {"falls back because it verifies, and does not know our certificate",
         {seen(Evidence::tls_refused), seen(Evidence::clear_startup_after_tls)},
         true,
         Readiness::unknown,
         Readiness::no,
         true,
         Action::trust_our_ca},
        {"falls back, because it refused a probe",
         {seen(Evidence::untrusted_refused), seen(Evidence::clear_startup_after_tls)},
         true,
         Readiness::unknown,
         Readiness::no,
         true,
         Action::repair_fallback},
        {"the same process refused our certificate and went on",
         {seen(Evidence::clear_startup_after_refusal)},
         true,
         Readiness::unknown,
         Readiness::no,
         true,
         Action::trust_our_ca},
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
        {"refused the candidate, then accepted it: repaired, or two programs",
         {seen(Evidence::tls_startup), seen(Evidence::candidate_refused), seen(Evidence::untrusted_refused),
          seen(Evidence::candidate_accepted, start + hour)},
         false,
         Readiness::no,
         Readiness::unknown,
         false,
         Action::probe},
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
         Readiness::unknown,
         true,
         Action::split},
        {"clear once, TLS ever since",
         {seen(Evidence::clear_startup), seen(Evidence::tls_startup, start + hour)},
         true,
         Readiness::unknown,
         Readiness::unknown,
         true,
         Action::split},
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
    old.row.days[start / day]["TLSv1.3"].weak_tls = 1;
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
    first.days[20'000]["TLSv1.3"].connections = 4;
    ClientRow second =
        client("app", {seen(Evidence::tls_startup, start + day, 5), seen(Evidence::untrusted_accepted, start + day)});
    second.first_seen = start - day;
    second.version = "TLSv1.3";
    second.days[20'000]["TLSv1.3"].connections = 2;
    const InventoryRows merged = merge({inventory({first}), inventory({second, client("other", {})})}).rows;
    REQUIRE(merged.clients.size() == 2);
    const ClientRow& both = merged.clients.front();
    CHECK(both.connections == 8);
    CHECK(both.first_seen == start - day);
    CHECK(both.last_seen == start + day);
    CHECK(both.version == "TLSv1.3");
    CHECK(both.days.at(20'000).at("TLSv1.3").connections == 6);
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
        CHECK(merged.rows.clients.at(0).connections == 9);
}

TEST_CASE("a failed handshake is its client's when only one has that fingerprint at that address") {
    const auto joined = join(inventory({with_ja4(client("app", {}), "t13"), with_ja4(client("web", {}), "t12")},
                                       {handshake(seen(Evidence::tls_refused))}))
                            .clients;
    REQUIRE(joined.size() == 2);
    CHECK(find(joined[0], Evidence::tls_refused));
    CHECK_FALSE(find(joined[0], Evidence::tls_refused)->possible);
    CHECK_FALSE(find(joined[1], Evidence::tls_refused));
}

TEST_CASE("a failed handshake that fits several clients is possible for each and proves nothing about any") {
    const auto joined = join(inventory({with_ja4(client("app", {}), "t13"), with_ja4(client("web", {}), "t13")},
                                       {handshake(seen(Evidence::tls_refused))}))
                            .clients;
    REQUIRE(joined.size() == 2);
    for (const ReportClient& each : joined) {
        REQUIRE(find(each, Evidence::tls_refused));
        CHECK(find(each, Evidence::tls_refused)->possible);
    }
}

TEST_CASE("a known executable decides, not the fingerprint") {
    const auto joined = join(inventory({with_exe(with_ja4(client("app", {}), "t13"), "/bin/a"),
                                        with_exe(with_ja4(client("web", {}), "t13"), "/bin/b")},
                                       {handshake(seen(Evidence::tls_refused), "/bin/b", "other")}))
                            .clients;
    REQUIRE(joined.size() == 2);
    CHECK_FALSE(find(joined[0], Evidence::tls_refused));
    REQUIRE(find(joined[1], Evidence::tls_refused));
    CHECK_FALSE(find(joined[1], Evidence::tls_refused)->possible);
}

TEST_CASE("failed handshakes that fit nobody have a row without names, one for each source") {
    const auto joined = join(inventory({client("app", {})}, {handshake(seen(Evidence::tls_refused)),
                                                             handshake(seen(Evidence::no_client_hello)),
                                                             handshake(seen(Evidence::tls_refused), "", "other")}))
                            .clients;
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
        auto joined = join(inventory({row}, {handshake(seen(before), "", "")})).clients;
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
        auto joined = join(inventory({std::move(tls), std::move(in_clear)}, {handshake(seen(refused), exe)})).clients;
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
    mixed.who.client_uid = 0;
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
        join(inventory({with_ja4(client("app", {}), "")}, {handshake(seen(Evidence::no_client_hello), "", "")}))
            .clients;
    CHECK(joined.size() == 2);
}

TEST_CASE("whoever accepted a certificate is not known to be who refuses it") {
    const auto refusal_of = [](Timestamp accepted, Timestamp refused, const std::string& certificate) {
        const auto joined = join(inventory({with_ja4(client("app", {seen(Evidence::tls_startup, accepted)}), "t13")},
                                           {handshake(seen(Evidence::tls_refused, refused, 1, certificate))}))
                                .clients;
        return find(joined.at(0), Evidence::tls_refused)->possible;
    };
    CHECK(refusal_of(start, start + hour, "real"));
    CHECK(refusal_of(start + hour, start, "real"));  // it was repaired in between, or was another
    CHECK_FALSE(refusal_of(start, start + hour, "probe"));
}

TEST_CASE("a client that was only seen in clear is not known to be who refuses a certificate") {
    const auto possible = [](Evidence evidence) {
        const auto joined = join(inventory({with_exe(client("app", {seen(evidence)}, true), "/bin/a")},
                                           {handshake(seen(Evidence::tls_refused), "/bin/a")}));
        return find(joined.clients.at(0), Evidence::tls_refused)->possible;
    };
    CHECK(possible(Evidence::clear_startup));
    CHECK_FALSE(possible(Evidence::clear_startup_after_refusal));
}

TEST_CASE("where a program that never logs in refuses our certificate, a refused probe may be its own") {
    const auto verifies = [](Timestamp refused) {
        auto joined = join(inventory({with_ja4(client("app", {seen(Evidence::tls_startup)}), "t13")},
                                     {handshake(seen(Evidence::tls_refused, refused)),
                                      handshake(seen(Evidence::untrusted_refused, start + 2 * hour, 1, "probe"))}));
        evaluate(joined.clients.at(0));
        return joined.clients.at(0).verifies;
    };
    CHECK(verifies(start + hour) == Verifies::unknown);
    CHECK(verifies(start - hour) == Verifies::yes);  // it was repaired before
}

/// Connections on one day, from `first` to `last`.
DayFacts connections(std::uint64_t count, Timestamp first, Timestamp last, std::uint64_t weak = 0) {
    return {.connections = count, .weak_tls = weak, .first_seen = first, .last_seen = last};
}

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

/// 53 connections in clear, then 4 with TLS, in the minutes after.
ClientRow mixed_client() {
    ClientRow row = client("billing", {seen(Evidence::clear_startup, start, 53)});
    row.evidence.push_back(seen(Evidence::tls_startup, start + hour, 4));
    row.last_seen = start + hour;
    row.connections = 57;
    row.plain = 53;
    row.days.clear();
    row.days[20'000]["plain"] = connections(53, start, start);
    row.days[20'000]["TLSv1.3"] = connections(4, start + hour, start + hour);
    return row;
}

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

// --- Who is who

InventoryRows of_proxy(const std::string& instance, std::vector<ClientRow> clients) {
    InventoryRows rows = inventory(std::move(clients));
    rows.instance = instance;
    rows.proxy = {.id = instance, .name = "host-" + instance, .first_seen = start, .last_seen = start + hour};
    return rows;
}

TEST_CASE("clients of different hosts are never one, where their address does not tell the host") {
    for (const char* address : {"127.0.0.1", "::1", "", "127.1.2.3", "fe80::1%eth0", "169.254.7.7", "172.17.0.2"}) {
        ClientRow clear = client("billing", {seen(Evidence::clear_startup)}, true);
        ClientRow tls = client("billing", {seen(Evidence::tls_startup, start + hour)});
        clear.who.client_addr = tls.who.client_addr = address;
        const Report report = make_report({of_proxy("a", {clear}), of_proxy("b", {tls})}, {});
        REQUIRE(report.clients.size() == 2);
        CHECK(report.clients[0].plain);
        CHECK(report.clients[0].row.proxies == std::set<std::string>{"a"});
        CHECK(report.clients[1].row.proxies == std::set<std::string>{"b"});
        CHECK_FALSE(report.clients[1].plain);
        CHECK(has_failed(report, FailOn::weak));
    }
    const auto remote = make_report({of_proxy("a", {client("app", {})}), of_proxy("b", {client("app", {})})}, {});
    REQUIRE(remote.clients.size() == 1);
    CHECK(remote.clients[0].row.proxies.size() == 2);
    CHECK(make_report({of_proxy("a", {client("app", {})}), of_proxy("b", {client("web", {})})}, {.proxy = "host-b"})
              .clients.at(0)
              .row.who.usename == "web");
}

TEST_CASE("names that differ in numbers alone are one client once they are many") {
    const auto clients = [](int count) {
        std::vector<ClientRow> rows;
        for (int i = 0; i < count; ++i) {
            rows.push_back(client("job", {seen(Evidence::tls_startup)}, i == 3));
            rows.back().who.application_name = "lr" + std::to_string(i);
        }
        return make_report({inventory(rows)}, {}).clients;
    };
    CHECK(clients(8).size() == 8);
    const auto folded = clients(60);
    REQUIRE(folded.size() == 1);
    CHECK(folded[0].row.who.application_name == "lr#");
    CHECK(folded[0].row.names.size() == 60);
    CHECK(folded[0].plain);  // one of them
}

TEST_CASE("rows by proxy are of those that saw the client") {
    const Report report = make_report({of_proxy("a", {client("app", {})}), of_proxy("b", {client("web", {})})},
                                      {.group_by = {Dimension::proxy}});
    CHECK(report.clients.size() == 2);
}

TEST_CASE("rows that differ in what is not asked for become one") {
    ClientRow elsewhere = client("app", {seen(Evidence::clear_startup)}, true);
    elsewhere.who.client_addr = "10.0.0.2";
    const auto rows = inventory({client("app", {seen(Evidence::tls_startup)}), elsewhere, client("web", {})});
    const Report report = make_report({rows}, {.group_by = {Dimension::user, Dimension::database}});
    REQUIRE(report.clients.size() == 2);
    CHECK(report.clients[0].row.who.usename == "app");
    CHECK(report.clients[0].row.connections == 8);
    CHECK(report.clients[0].mixed);
}

// --- What is not known

TEST_CASE("a proxy that was not heard of is silent") {
    const auto silent = [](Timestamp now) {
        return make_report({of_proxy("a", {client("app", {})})}, {.now = now}).summary.silent_proxies;
    };
    CHECK(silent(start + hour + 60'000'000) == 0);
    CHECK(silent(start + 2 * hour) == 1);
    const Report report = make_report({of_proxy("a", {client("app", {})})}, {.now = start + 2 * hour});
    CHECK(has_failed(report, FailOn::silent));
    CHECK(report.proxies.at(0).silent == hour);
}

TEST_CASE("a limit that was reached fails every check") {
    const auto incomplete = [](auto&& change) {
        InventoryRows rows =
            of_proxy("a", {client("app", {seen(Evidence::tls_startup), seen(Evidence::untrusted_refused),
                                          seen(Evidence::candidate_accepted)})});
        change(rows.proxy);
        return make_report({rows}, {.since = start - hour});
    };
    const auto complete = incomplete([](ProxyRow& row) { row.first_seen = start - hour; });
    CHECK(complete.summary.incomplete.empty());
    for (const FailOn what : {FailOn::weak, FailOn::unknown, FailOn::rotation, FailOn::force_ssl, FailOn::incomplete})
        CHECK_FALSE(has_failed(complete, what));
    const auto lost_before = incomplete([](ProxyRow& row) {
        row.first_seen = row.last_loss = start - 2 * hour;
        row.events_dropped = 3;
    });
    CHECK(lost_before.summary.incomplete.empty());
    for (const auto& report : {incomplete([](ProxyRow& row) {
                                   row.events_dropped = 3;
                                   row.last_loss = start;
                               }),
                               incomplete([](ProxyRow& row) {
                                   row.rows_left_out = 1;
                                   row.last_loss = start;
                               }),
                               incomplete([](ProxyRow& row) {
                                   row.unclean_ends = 1;
                                   row.last_loss = start;
                               }),
                               incomplete([](ProxyRow& row) { row.pruned_before = start; }),
                               incomplete([](ProxyRow&) {})}) {  // it knows nothing of the hour before
        CHECK_FALSE(report.summary.incomplete.empty());
        CHECK(has_failed(report, FailOn::weak));
        CHECK(has_failed(report, FailOn::incomplete));
    }
    CHECK(has_failed(make_report({of_proxy("a", {})}, {}), FailOn::weak));
}

TEST_CASE("two proxies with copies of one inventory are told of") {
    const auto file = [](Timestamp started, Timestamp last_seen) {
        InventoryRows rows = of_proxy("a", {client("app", {seen(Evidence::tls_startup)})});
        rows.proxy.started = started;
        rows.proxy.last_seen = last_seen;
        return rows;
    };
    const auto is_incomplete = [&](const InventoryRows& one, const InventoryRows& other) {
        const bool complete = make_report({one, other}, {}).summary.incomplete.empty();
        CHECK(complete == make_report({other, one}, {}).summary.incomplete.empty());
        return !complete;
    };
    const InventoryRows running = file(start, start + 5 * hour);
    CHECK_FALSE(is_incomplete(running, running));
    CHECK_FALSE(is_incomplete(running, file(start, start + 2 * hour)));         // a fleet's, which is behind
    CHECK_FALSE(is_incomplete(running, file(start - 5 * hour, start - hour)));  // a backup
    CHECK(is_incomplete(running, file(start - 5 * hour, start + hour)));
    CHECK(is_incomplete(running, file(start + hour, start + 2 * hour)));
}

TEST_CASE("a restored inventory and the one that was moved away are told of, and nobody in either is lost") {
    const auto file = [](std::vector<ClientRow> clients, Timestamp started) {
        InventoryRows rows = of_proxy("a", std::move(clients));
        rows.proxy.started = started;
        rows.proxy.last_seen = started + hour;
        return rows;
    };
    const ClientRow common = client("app", {seen(Evidence::tls_startup)});
    ClientRow clear = client("lost", {seen(Evidence::clear_startup)}, true);
    const InventoryRows backup = file({common}, start), moved = file({common, clear}, start + 2 * hour),
                        restored = file({common}, start + 5 * hour);
    for (const auto& both : {std::vector{moved, restored}, std::vector{restored, moved}}) {
        const Report report = make_report(both, {});
        CHECK(report.summary.plain == 1);
        CHECK_FALSE(report.summary.incomplete.empty());
        CHECK(report.proxies.size() == 1);
    }
    CHECK(make_report({moved, backup}, {}).summary.incomplete.empty());

    InventoryRows pruned = restored;
    pruned.proxy.pruned_before = clear.last_seen + 1;
    CHECK(make_report({moved, pruned}, {.since = start + 1}).summary.plain == 0);
    InventoryRows folded = restored;
    folded.clients = {client("app", {}), client("app", {})};
    folded.clients[1].who.application_name = "job #";
    InventoryRows numbered = moved;
    numbered.clients = {folded.clients[1]};
    numbered.clients[0].who.application_name = "job 7";
    CHECK(make_report({numbered, folded}, {}).summary.incomplete.empty());
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

TEST_CASE("failed handshakes that several may have made are counted, and said whose they may be") {
    const Report report =
        make_report({inventory({with_ja4(client("app", {}), "t13"), with_ja4(client("web", {}), "t13")},
                               {handshake(seen(Evidence::tls_refused, start, 23))})},
                    {});
    REQUIRE(report.unattributed.size() == 1);
    CHECK(report.unattributed[0].count == 23);
    CHECK(report.unattributed[0].candidates.size() == 2);
    for (const ReportClient& each : report.clients) {
        CHECK(each.perhaps_failed == 23);
        CHECK(each.failures() == 0);
    }
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
    CHECK(names({.usename = "app"}) == Names{"app"});
    CHECK(names({.client_addr = "10.0.0.0/8"}) == Names{"?", "app"});
    CHECK(names({.client_addr = "2001:db8::7"}) == Names{"far"});
    CHECK(names({.upstream = "other"}).empty());
}

TEST_CASE("only loopback and no address at all are known to cross no network") {
    for (const char* address : {"127.0.0.1", "::1", ""}) CHECK(is_local(address));
    for (const char* address : {"fe80::1", "169.254.7.7", "172.17.0.2", "10.0.0.1"}) CHECK_FALSE(is_local(address));
}

TEST_CASE("failures that name nobody may be those of whoever is asked for by name") {
    const auto rows = inventory({with_ja4(client("app", {seen(Evidence::tls_startup)}), "t13")},
                                {handshake(seen(Evidence::no_client_hello, start, 3), "", "zz"),
                                 handshake(seen(Evidence::untrusted_refused, start, 5), "", "zz")});
    const auto asked = [&](const ReportFilter& filter) { return make_report({rows}, filter).unattributed; };
    const auto found = asked({.usename = "app"});
    REQUIRE(found.size() == 1);
    CHECK(found[0].count == 3);
    CHECK(found[0].candidates.empty());
    CHECK(asked({}).empty());
    CHECK(asked({.client_addr = "10.0.0.0/8"}).empty());  // it has a row of its own there
    CHECK(asked({.usename = "app", .client_addr = "192.0.2.1"}).empty());
    CHECK(asked({.since = start + hour, .usename = "app"}).empty());
    CHECK(has_failed(make_report({inventory({client("app", {seen(Evidence::tls_startup)})},
                                            {handshake(seen(Evidence::tls_refused, start, 9), "", "zz")})},
                                 {.usename = "app"}),
                     FailOn::failing));
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
    CHECK(report.upstream_certificates[0].row.candidate_since == start + day + hour);  // for all of them
    CHECK_FALSE(report.upstream_certificates[1].current);
}

TEST_CASE("of a certificate that several proxies saw, the keys are known as soon as one of them knows them") {
    UpstreamCertificateRow unverified{};
    unverified.upstream = "orders";
    unverified.upstream_addr = "10.1.0.1:5432";
    unverified.sha256 = "ab";
    unverified.first_seen = start;
    unverified.last_seen = start + 3 * day;
    unverified.groups = {"P-256"};
    UpstreamCertificateRow before = unverified, after = unverified;
    before.anchor = after.anchor = "CN=Root";
    before.anchor_key_sha256 = "old";
    before.issuer_key_id = "01";
    before.last_seen = start + day;
    before.groups = {"X25519"};
    after.anchor_key_sha256 = "new";
    after.last_seen = start + 2 * day;
    after.groups = {"X25519MLKEM768"};
    std::vector<InventoryRows> each(3);
    each[0].upstream_certificates = {unverified};
    each[1].upstream_certificates = {before};
    each[2].upstream_certificates = {after};
    const UpstreamCertificateRow row = make_report(each, {}).upstream_certificates.at(0).row;
    CHECK(row.anchor == "CN=Root");
    CHECK_FALSE(row.anchor_key_sha256.empty());
    CHECK(row.issuer_key_id == "01");
    CHECK(row.groups == KeyExchangeGroups{"P-256", "X25519MLKEM768", "X25519"});
    // Of two that verified it, the later one is believed.
    std::swap(each[0], each[2]);
    CHECK(make_report(each, {}).upstream_certificates.at(0).row.anchor_key_sha256 == "new");
}

TEST_CASE("the groups of a client that several proxies saw are all of them, the last one first") {
    std::vector<InventoryRows> each(2);
    for (std::size_t i = 0; i < 2; ++i) {
        ClientRow row = client("app", {seen(Evidence::tls_startup, start, 3)});
        row.who.client_addr = "10.0.0.1";
        row.last_seen = start + static_cast<Timestamp>(i) * day;
        row.groups = i == 0 ? KeyExchangeGroups{"P-256", "X25519"} : KeyExchangeGroups{"X25519MLKEM768", "P-256"};
        each[i].instance = std::to_string(i);
        each[i].clients = {row};
    }
    const Report report = make_report(each, {});
    REQUIRE(report.clients.size() == 1);
    CHECK(report.clients[0].row.groups == KeyExchangeGroups{"X25519MLKEM768", "P-256", "X25519"});
    std::swap(each[0], each[1]);
    CHECK(make_report(each, {}).clients[0].row.groups == KeyExchangeGroups{"X25519MLKEM768", "P-256", "X25519"});
}

TEST_CASE("intervals are written as short as they can be") {
    CHECK(interval_text({}) == "unknown");
    CHECK(interval_text({SslMode::prefer, SslMode::prefer}) == "prefer");
    CHECK(interval_text({SslMode::disable, SslMode::allow}) == "<= allow");
    CHECK(interval_text({SslMode::verify_ca, SslMode::verify_full}) == ">= verify-ca");
    CHECK(interval_text({SslMode::allow, SslMode::require}) == "allow..require");
}

TEST_CASE("CSV cells are no formulas, and quoted when they must be") {
    ClientRow row = client("=HYPERLINK(\"x\")", {});
    row.who.datname = "a,b;c";
    const std::string csv = to_csv(make_report({inventory({row})}, {}));
    CHECK(csv.find("\"'=HYPERLINK(\"\"x\"\")\",\"a,b;c\",") != std::string::npos);
    CHECK(csv.ends_with("\r\n"));
}

TEST_CASE("no format for programs holds what a terminal obeys, because people look at it too") {
    ClientRow row = client(
        "a\x1b]0;pwned\x07"
        "b\nc",
        {});
    row.who.datname =
        "\xc2\x9b"
        "31m";
    row.who.application_name =
        "\xe2\x80\xae"
        "exe";
    const Report report = make_report({inventory({row})}, {});
    const std::string replaced = "\xef\xbf\xbd";
    CHECK(to_csv(report).find("a" + replaced + "]0;pwned" + replaced + "b" + replaced + "c," + replaced + "31m," +
                              replaced + "exe,") != std::string::npos);
    const std::string text = to_json(report);
    for (const std::string harmful : {"\x1b", "\x07", "\xc2\x9b", "\xe2\x80\xae"})
        CHECK(text.find(harmful) == std::string::npos);
    const boost::json::value document = boost::json::parse(text);  // and yet says it all
    const boost::json::value& read = document.at("clients").at(0);
    CHECK(read.at("usename").as_string() ==
          "a\x1b]0;pwned\x07"
          "b\nc");
    CHECK(read.at("datname").as_string() ==
          "\xc2\x9b"
          "31m");
}

TEST_CASE("a mode is known by the inventory's word for it") {
    CHECK(mode_of("plain") == Mode::clear);
    for (const char* version : {"SSLv3", "TLSv1", "TLSv1.1"}) CHECK(mode_of(version) == Mode::old_tls);
    CHECK(mode_of("TLSv1.2") == Mode::tls12);
    CHECK(mode_of("TLSv1.3") == Mode::tls13);
    CHECK(mode_of("TLSv1.4") == Mode::other);
    CHECK(mode_of("") == Mode::other);
}
