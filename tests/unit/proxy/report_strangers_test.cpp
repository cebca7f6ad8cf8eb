// Clients that never log in: they have no names, and must not vanish behind others that do.
#include <algorithm>
#include <boost/json.hpp>

#include "report_fixture.hpp"
#include "support/catch.hpp"

using namespace proxy;
using namespace proxy::report;
using protocol::Evidence;
using report_fixture::day;
using report_fixture::has;
using report_fixture::hour;
using report_fixture::start;

namespace {

EvidenceRow seen(Evidence evidence, Timestamp when = start, std::uint64_t count = 1) {
    return {.label = std::string(protocol::label(evidence)),
            .evidence = evidence,
            .certificate = "real",
            .first_seen = when,
            .last_seen = when,
            .count = count,
            .session = "17a2-3"};
}

/// That logs in by TLS, or in clear.
ClientRow client(const std::string& name, const std::string& exe, Evidence evidence = Evidence::tls_startup) {
    ClientRow row;
    row.who = {{.upstream = "orders", .client_addr = "127.0.0.1", .client_exe = exe},
               {.usename = name, .datname = "db", .application_name = ""}};
    const bool in_clear = protocol::facts(evidence).side == protocol::Side::clear;
    row.first_seen = row.last_seen = start;
    row.connections = 4;
    row.plain = in_clear ? 4 : 0;
    row.days[start / day][in_clear ? "plain" : "TLSv1.3"] = {.connections = 4, .first_seen = start, .last_seen = start};
    row.evidence = {seen(evidence)};
    row.ja4 = {"t13"};
    return row;
}

HandshakeRow handshake(Evidence evidence, const std::string& exe, const std::string& ja4 = "t13",
                       std::uint64_t count = 1, Timestamp when = start + hour) {
    return {.from = {.upstream = "orders", .client_addr = "127.0.0.1", .client_exe = exe},
            .ja4 = ja4,
            .listener = "l",
            .error = std::string(protocol::label(evidence)) + " it was",
            .evidence = seen(evidence, when, count)};
}

Report made(std::vector<ClientRow> clients, std::vector<HandshakeRow> handshakes) {
    InventoryRows rows;
    rows.clients = std::move(clients);
    rows.handshakes = std::move(handshakes);
    return make_report({rows}, {});
}

}  // namespace

TEST_CASE("a client that never logs in and shares address and program with others does not vanish") {
    for (const auto& [others, refused] : std::vector<std::pair<std::vector<ClientRow>, std::uint64_t>>{
             {{client("app", "/bin/a"), client("web", "/bin/a")}, 7}, {{client("app", "/bin/a")}, 7}}) {
        INFO(others.size() << " others");
        const Report report = made(others, {handshake(Evidence::tls_refused, "/bin/a", "t13", 7),
                                            handshake(Evidence::tls_not_agreed, "/bin/a", "t12", 2)});
        CHECK(report.summary.unattributed_failures == 9);
        CHECK(report.summary.unattributed_refused == refused);
        const std::string told = report_fixture::table(report, 0);
        CHECK(has(told,
                  "9  handshakes failed that no row explains, 7 of them at our certificate: a client may never log "
                  "in; see below the table"));
        CHECK(has(told,
                  "or of a client that never logged in; 7 refused our certificate or left at it: its CA (ca.crt, "
                  "or that of cert_file) belongs in the trust store of that client"));
        CHECK(has(to_html(report, start), "handshakes failed that no row explains, 7 at our certificate"));
        const auto json = boost::json::parse(to_json(report));
        CHECK(json.at("summary").at("unattributed_refused").as_int64() == 7);
        CHECK(json.at("unattributed_failures").as_array().at(0).at("refused").as_int64() == 7);
        CHECK(has_failed(report, FailOn::failing));
    }
}

TEST_CASE("whoever may have made a handshake is named once, also where programs or users of one name differ") {
    Unattributed one;
    one.count = 3;
    for (const char* const exe : {"/bin/a", "/bin/b"}) {
        for (const std::int64_t uid : {1000, 1001}) {
            ClientIdentity who;
            who.client_exe = exe;
            who.client_uid = uid;
            who.usename = "app";
            who.datname = "db";
            one.candidates.push_back(who);
            who.application_name = "cron";
            one.candidates.push_back(who);
        }
    }
    CHECK(whose(one, 9) == "may be those of app@db, app@db cron, or of a client that never logged in");
    CHECK(whose(one, 1) == "may be those of app@db and 1 other, or of a client that never logged in");
}

TEST_CASE("where every handshake that failed has a row, no line says otherwise") {
    const Report report = made({client("app", "/bin/a")}, {handshake(Evidence::tls_refused, "/bin/b")});
    CHECK(report.summary.unattributed_failures == 0);
    CHECK_FALSE(has(report_fixture::table(report, 0), "no row explains"));
}

TEST_CASE("what is lost to a probe refuses nothing of ours") {
    const Report report = made({client("app", "/bin/a"), client("web", "/bin/a")},
                               {handshake(Evidence::untrusted_refused, "/bin/a", "t13", 7)});
    CHECK(report.summary.unattributed_failures == 0);
    CHECK(report.summary.unattributed_refused == 0);
}

