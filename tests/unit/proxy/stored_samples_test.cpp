#include "proxy/inventory/inventory.hpp"
#include "proxy/inventory/inventory_schema.hpp"
#include "proxy/inventory/inventory_source.hpp"
#include "proxy/inventory/json_without_nul.hpp"
#include "proxy/inventory/sqlite.hpp"
#include "proxy/inventory/table_reader.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Inventory;
using proxy::SampledKind;
using proxy::ServerLook;
using proxy::Sqlite;

const auto now = std::chrono::system_clock::now();

ServerLook look(std::map<SampledKind, proxy::SampledCount> sessions, std::chrono::seconds after = 0s) {
    return {.upstream = "db",
            .upstream_addr = "10.1.0.1:5432",
            .time = now + after,
            .interval = 5s,
            .sessions = std::move(sessions)};
}

SampledKind kind(const std::string& application, bool through = false, const std::string& version = "") {
    return {.client_addr = "10.0.0.9",
            .usename = "ada",
            .datname = "shop",
            .application_name = application,
            .version = version,
            .through = through};
}

proxy::InventoryRows rows_of(const std::string& file) {
    const auto source = proxy::open_file(file);
    auto all = proxy::read_tables(*source, *source->version());
    REQUIRE(all.size() == 1);
    return std::move(all[0]);
}

void store(Inventory& inventory, const std::vector<ServerLook>& looks) {
    for (const ServerLook& one : looks) inventory.absorb(one);
    inventory.flush();
}

}  // namespace

TEST_CASE("sessions that a server lists are a row for each kind, and each look is counted") {
    const support::Folder folder;
    const std::string file = folder.file("inventory.db");
    Inventory inventory({.path = file});
    store(inventory,
          {look({{kind("psql"), {.sessions = 2, .seen = 2}},
                 {kind("app", true, "TLSv1.3"), {.sessions = 1, .seen = 1, .cipher = "A", .client_dn = "/CN=x"}}}),
           look({{kind("psql"), {.sessions = 1, .seen = 3}}}, 5s)});
    store(inventory, {look({}, 10s)});
    const proxy::InventoryRows rows = rows_of(file);
    REQUIRE(rows.sampled_sessions.size() == 2);
    const auto& app = rows.sampled_sessions[0];
    const auto& psql = rows.sampled_sessions[1];
    CHECK((app.application_name == "app" && app.through && app.version == "TLSv1.3"));
    CHECK((app.cipher == "A" && app.client_dn == "/CN=x" && app.looks == 1 && app.sessions == 1 && app.seen == 1));
    CHECK((psql.upstream == "db" && psql.upstream_addr == "10.1.0.1:5432" && psql.client_addr == "10.0.0.9"));
    CHECK((psql.usename == "ada" && psql.datname == "shop" && !psql.through && psql.version.empty()));
    CHECK((psql.looks == 2 && psql.sessions == 3 && psql.seen == 5));
    CHECK(psql.last_seen - psql.first_seen == 5'000'000);
    REQUIRE(rows.sampling.size() == 1);
    const auto& server = rows.sampling[0];
    CHECK((server.upstream == "db" && server.upstream_addr == "10.1.0.1:5432" && server.proxying));
    CHECK((server.looks == 3 && server.hidden == 0 && server.failed == 0 && server.left_out == 0));
    CHECK((server.interval == 5'000'000 && server.last_look - server.first_look == 10'000'000));
}

