// Clients that cannot connect or log in: what failed last, and what to do about each kind of it.
#include <boost/json.hpp>
#include <set>

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

EvidenceRow seen(Evidence evidence, Timestamp when, const std::string& session = {}, std::uint64_t count = 1) {
    return {.label = std::string(protocol::label(evidence)),
            .evidence = evidence,
            .certificate = "real",
            .first_seen = when,
            .last_seen = when,
            .count = count,
            .session = session};
}

/// One that came through TLS and never logged in.
ClientRow failed_login(std::uint64_t refused, std::uint64_t failures, Timestamp when = start) {
    ClientRow row;
    row.who = {{.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = ""},
               {.usename = "app", .datname = "db", .application_name = ""}};
    row.first_seen = row.last_seen = row.last_failure = when;
    row.auth_failed = refused;
    row.failures = failures;
    row.days[when / day]["TLSv1.3"] = {
        .failures = failures, .auth_failed = refused, .first_seen = when, .last_seen = when};
    row.evidence.push_back(seen(Evidence::tls_startup, when, "17a2-9"));
    return row;
}

HandshakeRow failed_handshake(Evidence evidence, const std::string& error, Timestamp when = start,
                              std::uint64_t count = 1) {
    return {.from = {.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = ""},
            .ja4 = "t13",
            .listener = "l",
            .error = error,
            .evidence = seen(evidence, when, "17a2-3", count)};
}

Report made(std::vector<ClientRow> clients, std::vector<HandshakeRow> handshakes = {}) {
    InventoryRows rows;
    rows.clients = std::move(clients);
    rows.handshakes = std::move(handshakes);
    return make_report({rows}, {});
}

ReportClient only(std::vector<ClientRow> clients, std::vector<HandshakeRow> handshakes = {}) {
    const Report report = made(std::move(clients), std::move(handshakes));
    REQUIRE(report.clients.size() == 1);
    return report.clients.front();
}

}  // namespace

TEST_CASE("whoever was never seen but in failed handshakes is told what to do about the last one") {
    struct Case {
        Evidence evidence;
        std::uint64_t count;
        Action action;
    };
    for (const Case& expected : std::vector<Case>{{Evidence::tls_refused, 1, Action::fix_root_certificate},
                                                  {Evidence::tls_refused_silently, 2, Action::fix_root_certificate},
                                                  {Evidence::no_client_hello, 1, Action::fix_root_certificate},
                                                  {Evidence::tls_refused_silently, 1, Action::ask_its_owner},
                                                  {Evidence::tls_not_agreed, 1, Action::fix_tls},
                                                  {Evidence::closed_after_no, 1, Action::offer_tls}}) {
        INFO(protocol::label(expected.evidence) << " " << expected.count);
        const ReportClient client = only({}, {failed_handshake(expected.evidence, "its error", start, expected.count)});
        CHECK(to_string(client.action) == to_string(expected.action));
        REQUIRE(client.last_failed);
        CHECK(client.last_failed->what == protocol::label(expected.evidence));
        CHECK(client.last_failed->error == "its error");
        CHECK(client.last_failed->time == start);
        CHECK(client.last_failed->session == "17a2-3");
        CHECK(explain(client) == std::string(explain(expected.action)) + "; it failed last at " + time_text(start) +
                                     ": " + std::string(protocol::label(expected.evidence)) + ": its error");
    }
}

TEST_CASE("the newest of several failures decides what to do") {
    const ReportClient client =
        only({}, {failed_handshake(Evidence::tls_refused, "unknown ca", start),
                  failed_handshake(Evidence::tls_not_agreed, "no shared cipher", start + hour)});
    CHECK(client.action == Action::fix_tls);
    CHECK(client.last_failed->error == "no shared cipher");
}

TEST_CASE("a client whose logins are refused has a login to be mended, and its session in the audit") {
    const ReportClient client = only({failed_login(3, 3)});
    CHECK(client.failing);
    CHECK(client.action == Action::fix_login);
    REQUIRE(client.last_failed);
    CHECK(client.last_failed->what == "login refused");
    CHECK(client.last_failed->time == start);
    CHECK(client.last_failed->session == "17a2-9");
    CHECK(has(explain(client), "login refused, session 17a2-9 of the audit"));
}

TEST_CASE("a client that this proxy or an absent server keeps out is to be let in") {
    const ReportClient client = only({failed_login(0, 2)});
    CHECK(client.action == Action::let_in);
    CHECK(client.last_failed->what == "login not answered");
}