TEST_CASE("two settings of one program that fail for two reasons are two rows, told apart by their fingerprints") {
    const Report report = made({}, {handshake(Evidence::tls_refused, "/bin/a", "t13d-a", 3),
                                    handshake(Evidence::tls_not_agreed, "/bin/a", "t12d-b", 2),
                                    handshake(Evidence::no_client_hello, "/bin/a", "", 1)});
    REQUIRE(report.clients.size() == 3);
    const auto of = [&](Action action, std::uint64_t failures) {
        return std::count_if(report.clients.begin(), report.clients.end(), [&](const ReportClient& one) {
            return one.action == action && one.failures() == failures && one.failing;
        });
    };
    CHECK(of(Action::fix_root_certificate, 3) == 1);
    CHECK(of(Action::fix_tls, 2) == 1);
    CHECK(of(Action::fix_root_certificate, 1) == 1);
    const std::string told = report_fixture::table(report, 0);
    CHECK(has(told, "(not known, JA4 t13d-a)"));
    CHECK(has(told, "(not known, JA4 t12d-b)"));
    CHECK(has(told, "(not known, no ClientHello)"));
    CHECK(has(told, "failed last: tls_not_agreed: tls_not_agreed it was: 127.0.0.1 a (not known, JA4 t12d-b)"));
    CHECK(has(to_html(report, start), "(not known)<small>JA4 t13d-a</small>"));
    CHECK(has(to_csv(report), "t13d-a"));
    CHECK(boost::json::parse(to_json(report)).at("clients").as_array().at(0).at("ja4").is_array());

    const Report one = made({}, {handshake(Evidence::tls_refused, "/bin/a", "t13d-a", 3)});
    CHECK(has(report_fixture::table(one, 0), "(not known) "));
    CHECK_FALSE(has(report_fixture::table(one, 0), "JA4"));
}

TEST_CASE("a row without names has as many failures as its action says, also where they may be another's") {
    // Somebody at that address went on in clear: it may have been the same client.
    const Report report = made({client("app", "", Evidence::clear_startup_after_tls)},
                               {handshake(Evidence::tls_not_agreed, "/bin/a", "t12", 5, start)});
    const auto nobody =
        std::find_if(report.clients.begin(), report.clients.end(), [](const ReportClient& one) { return !one.known; });
    REQUIRE(nobody != report.clients.end());
    CHECK(nobody->row.evidence.at(0).possible);
    CHECK(nobody->action == Action::fix_tls);
    CHECK(nobody->failures() == 5);
    CHECK(nobody->perhaps_failed == 0);
    CHECK(nobody->failing);
    CHECK(report.summary.failures == 5);
    CHECK(report.summary.unattributed_failures == 0);  // it has a row
}

TEST_CASE("that another program at its address failed with TLS is not held against a client in clear") {
    const auto of_client = [](Evidence in_clear) {
        const Report report =
            made({client("app", "/bin/psql", in_clear)}, {handshake(Evidence::tls_refused, "/bin/psql", "t13", 2)});
        REQUIRE(report.clients.size() == 1);
        return report.clients.front();
    };
    const ReportClient inferred = of_client(Evidence::clear_startup_after_tls);
    CHECK(inferred.action == Action::enable_tls);
    CHECK_FALSE(inferred.falls_back);
    CHECK_FALSE(inferred.failing);
    CHECK(inferred.perhaps_failed == 2);
    const ReportClient same_process = of_client(Evidence::clear_startup_after_refusal);
    CHECK(same_process.action == Action::trust_our_ca);
    CHECK_FALSE(same_process.perhaps_anothers_fallback);
}

TEST_CASE("a fallback that rests on failures at the same address says so") {
    ReportClient inferred;
    inferred.row = client("app", "", Evidence::clear_startup_after_tls);
    inferred.row.evidence.push_back(seen(Evidence::tls_refused));
    evaluate(inferred);
    REQUIRE(inferred.falls_back);
    CHECK(inferred.perhaps_anothers_fallback);
    CHECK(has(explain(inferred), "may be another client at its address"));
    const std::string told = "unless who failed with TLS before was another client at its address";
    CHECK(has(report_fixture::table(report_fixture::report_of({inferred}), 0), told + ": app@db"));
    CHECK(has(to_html(report_fixture::report_of({inferred}), start), told));
    inferred.row.evidence.push_back(seen(Evidence::clear_startup_after_tls_login));
    evaluate(inferred);
    CHECK_FALSE(inferred.perhaps_anothers_fallback);
    CHECK_FALSE(has(explain(inferred), "another client"));
    CHECK_FALSE(has(report_fixture::table(report_fixture::report_of({inferred}), 0), "another client at"));
}

TEST_CASE("that the logins of a client in clear fail is said beside its action") {
    ClientRow row = client("app", "", Evidence::clear_startup);
    row.connections = row.plain = 0;
    row.failures = row.auth_failed = 3;
    row.last_failure = start;
    row.days[start / day] = {{"plain", {.failures = 3, .auth_failed = 3, .first_seen = start, .last_seen = start}}};
    const Report report = made({row}, {});
    const ReportClient& one = report.clients.at(0);
    CHECK(one.action == Action::enable_tls);
    CHECK(one.also == Action::fix_login);
    CHECK(has(explain(one), "; and fix login: fails today"));
    const std::string told = report_fixture::table(report, 0);
    CHECK(has(told, "enable TLS, fix login"));
    CHECK(has(told, std::string(explain(Action::fix_login)).substr(0, 40)));
    CHECK(has(to_html(report, start), "<small>and fix login</small>"));
    CHECK(boost::json::parse(to_json(report)).at("clients").as_array().at(0).at("also") == "fix login");
    CHECK(report.summary.actions.at(Action::enable_tls) == 1);
    CHECK_FALSE(report.summary.actions.contains(Action::fix_login));  // each client counts once

    row.connections = row.plain = 4;  // and logged in since
    row.days[start / day]["plain"] = {
        .connections = 4, .failures = 3, .auth_failed = 3, .first_seen = start, .last_seen = start + hour};
    CHECK_FALSE(made({row}, {}).clients.at(0).also);
}
