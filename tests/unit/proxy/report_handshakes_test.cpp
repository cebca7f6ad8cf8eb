#include "report_rows.hpp"

using namespace report_rows;

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
