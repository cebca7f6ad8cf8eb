#include "report_rows.hpp"

using namespace report_rows;

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

// --- Who is who

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
