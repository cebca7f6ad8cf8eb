// Each day of the rotation beside a report until its end, over inventories made at random: of
// programs that change, fail, come with handshakes that name nobody, and by clocks that are wrong.
#include <boost/json.hpp>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "proxy/dashboard/clients_json.hpp"
#include "proxy/dashboard/json_parts.hpp"
#include "proxy/dashboard/rotation_json.hpp"
#include "report_fixture.hpp"
#include "support/catch.hpp"

using namespace proxy;
using namespace proxy::dashboard;
namespace json = boost::json;
using protocol::Evidence;
using protocol::Readiness;
using report::Report;
using report::ReportClient;
using report_fixture::day;
using report_fixture::hour;

namespace {

constexpr std::int64_t today = 20'000;
constexpr Timestamp now = today * day + 12 * hour;

class Inventories {
   public:
    explicit Inventories(unsigned seed) : random_(seed) {}

    std::vector<InventoryRows> make() {
        std::vector<InventoryRows> all(static_cast<std::size_t>(1 + below(3)));
        for (std::size_t i = 0; i < all.size(); ++i) fill(all[i], "p" + std::to_string(i));
        return all;
    }

   private:
    int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }
    bool chance(int percent) { return below(100) < percent; }

    /// Of the last 40 days; now and then of tomorrow.
    Timestamp some_time() {
        if (chance(2)) return now + below(40) * hour;
        return now - below(40 * 24) * hour - below(3600) * Timestamp{1'000'000};
    }

    EvidenceRow some_evidence() {
        const auto evidence = static_cast<Evidence>(below(protocol::evidence_count));
        const Timestamp one = some_time(), other = chance(30) ? one : some_time();
        EvidenceRow row{.label = std::string(protocol::label(evidence)),
                        .evidence = evidence,
                        .certificate = chance(50) ? "real a" : "real b",
                        .first_seen = std::min(one, other),
                        .last_seen = std::max(one, other),
                        .count = static_cast<std::uint64_t>(1 + below(4)),
                        .session = {}};
        if (chance(3)) {
            row.label = "of_a_newer_version";
            row.evidence.reset();
        }
        return row;
    }

    ClientOrigin some_origin() {
        ClientOrigin from{.upstream = chance(80) ? "orders" : "stock", .client_addr = {}, .client_exe = {}};
        from.client_addr = chance(30) ? "127.0.0.1" : "10.0.0." + std::to_string(below(4));
        if (from.client_addr == "127.0.0.1") {
            from.client_uid = below(2);
            if (chance(70)) from.client_exe = chance(50) ? "/bin/a" : "/bin/b";
        }
        return from;
    }

    void add_day(ClientRow& row) {
        const std::int64_t on = today - below(40);
        const char* mode = chance(40) ? "plain" : chance(10) ? "TLSv1.1" : "TLSv1.3";
        DayFacts facts;
        facts.first_seen = on * day + below(12) * hour;
        facts.last_seen = facts.first_seen + below(12) * hour;
        if (chance(90)) facts.connections = static_cast<std::uint64_t>(1 + below(5));
        if (std::string_view(mode) != "plain" && chance(20)) facts.weak_tls = facts.connections;
        if (chance(20)) facts.failures = static_cast<std::uint64_t>(1 + below(4));
        if (chance(10)) facts.auth_failed = facts.failures;
        if (chance(10)) facts.open_until = facts.last_seen + below(72) * hour;
        row.days[on][mode] = facts;
        row.first_seen = std::min(row.first_seen, facts.first_seen);
        row.last_seen = std::max({row.last_seen, facts.last_seen, facts.open_until});
        if (facts.failures > 0) row.last_failure = std::max(row.last_failure, facts.last_seen);
    }

    ClientRow some_client(const ClientIdentity& who) {
        ClientRow row;
        row.who = who;
        row.first_seen = now;
        for (int i = below(12); i >= 0; --i) add_day(row);
        for (int i = below(6); i > 0; --i) row.evidence.push_back(some_evidence());
        if (chance(60)) row.ja4.push_back("t" + std::to_string(below(4)));
        return row;
    }