TEST_CASE("whose matter it is that a login failed is known by the reason of the last one") {
    struct Case {
        Reason reason;
        const char* error;
        Action action;
        const char* what;
    };
    for (const Case& expected : std::vector<Case>{
             {Reason::server_denied, "28P01: password authentication failed", Action::fix_login, "login refused"},
             {Reason::client_left, "client closed the connection", Action::fix_login, "login refused"},
             {Reason::password_failed, "28P01: wrong password", Action::fix_login, "login refused"},
             {Reason::server_denied, "53300: too many clients", Action::reach_the_server, "login refused"},
             {Reason::server_denied, "57P03: starting up", Action::reach_the_server, "login refused"},
             {Reason::tls_required, "28000: TLS required", Action::let_in, "refused by the proxy"},
             {Reason::too_many_connections, "53300: sorry", Action::let_in, "refused by the proxy"},
             {Reason::server_not_reached, "57P03: refused", Action::reach_the_server, "login not answered"},
             {Reason::no_wanted_host, "57P03: no primary", Action::reach_the_server, "login not answered"},
             {Reason::server_certificate_rejected, "", Action::reach_the_server, "login not answered"},
             {Reason::failed, "XX000: out of memory", Action::relieve_the_proxy, "login not answered"},
             {Reason::shutting_down, "57P03: shutting down", Action::relieve_the_proxy, "login not answered"}}) {
        INFO(label(expected.reason) << " " << expected.error);
        for (const std::uint64_t refused : {0, 2}) {  // of all that day: the last one decides
            ClientRow row = failed_login(refused, 3);
            row.failure_reason = expected.reason;
            row.failure_error = expected.error;
            const ReportClient client = only({row});
            CHECK(to_string(client.action) == to_string(expected.action));
            REQUIRE(client.last_failed);
            CHECK(client.last_failed->what == expected.what);
            CHECK(client.last_failed->error == expected.error);
        }
    }
}

TEST_CASE("nobody whom the proxy or the server turned away is told to see to the password") {
    // Which SQLSTATEs are about the login itself: its user and password (28), its messages (08),
    // and what they ask for (0A). The others are about a place, a server or a time.
    const std::set<Reason> of_the_proxy_all_the_same{Reason::address_not_allowed, Reason::proxy_not_trusted,
                                                     Reason::tls_not_offered,     Reason::tls_required,
                                                     Reason::password_in_clear,   Reason::scram_secret};
    for (std::size_t i = 1; i < reasons; ++i) {
        const Reason reason = static_cast<Reason>(i);
        INFO(label(reason));
        ClientRow row = failed_login(2, 3);
        row.failure_reason = reason;
        row.failure_error = std::string(sqlstate(reason)) + ": " + std::string(sentence(reason));
        const ReportClient client = only({row});
        REQUIRE(client.last_failed);
        CHECK(client.last_failed->error == row.failure_error);
        const std::string_view state = sqlstate(reason);
        if (state.starts_with("53") || of_the_proxy_all_the_same.contains(reason)) {
            CHECK(to_string(client.action) == "let in");
            CHECK(client.last_failed->what == "refused by the proxy");
            CHECK(has(explain(client), "refused by the proxy: " + std::string(state)));
        }
        if (state == "57P03" || state.starts_with("XX"))
            CHECK((client.action == Action::reach_the_server || client.action == Action::relieve_the_proxy));
        if (state == "57014") CHECK(client.action == Action::let_in);
    }
}

TEST_CASE("the words of a failure are those of the newest, wherever it is from, and of no other range") {
    ClientRow old = failed_login(1, 1);
    old.failure_reason = Reason::server_denied;
    old.failure_error = "28P01: old";
    ClientRow late = failed_login(1, 1, start + hour);
    late.failure_reason = Reason::server_not_reached;
    late.failure_error = "57P03: late";
    InventoryRows one, other;
    one.instance = "a1";
    one.clients = {late};
    other.instance = "b2";
    other.clients = {old};
    for (const auto& both : {std::vector{one, other}, std::vector{other, one}}) {
        const Report report = make_report(both, {});
        REQUIRE(report.clients.size() == 1);
        CHECK(report.clients[0].last_failed->error == "57P03: late");
        CHECK(report.clients[0].action == Action::reach_the_server);
    }
    ReportClient until;
    until.row = late;
    until.row.first_seen = start;
    REQUIRE(restrict_to(until, {.until = start + hour / 2}));
    evaluate(until);
    CHECK((!until.last_failed || until.last_failed->error.empty()));
}