TEST_CASE("a question without an answer is no look, and its words are kept") {
    const support::Folder folder;
    const std::string file = folder.file("inventory.db");
    Inventory inventory({.path = file});
    ServerLook failed = look({}, 5s);
    failed.failure = "timeout expired";
    store(inventory, {failed});
    CHECK(rows_of(file).sampling[0].first_look == 0);
    ServerLook hidden = look({}, 10s);
    hidden.hidden = true;
    hidden.left_out = 7;
    hidden.proxying = false;
    hidden.interval = 1s;
    hidden.server_started = 42;
    store(inventory, {hidden});
    const proxy::SamplingRow server = rows_of(file).sampling[0];
    CHECK((server.looks == 1 && server.failed == 1 && server.hidden == 1 && server.left_out == 7));
    CHECK((server.error == "timeout expired" && server.interval == 1'000'000 && !server.proxying));
    CHECK(server.first_look == server.last_look);
    CHECK(server.last_look - server.last_failure == 5'000'000);
    CHECK((server.server_started == 42 && server.last_hidden == server.last_look));
    CHECK(server.last_left_out == server.last_look);
    ServerLook shown = look({}, 15s);
    shown.server_started = 43;
    failed.time += 20s;
    store(inventory, {shown, failed});
    const proxy::SamplingRow later = rows_of(file).sampling[0];
    CHECK((later.server_started == 43 && later.last_look > server.last_look));
    CHECK((later.last_hidden == server.last_hidden && later.last_left_out == server.last_left_out));
}

TEST_CASE(
    "application names of sampled sessions are stored by the operator's pattern, and by ours once they are many") {
    const support::Folder folder;
    const std::string file = folder.file("inventory.db");
    Inventory inventory({.path = file, .name_pattern = "job-[0-9]+"});
    store(inventory,
          {look({{kind("job-1"), {.sessions = 1, .seen = 1}}, {kind("job-2"), {.sessions = 1, .seen = 1}}})});
    CHECK(rows_of(file).sampled_sessions.size() == 1);
    CHECK(rows_of(file).sampled_sessions[0].seen == 2);
    std::map<SampledKind, proxy::SampledCount> many;
    for (int i = 0; i < 1000; ++i) many[kind("worker " + std::to_string(1000 + i))] = {.sessions = 1, .seen = 1};
    store(inventory, {look(many, 5s)});
    const proxy::InventoryRows rows = rows_of(file);
    CHECK(rows.sampled_sessions.size() <= 102);
    std::uint64_t seen = 0;
    for (const auto& row : rows.sampled_sessions) {
        seen += row.seen;
        CHECK(row.looks <= rows.sampling[0].looks);
    }
    CHECK(seen == 1002);
}

TEST_CASE("samples are forgotten with time, as all the rest") {
    const support::Folder folder;
    const std::string file = folder.file("inventory.db");
    {
        Inventory inventory({.path = file});
        store(inventory, {look({{kind("old"), {.sessions = 1, .seen = 1}}}, -3600s * 48)});
        ServerLook other = look({{kind("new"), {.sessions = 1, .seen = 1}}});
        other.upstream_addr = "10.1.0.2:5432";
        store(inventory, {other});
    }
    Inventory inventory({.path = file, .retention = 24h});
    const proxy::InventoryRows rows = rows_of(file);
    REQUIRE(rows.sampled_sessions.size() == 1);
    CHECK(rows.sampled_sessions[0].application_name == "new");
    REQUIRE(rows.sampling.size() == 1);
    CHECK(rows.sampling[0].upstream_addr == "10.1.0.2:5432");
    CHECK(rows.proxy.pruned_before > 0);
}