    void fill(InventoryRows& rows, const std::string& id) {
        rows.instance = id;
        rows.proxy = {.id = id,
                      .name = id,
                      .started = now - 60 * day,
                      .last_seen = now - below(10) * Timestamp{60'000'000},
                      .consistent_after = chance(50) ? 5 * day : -1};
        std::map<ClientIdentity, ClientRow> clients;
        for (int i = 1 + below(25); i > 0; --i) {
            ClientIdentity who{some_origin(),
                               {.usename = chance(50) ? "app" : "web",
                                .datname = "shop",
                                .application_name = chance(30) ? "job " + std::to_string(below(15)) : ""}};
            clients.try_emplace(who, some_client(who));
        }
        for (auto& [who, row] : clients) {
            if (chance(10)) {
                MarkRow& mark = rows.marks.emplace_back();
                mark.who = who;
                mark.repaired_at = some_time();
                mark.changed_at = now;
            }
            rows.clients.push_back(std::move(row));
        }
        std::set<std::tuple<ClientOrigin, std::string, std::string, std::string>> kinds;
        for (int i = below(15); i > 0; --i) {
            HandshakeRow row{
                .from = some_origin(), .ja4 = {}, .listener = "l", .error = {}, .evidence = some_evidence()};
            row.ja4 = row.error = "t" + std::to_string(below(6));  // its key has the error: no two are one
            if (kinds.insert({row.from, row.ja4, row.evidence.label, row.evidence.certificate}).second)
                rows.handshakes.push_back(std::move(row));
        }
    }

    std::mt19937 random_;
};

// --- The same by a report for each day

struct Told {
    Timestamp time = 0;
    std::size_t place = 0;  ///< in the report of today
    json::object move;
};

Timestamp first_of_day(const ReportClient& client, std::int64_t on, Timestamp end) {
    const auto found = client.row.days.find(on);
    if (found == client.row.days.end() || found->second.empty()) return end;
    Timestamp fresh = end, any = end;
    for (const auto& [mode, facts] : found->second) {
        any = std::min(any, facts.first_seen);
        const bool was_there = found != client.row.days.begin() && std::prev(found)->second.contains(mode);
        if (!was_there) fresh = std::min(fresh, facts.first_seen);
    }
    return fresh < end ? fresh : any;
}

std::string_view word(Readiness breaks) {
    return breaks == Readiness::no ? "ready" : breaks == Readiness::yes ? "breaks" : "unknown";
}

json::object day_by_day(const std::vector<InventoryRows>& inventories) {
    std::int64_t first = today;
    for (const InventoryRows& inventory : inventories) {
        for (const ClientRow& client : inventory.clients) first = std::min(first, client.first_seen / day);
    }
    first = std::max<std::int64_t>(first, today - rotation_days + 1);
    const Report last = report::make_report(inventories, {.now = now});
    std::map<std::string, std::size_t> places;
    for (const ReportClient& client : last.clients) places.emplace(key_of(client), places.size());
    CHECK(places.size() == last.clients.size());

    json::array days;
    std::vector<Told> moves;
    std::map<std::string, std::pair<report::State, Readiness>> before;
    for (std::int64_t on = first; on <= today; ++on) {
        const Timestamp end = std::min((on + 1) * day - 1, now);
        report::ReportFilter filter{.now = now};
        if (end < now) filter.until = end;
        const Report report = report::make_report(inventories, filter);
        const report::ReportSummary& of = report.summary;
        const std::uint64_t not_ready = of.breaks_on_ca_rotation + of.breaks_on_ca_rotation_unknown;
        days.push_back({{"day", report::day_text(on)},
                        {"clients", of.clients},
                        {"ready", of.clients - not_ready},
                        {"not_ready", not_ready},
                        {"unknown", of.breaks_on_ca_rotation_unknown},
                        {"breaks", of.breaks_on_ca_rotation},
                        {"in_clear", of.plain}});
        std::map<std::string, std::pair<report::State, Readiness>> after;
        for (const ReportClient& client : report.clients) {
            const std::string key = key_of(client);
            const auto stands = std::pair(report::state_of(client), client.breaks_on_ca_rotation);
            after[key] = stands;
            const auto found = before.find(key);
            if (found == before.end() || found->second == stands) continue;
            const Timestamp when = first_of_day(client, on, end);
            moves.push_back({when,
                             places.at(key),
                             {{"t", report::time_text(when)},
                              {"key", key},
                              {"from", report::to_string(found->second.first)},
                              {"to", report::to_string(stands.first)},
                              {"rotation_from", word(found->second.second)},
                              {"rotation_to", word(stands.second)}}});
        }
        before = std::move(after);
    }
    std::stable_sort(moves.begin(), moves.end(), [](const Told& a, const Told& b) {
        return std::tuple(-a.time, a.place) < std::tuple(-b.time, b.place);
    });
    json::array told;
    for (std::size_t i = 0; i < std::min(moves.size(), max_moves); ++i) told.push_back(moves[i].move);
    json::array not_ready;
    for (const ReportClient& client : last.clients) {
        if (client.breaks_on_ca_rotation != Readiness::no && not_ready.size() < max_not_ready)
            not_ready.emplace_back(key_of(client));
    }
    return {{"days", std::move(days)},
            {"left_out", moves.size() - told.size()},
            {"moves", std::move(told)},
            {"last_not_ready", std::move(not_ready)}};
}

