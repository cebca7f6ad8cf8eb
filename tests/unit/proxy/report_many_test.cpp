// Reports of many rows behind one address, as strangers and NAT make them: sizes at which work that
// grows with the product of two tables, or with the square of one, would not end.
#include <random>

#include "proxy/report/report_fallbacks.hpp"
#include "report_fixture.hpp"
#include "support/catch.hpp"

using namespace proxy;
using namespace proxy::report;
using protocol::Evidence;
using report_fixture::day;
using report_fixture::hour;
using report_fixture::start;

namespace {

EvidenceRow seen(Evidence evidence, const std::string& certificate, Timestamp first = start, Timestamp last = start) {
    return {.label = std::string(protocol::label(evidence)),
            .evidence = evidence,
            .certificate = certificate,
            .first_seen = first,
            .last_seen = last,
            .count = 1,
            .session = {}};
}

ClientRow client(const std::string& user, EvidenceRow evidence) {
    ClientRow row;
    row.who = {{.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = ""},
               {.usename = user, .datname = "db", .application_name = ""}};
    row.first_seen = evidence.first_seen;
    row.last_seen = evidence.last_seen;
    row.connections = 1;
    row.days[start / day]["TLSv1.3"] = {.connections = 1, .first_seen = start, .last_seen = start};
    row.evidence.push_back(std::move(evidence));
    return row;
}

HandshakeRow handshake(const std::string& ja4, EvidenceRow evidence) {
    return {.from = {.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = ""},
            .ja4 = ja4,
            .listener = "l",
            .error = "alert",
            .evidence = std::move(evidence)};
}

}  // namespace

TEST_CASE("a client with very many kinds of failed handshakes has a row for each") {
    constexpr std::size_t many = 100'000;
    InventoryRows rows;
    rows.clients.push_back(client("app", seen(Evidence::tls_startup, "real 0")));
    rows.clients.back().ja4 = {"t13"};
    for (std::size_t i = 1; i <= many; ++i)
        rows.handshakes.push_back(handshake("t13", seen(Evidence::tls_refused, "real " + std::to_string(i))));
    const Report report = make_report({rows}, {});
    REQUIRE(report.clients.size() == 1);
    CHECK(report.clients[0].row.evidence.size() == many + 1);
    CHECK(report.clients[0].failed_handshakes == many);
}

TEST_CASE("what many inventories know of one client is one row for each kind") {
    constexpr std::size_t proxies = 300, certificates = 600;
    std::vector<InventoryRows> all;
    for (std::size_t i = 0; i < proxies; ++i) {
        ClientRow row = client("app", seen(Evidence::tls_startup, "shared"));
        for (std::size_t j = 1; j < certificates; ++j)
            row.evidence.push_back(seen(Evidence::tls_startup, std::to_string(i) + " " + std::to_string(j)));
        InventoryRows rows;
        rows.instance = rows.proxy.id = "p" + std::to_string(i);
        rows.clients.push_back(std::move(row));
        all.push_back(std::move(rows));
    }
    const Knowledge knowledge = merge(all);
    REQUIRE(knowledge.rows.clients.size() == 1);
    const auto& evidence = knowledge.rows.clients[0].evidence;
    CHECK(evidence.size() == proxies * (certificates - 1) + 1);
    CHECK(evidence.front().certificate == "shared");
    CHECK(evidence.front().count == proxies);
}

TEST_CASE("very many failed handshakes that fit very many clients are told once for each kind") {
    constexpr std::size_t many = 5'000;
    InventoryRows rows;
    for (std::size_t i = 0; i < many; ++i) {
        rows.clients.push_back(client("u" + std::to_string(i), seen(Evidence::tls_startup, "real")));
        rows.clients.back().ja4 = {"t13"};
        const auto when = start + static_cast<Timestamp>(i);
        rows.handshakes.push_back(handshake("t13", seen(Evidence::tls_refused, std::to_string(i), when, when)));
        rows.handshakes.push_back(handshake("t13", seen(Evidence::no_client_hello, std::to_string(i), when, when)));
    }
    const Joined joined = join(rows);
    REQUIRE(joined.clients.size() == many);
    for (const ReportClient& each : joined.clients) {
        REQUIRE(each.row.evidence.size() == 3);
        const EvidenceRow& refused = each.row.evidence[2];
        REQUIRE(refused.label == "tls_refused");
        REQUIRE(refused.possible);
        REQUIRE(refused.count == many);
        REQUIRE(refused.first_seen == start);
        REQUIRE(refused.last_seen == start + static_cast<Timestamp>(many) - 1);
        REQUIRE(refused.certificate == std::to_string(many - 1));  // that was shown last
    }
    REQUIRE(joined.unattributed.size() == 1);
    CHECK(joined.unattributed[0].count == 2 * many);
    CHECK(joined.unattributed[0].candidates.size() == many);
}