TEST_CASE("every format says why a login failed") {
    ClientRow row = failed_login(3, 3);
    row.failure_reason = Reason::server_denied;
    row.failure_error = "28P01: password authentication failed for user \"app\"";
    const Report report = made({row});
    const std::string words = "login refused: " + row.failure_error;
    CHECK(has(report_fixture::table(report, 0), "failed last: " + words + ": app@db"));
    CHECK(has(to_html(report, start), "28P01: password authentication failed for user &quot;app&quot;"));
    CHECK(has(to_csv(report), "28P01: password authentication failed for user \"\"app\"\""));
    const auto failure = boost::json::parse(to_json(report)).at("clients").at(0).at("failure");
    CHECK(failure.at("error").as_string() == row.failure_error);
    CHECK(failure.at("session").as_string() == "17a2-9");
}

TEST_CASE("of logins and handshakes that failed the later kind decides") {
    ClientRow row = failed_login(1, 1);
    row.ja4 = {"t13"};
    CHECK(only({row}, {failed_handshake(Evidence::closed_after_no, "left", start - hour)}).action == Action::fix_login);
    HandshakeRow nothing_in_common = failed_handshake(Evidence::tls_not_agreed, "no shared cipher", start + hour);
    nothing_in_common.evidence.certificate.clear();  // it came to none
    CHECK(only({row}, {nothing_in_common}).action == Action::fix_tls);
}

TEST_CASE("a client that logged in once and no longer does is told the same") {
    ClientRow row = failed_login(3, 3, start + 2 * day);
    row.first_seen = start;
    row.connections = 5;
    row.days[start / day]["TLSv1.3"] = {.connections = 5, .first_seen = start, .last_seen = start};
    const ReportClient client = only({row});
    CHECK(client.failing);
    CHECK(client.action == Action::fix_login);
    CHECK(client.last_failed->time == start + 2 * day);

    row.days[(start + 2 * day) / day]["TLSv1.3"].failures = row.failures = 1;  // a slip
    CHECK(only({row}).action == Action::probe);
    CHECK_FALSE(only({row}).last_failed);
}

TEST_CASE("clear text is to be ended first, whether its logins succeed or not") {
    ClientRow row = failed_login(2, 2);
    row.evidence = {seen(Evidence::clear_startup, start, "17a2-9")};
    row.days[start / day] = {{"plain", row.days[start / day]["TLSv1.3"]}};
    const ReportClient client = only({row});
    CHECK(client.action == Action::enable_tls);
    REQUIRE(client.last_failed);
    CHECK(has(explain(client), "login refused"));
}

TEST_CASE("what was lost to a probe is no failure to be mended") {
    const ReportClient client = only({}, {failed_handshake(Evidence::untrusted_refused, "unknown ca")});
    CHECK(client.action == Action::probe);
    CHECK_FALSE(client.last_failed);
}

TEST_CASE("what failed before a repair is nothing to be mended") {
    ReportClient client;
    client.row = failed_login(2, 2);
    client.repaired_at = start + 1;
    evaluate(client);
    CHECK(client.action == Action::probe);
    CHECK_FALSE(client.last_failed);
}

TEST_CASE("every format says what failed last") {
    const Report report =
        made({failed_login(3, 3)}, {failed_handshake(Evidence::tls_refused, "alert unknown_ca (48)")});
    const std::string told = report_fixture::table(report, 0);
    CHECK(has(told, "failed last: login refused, session 17a2-9 of the audit: app@db"));
    CHECK(has(told, "failed last: tls_refused: alert unknown_ca (48): 10.0.0.1 (not known)"));
    CHECK(has(told, "fix login"));
    const std::string page = to_html(report, start);
    CHECK(has(page, "failed last: login refused, session 17a2-9 of the audit"));
    CHECK(has(to_csv(report), "\"login refused, session 17a2-9 of the audit\""));
    const auto document = boost::json::parse(to_json(report));
    bool login = false;
    for (const auto& client : document.at("clients").as_array()) {
        const auto& failure = client.at("failure").as_object();
        if (failure.at("what").as_string() != "login refused") continue;
        login = true;
        CHECK(failure.at("time").as_string() == time_text(start));
        CHECK(failure.at("error").is_null());
        CHECK(failure.at("session").as_string() == "17a2-9");
    }
    CHECK(login);
}

TEST_CASE("every action has a word and a sentence of its own") {
    std::set<std::string_view> words, sentences;
    for (int i = 0; i < action_count; ++i) {
        words.insert(to_string(static_cast<Action>(i)));
        sentences.insert(explain(static_cast<Action>(i)));
    }
    CHECK(words.size() == static_cast<std::size_t>(action_count));
    CHECK(sentences.size() == static_cast<std::size_t>(action_count));
    CHECK_FALSE(words.contains(""));
    CHECK_FALSE(sentences.contains(""));
}