/// What is the same in both: the texts of a move are told elsewhere.
json::object told_at_once(const std::vector<InventoryRows>& inventories) {
    json::object told = json::parse(rotation_text(inventories, now)).as_object();
    for (json::value& move : told.at("moves").as_array()) {
        move.as_object().erase("what");
        move.as_object().erase("client");
    }
    return told;
}

}  // namespace

TEST_CASE("the days of a rotation are those of a report for each day, whatever inventories hold") {
    std::size_t moves = 0;
    for (unsigned seed = 0; seed < 60; ++seed) {
        INFO("seed " << seed);
        const auto inventories = Inventories(seed).make();
        const json::object expected = json::parse(json::serialize(day_by_day(inventories))).as_object();
        const json::object told = told_at_once(inventories);
        for (const char* member : {"days", "moves", "left_out", "last_not_ready"}) {
            INFO(member << "\n" << json::serialize(told.at(member)) << "\n" << json::serialize(expected.at(member)));
            REQUIRE(told.at(member) == expected.at(member));
        }
        moves += expected.at("moves").as_array().size();
    }
    CHECK(moves > 1'000);  // there was something to tell
}

TEST_CASE("of more moves than can be told the latest are") {
    InventoryRows rows;
    rows.instance = "a1";
    rows.proxy = {.id = "a1", .name = "a1", .last_seen = now};
    for (int i = 0; i < 400; ++i) {
        ClientRow row;
        row.who = {{.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = {}},
                   {.usename = "u" + std::to_string(i), .datname = "shop", .application_name = {}}};
        const std::int64_t changed = today - 1 - i % 20;
        for (std::int64_t on = today - 25; on <= today; ++on) {
            const Timestamp first = on * day + (i + 1) * Timestamp{60'000'000};
            row.days[on][on < changed ? "TLSv1.3" : "plain"] = {
                .connections = 1, .first_seen = first, .last_seen = first};
            row.last_seen = first;
        }
        row.first_seen = row.days.begin()->second.begin()->second.first_seen;
        rows.clients.push_back(std::move(row));
    }
    const json::object expected = json::parse(json::serialize(day_by_day({rows}))).as_object();
    const json::object told = told_at_once({rows});
    CHECK(told.at("left_out").to_number<int>() == 100);
    CHECK(told.at("moves").as_array().size() == max_moves);
    CHECK(told.at("moves") == expected.at("moves"));
    CHECK(told.at("days") == expected.at("days"));
}

TEST_CASE("whoever wants no rotation any more waits for no more of it") {
    const auto inventories = Inventories(1).make();
    int asked = 0;
    CHECK(rotation_text(inventories, now, [&] { return ++asked == 3; }).empty());
    CHECK(asked == 3);
}