TEST_CASE("very many strangers beside very many that went on in clear are each looked up") {
    constexpr std::size_t many = 60'000;
    InventoryRows rows;
    for (std::size_t i = 0; i < many; ++i) {
        const auto when = start + static_cast<Timestamp>(i);
        rows.clients.push_back(
            client("u" + std::to_string(i), seen(Evidence::clear_startup_after_tls, "", when, when)));
        // An hour later, so that nobody's it may have been is found by the first look.
        rows.handshakes.push_back(
            handshake("made up " + std::to_string(i), seen(Evidence::tls_refused, "real", when + hour, when + hour)));
    }
    const Joined joined = join(rows);
    CHECK(joined.clients.size() == 2 * many);
    CHECK(std::none_of(joined.clients.begin(), joined.clients.end(),
                       [](const ReportClient& each) { return each.row.evidence.front().possible; }));
}

TEST_CASE("who may have gone on in clear is found as by looking at everybody") {
    constexpr Timestamp minute = 60'000'000;
    std::mt19937 random(7);
    const auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    std::size_t found = 0, of = 0;
    for (int round = 0; round < 300; ++round) {
        const auto origin = [&] {
            ClientOrigin from{
                .upstream = "orders", .client_addr = below(2) ? "127.0.0.1" : "10.0.0.1", .client_exe = {}};
            if (from.client_addr == "127.0.0.1") from.client_uid = below(3) - 1;
            if (below(2)) from.client_exe = below(2) ? "/bin/a" : "/bin/b";
            return from;
        };
        const auto within = [&](Evidence evidence) {
            const Timestamp first = start + below(40) * minute;
            return seen(evidence, "", first, first + below(5) * minute);
        };
        std::vector<ClientRow> clients;
        for (int i = 1 + below(6); i > 0; --i) {
            ClientRow row = client("u" + std::to_string(i), within(Evidence::clear_startup_after_tls));
            static_cast<ClientOrigin&>(row.who) = origin();
            for (int more = below(3); more > 0; --more)
                row.evidence.push_back(within(below(2) ? Evidence::clear_startup_after_tls_login
                                                       : Evidence::clear_startup_after_declined));
            clients.push_back(std::move(row));
        }
        const Fallbacks fallbacks(clients);
        for (int i = 0; i < 20; ++i) {
            HandshakeRow failed =
                handshake("t13", within(below(2) ? Evidence::tls_refused : Evidence::closed_after_no));
            failed.from = origin();
            std::optional<std::size_t> owner;
            if (below(2)) owner = static_cast<std::size_t>(below(static_cast<int>(clients.size())));
            bool expected = false;
            for (std::size_t j = 0; j < clients.size(); ++j) {
                const ClientOrigin& from = clients[j].who;
                const bool one_program =
                    (from.client_exe.empty() || failed.from.client_exe.empty() ||
                     from.client_exe == failed.from.client_exe) &&
                    (from.client_uid < 0 || failed.from.client_uid < 0 || from.client_uid == failed.from.client_uid);
                if (j == owner || from.client_addr != failed.from.client_addr || !one_program) continue;
                for (const EvidenceRow& row : clients[j].evidence) {
                    expected |= (row.evidence == Evidence::clear_startup_after_declined) ==
                                    (failed.evidence.evidence == Evidence::closed_after_no) &&
                                row.first_seen <= failed.evidence.last_seen + minute &&
                                failed.evidence.first_seen <= row.last_seen + minute;
                }
            }
            CHECK(fallbacks.another_may_have_gone_on(failed, owner) == expected);
            found += expected ? 1 : 0;
            ++of;
        }
    }
    CHECK(found > of / 20);
    CHECK(found < of / 2);
}
