#include <boost/json.hpp>

#include "report_rows.hpp"

using namespace report_rows;

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

TEST_CASE("only loopback and no address at all are known to cross no network") {
    for (const char* address : {"127.0.0.1", "::1", ""}) CHECK(is_local(address));
    for (const char* address : {"fe80::1", "169.254.7.7", "172.17.0.2", "10.0.0.1"}) CHECK_FALSE(is_local(address));
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