TEST_CASE("a table of samples that is full forgets what came through us before what did not") {
    const support::Folder folder;
    const std::string file = folder.file("inventory.db");
    Inventory inventory({.path = file});
    const auto from = [](int i, bool through) {
        SampledKind one = kind("", through);
        one.client_addr =
            "10." + std::to_string(i / 250 / 250) + "." + std::to_string(i / 250 % 250) + "." + std::to_string(i % 250);
        return one;
    };
    std::map<SampledKind, proxy::SampledCount> many;
    for (int i = 0; i < 50'000; ++i) many[from(i, i % 2 == 0)] = {.sessions = 1, .seen = 1};
    store(inventory, {look(many)});
    CHECK(rows_of(file).sampled_sessions.size() == 50'000);
    store(inventory, {look({{from(60'000, false), {.sessions = 1, .seen = 1}}}, 5s)});
    const proxy::InventoryRows rows = rows_of(file);
    CHECK(rows.sampled_sessions.size() == 49'001);
    std::size_t direct = 0;
    for (const auto& row : rows.sampled_sessions) direct += row.through ? 0 : 1;
    CHECK(direct == 25'001);
    CHECK(rows.proxy.rows_left_out == 1'000);
}

TEST_CASE("a server with many rows pushes out its own and not another's") {
    const support::Folder folder;
    const std::string file = folder.file("inventory.db");
    Inventory inventory({.path = file});
    store(inventory, {look({{kind("psql", true), {.sessions = 1, .seen = 1}}}, -3600s)});
    std::map<SampledKind, proxy::SampledCount> many;
    for (int i = 0; i < 50'000; ++i) {
        SampledKind one = kind("");
        one.client_addr = "2001:db8::" + std::to_string(i);
        many[one] = {.sessions = 1, .seen = 1};
    }
    ServerLook flood = look(many);
    flood.upstream_addr = "10.1.0.2:5432";
    store(inventory, {flood});
    const proxy::InventoryRows rows = rows_of(file);
    CHECK(rows.sampled_sessions.size() == 49'001);
    CHECK(rows.sampled_sessions[0].application_name == "psql");
}

TEST_CASE("numbers that servers make up are stored up to a bound, and can be read") {
    const support::Folder folder;
    const std::string file = folder.file("inventory.db");
    Inventory inventory({.path = file});
    constexpr std::uint64_t most = std::uint64_t{1} << 63;
    ServerLook large = look({{kind("psql"), {.sessions = most, .seen = most}}});
    large.left_out = most;
    store(inventory, {large, large});
    store(inventory, {large});
    const proxy::InventoryRows rows = rows_of(file);
    CHECK(rows.sampling[0].left_out == proxy::max_sampled_sum);
    CHECK(rows.sampled_sessions[0].seen == proxy::max_sampled_sum);
    CHECK(rows.sampled_sessions[0].sessions == proxy::max_sampled_sum);
    Sqlite(file, Sqlite::Mode::read_write).exec("UPDATE sampling SET left_out = 9223372036854775807 + 1");
    CHECK(rows_of(file).sampling[0].left_out == proxy::max_sampled_sum);
    Sqlite(file, Sqlite::Mode::read_write).exec("UPDATE sampling SET left_out = 'many'");
    CHECK_THROWS(rows_of(file));
}

TEST_CASE("what PostgreSQL has no text for is sent to a fleet as what it reads like") {
    const std::string nul = "\\u0000";  // as JSON writes it
    CHECK(proxy::json_without_nul("[\"a" + nul + "b" + nul + "\"]") == R"(["a\\x00b\\x00"])");
    CHECK(proxy::json_without_nul("[\"\\\\" + nul + "\"]") == R"(["\\\\x00"])");  // a backslash, and NUL
    const std::string backslash = "[\"\\" + nul + " \\n\"]";                      // a backslash, and u0000
    CHECK(proxy::json_without_nul(backslash) == backslash);
}

TEST_CASE("a file of version 5 gets the tables of samples, and keeps what it has") {
    const support::Folder folder;
    const std::string file = folder.file("inventory.db");
    {
        Inventory inventory({.path = file});
        store(inventory, {look({{kind("psql"), {.sessions = 1, .seen = 1}}})});
    }
    {
        Sqlite db(file, Sqlite::Mode::read_write);
        const std::string made =
            "SELECT group_concat(sql, char(10)) FROM (SELECT sql FROM sqlite_schema WHERE name IN "
            "('sampled_sessions', 'sampling') ORDER BY name)";
        CHECK(db.text(made).find("proxying INTEGER NOT NULL") != std::string::npos);
        db.exec("DROP TABLE sampled_sessions; DROP TABLE sampling; PRAGMA user_version = 5");
    }
    const std::string instance = rows_of(file).instance;
    CHECK(rows_of(file).sampling.empty());
    Inventory inventory({.path = file});
    store(inventory, {look({{kind("psql"), {.sessions = 1, .seen = 1}}})});
    CHECK(rows_of(file).instance == instance);
    CHECK(rows_of(file).sampled_sessions.size() == 1);
    CHECK(Sqlite(file, Sqlite::Mode::read_only).integer("PRAGMA user_version") == proxy::inventory_version);
}
