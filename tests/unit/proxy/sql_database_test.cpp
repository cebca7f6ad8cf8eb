// SQL over relations that a test makes, and over an inventory's file.
#include "proxy/admin/sql_database.hpp"

#include <sqlite3.h>

#include <filesystem>
#include <fstream>

#include "proxy/admin/console_show.hpp"
#include "proxy/inventory/inventory_schema.hpp"
#include "proxy/inventory/timestamp.hpp"
#include "support/catch.hpp"

namespace {

using namespace proxy;
using namespace std::chrono_literals;
using protocol::ColumnType;
using protocol::ErrorResponse;

const std::vector<Relation>& relations() {
    static const std::vector<Relation> all{
        {.name = "people",
         .columns = {{"id", ColumnType::int4},
                     {"usename", ColumnType::name},
                     {"ssl", ColumnType::boolean},
                     {"since", ColumnType::timestamptz},
                     {"client_addr", ColumnType::inet}},
         .rows =
             [] {
                 return rows_of(
                     {{Cell(std::int64_t{1}), Cell(std::string("ann")), Cell(std::int64_t{1}),
                       Cell(std::int64_t{86'400'000'000}), Cell(std::string("10.0.0.1"))},
                      {Cell(std::int64_t{2}), Cell(std::string("Bob")), Cell(std::int64_t{0}), Cell(), Cell()}});
             }},
        {.name = "many",
         .columns = {{"n", ColumnType::int8}},
         .rows =
             [] {
                 return RelationRows{.size = 200'000, .value = [](std::size_t row, std::size_t) {
                                         return Cell(static_cast<std::int64_t>(row));
                                     }};
             }},
    };
    return all;
}

struct Told {
    std::string columns;  ///< "id:23 usename:19"
    std::vector<std::vector<std::string>> rows;
    std::string sqlstate;
    std::string message;
};

Told told(const SqlQuery& query, const SqlLimits& limits = {}, const std::string& inventory = {}) {
    const SqlDatabase database(relations(), inventory);
    const auto ran = database.run(query, limits);
    Told told;
    if (const auto* why = std::get_if<ErrorResponse>(&ran)) {
        told.sqlstate = why->sqlstate;
        told.message = why->message;
        return told;
    }
    const auto& result = std::get<SqlResult>(ran);
    for (const SqlColumn& column : result.columns) {
        told.columns += (told.columns.empty() ? "" : " ") + column.name + ":" +
                        std::to_string(static_cast<std::uint32_t>(column.type));
    }
    protocol::MessageBuffer buffer(1 << 26);
    buffer.append(result.rows);
    while (const auto message = buffer.next()) {
        protocol::Reader reader(message->body);
        told.rows.emplace_back();
        for (int left = reader.u16(); left > 0; --left) {
            const std::uint32_t size = reader.u32();
            told.rows.back().emplace_back(size == 0xffffffff ? "NULL" : protocol::as_text(reader.take(size)));
        }
    }
    CHECK(told.rows.size() == result.count);
    return told;
}

Told told(const char* sql) { return told(SqlQuery{.text = sql}); }

using Rows = std::vector<std::vector<std::string>>;

}  // namespace

TEST_CASE("SQL: rows come with PostgreSQL's types and texts") {
    const Told all = told("SELECT * FROM people");
    CHECK(all.columns == "id:23 usename:19 ssl:16 since:1184 client_addr:869");
    CHECK(all.rows == Rows{{"1", "ann", "t", "1970-01-02 00:00:00+00", "10.0.0.1"}, {"2", "Bob", "f", "NULL", "NULL"}});
    const Told some = told("SELECT count(*), max(since), min(usename) AS first, 1.5 FROM people");
    CHECK(some.columns == "count:20 max:1184 first:19 ?column?:701");
    CHECK(some.rows == Rows{{"2", "1970-01-02 00:00:00+00", "Bob", "1.5"}});
    CHECK(told("SELECT since - timestamptz '1970-01-01' AS d FROM people WHERE id = 1").rows == Rows{{"1 day"}});
}

TEST_CASE("SQL: what PostgreSQL's users write is understood") {
    CHECK(told("SELECT id FROM people WHERE ssl is true").rows == Rows{{"1"}});
    CHECK(told("SELECT id FROM people WHERE ssl").rows == Rows{{"1"}});
    CHECK(told("SELECT id::text FROM people WHERE usename ILIKE 'BO%'").rows == Rows{{"2"}});
    CHECK(told("SELECT id FROM people WHERE usename LIKE 'bo%'").rows.empty());
    CHECK(told("SELECT id FROM people WHERE usename ~ '^(B.*)$'").rows == Rows{{"2"}});
    CHECK(told("SELECT id FROM people WHERE since < now() - interval '1 day'").rows == Rows{{"1"}});
    CHECK(told("SELECT id FROM people WHERE since >= '1970-01-02'").rows == Rows{{"1"}});
    CHECK(told("SELECT a.id FROM people a JOIN people b USING (id) WHERE b.usename <> 'x' ORDER BY 1 DESC").rows ==
          Rows{{"2"}, {"1"}});
    CHECK(told("WITH x AS (SELECT 1 AS a) SELECT a FROM x UNION ALL VALUES (2)").rows == Rows{{"1"}, {"2"}});
    CHECK(told("SELECT current_database(), current_schema()").rows == Rows{{"pgairlock", "public"}});
    CHECK(told("SELECT usename FROM public.people WHERE client_addr = '10.0.0.1'").rows == Rows{{"ann"}});
}

TEST_CASE("SQL: parameters are values of the type that they are compared with") {
    CHECK(told({.text = "SELECT id FROM people WHERE id = $1", .parameters = {"2"}}).rows == Rows{{"2"}});
    CHECK(
        told({.text = "SELECT id FROM people WHERE usename = $2 AND since >= $1", .parameters = {"1970-01-01", "ann"}})
            .rows == Rows{{"1"}});
    CHECK(told({.text = "SELECT id FROM people WHERE ssl = $1", .parameters = {"false"}}).rows == Rows{{"2"}});
    CHECK(told({.text = "SELECT id FROM people ORDER BY id LIMIT $1", .parameters = {"1"}}).rows == Rows{{"1"}});
    CHECK(told({.text = "SELECT $1", .parameters = {std::nullopt}}).rows == Rows{{"NULL"}});
    CHECK(told({.text = "SELECT id FROM people WHERE id = $1", .parameters = {"x"}}).sqlstate == "22P02");
}

TEST_CASE("SQL: mistakes have PostgreSQL's SQLSTATE") {
    CHECK(told("SELECT * FROM nobody").sqlstate == "42P01");
    CHECK(told("SELECT * FROM nobody").message == "relation \"nobody\" does not exist");
    CHECK(told("SELECT * FROM pg_catalog.pg_proc").sqlstate == "42P01");
    CHECK(told("SELECT nobody FROM people").sqlstate == "42703");
    CHECK(told("SELECT \"nobody\" FROM people").sqlstate == "42703");
    CHECK(told("SELECT nobody(1)").sqlstate == "42883");
    CHECK(told("SELECT id FROM people a, people b").sqlstate == "42702");
    CHECK(told("SELECT FROM WHERE").sqlstate == "42601");
    CHECK(told("SELECT (1").sqlstate == "42601");
    CHECK(told("SELECT * FROM clients").sqlstate == "57P03");
}

TEST_CASE("SQL: nothing is written, attached, loaded or looked into") {
    for (const char* const sql :
         {"PRAGMA database_list", "ATTACH 'x' AS y", "CREATE TABLE x (a)", "DELETE FROM people",
          "INSERT INTO people VALUES (1)", "SELECT load_extension('x')", "SELECT readfile('/etc/passwd')",
          "SELECT * FROM pragma_database_list", "SELECT * FROM sqlite_master", "SELECT sqlite_version()",
          "SELECT * FROM json_each('[1]')", "SELECT randomblob(9)", "SELECT printf('%.9c', 'x')",
          "SELECT format('%s', 1)", "WITH x AS (SELECT 1) DELETE FROM people", "VACUUM INTO '/tmp/x'",
          "SELECT writefile('/tmp/x', 'x')"}) {
        CAPTURE(sql);
        CHECK_FALSE(told(sql).sqlstate.empty());
    }
    CHECK(told("SELECT * FROM sqlite_master").sqlstate == "42P01");
}

TEST_CASE("SQL: what never ends is ended, and what takes all memory too") {
    const SqlLimits short_time{.time = 200ms};
    CHECK(told({.text = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x"},
               short_time)
              .sqlstate == "57014");
    CHECK(told({.text = "SELECT count(*) FROM many a, many b"}, short_time).sqlstate == "57014");
    const SqlLimits little_memory{.time = 60s, .memory = 4 * 1024 * 1024};
    CHECK(told({.text =
                    "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT n FROM x ORDER BY n DESC"},
               little_memory)
              .sqlstate == "57014");
    CHECK(told("SELECT n FROM many").sqlstate == "54000");
    CHECK(
        told({.text = "SELECT n FROM many", .parameters = {}, .user = {}}, {.rows = 300'000, .bytes = 1000}).sqlstate ==
        "54000");
    CHECK(told("SELECT count(*) FROM many").rows == Rows{{"200000"}});
    CHECK(told({.text = "SELECT '" + std::string(max_sql, 'x') + "'"}).sqlstate == "54000");
    std::string deep = "SELECT ";
    for (int i = 0; i < 5000; ++i) deep += "(";
    CHECK_FALSE(told({.text = deep + "1"}).sqlstate.empty());
}

TEST_CASE("SQL: patterns that take SQLite for ever are answered") {
    const std::string text(20'000, 'a');
    std::string pattern;
    for (int i = 0; i < 200; ++i) pattern += "%a";
    CHECK(told({.text = "SELECT $1 LIKE $2", .parameters = {text, pattern + "b"}}).rows == Rows{{"0"}});
    CHECK(told({.text = "SELECT $1 LIKE $2", .parameters = {text, std::string(2000, '%')}}).sqlstate == "54000");
    CHECK(told("SELECT 'a_b' LIKE 'a\\_b', 'axb' LIKE 'a\\_b', 'axb' LIKE 'a_b'").rows == Rows{{"1", "0", "1"}});
    CHECK(told("SELECT 'a_b' LIKE 'a!_b' ESCAPE '!', 'axb' LIKE 'a!_b' ESCAPE '!'").rows == Rows{{"1", "0"}});
}

TEST_CASE("SQL: rows are looked up by number, so that large joins end") {
    CHECK(told({.text = "SELECT count(*) FROM many a JOIN many b ON a.n = b.n"}, {.time = 60s}).rows ==
          Rows{{"200000"}});
    CHECK(told("SELECT n FROM many WHERE n = 199999").rows == Rows{{"199999"}});
    CHECK(told("SELECT n FROM many WHERE n = 7.0").rows == Rows{{"7"}});
    CHECK(told("SELECT n FROM many WHERE n IN (1, 3) ORDER BY n").rows == Rows{{"1"}, {"3"}});
}

TEST_CASE("SHOW CERTIFICATES: days that are left are rounded down, also beyond the end") {
    const auto file = std::filesystem::temp_directory_path() / "pgairlock-console-days-test.db";
    std::filesystem::remove(file);
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, std::string(inventory_schema).c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    constexpr std::int64_t hour = 3'600'000'000;
    const std::int64_t now = to_timestamp(std::chrono::system_clock::now());
    const std::pair<std::int64_t, const char*> ends[]{{53, "2"}, {5, "0"}, {-5, "-1"}, {-29, "-2"}};
    for (const auto& [hours, days] : ends) {
        const std::string row = "INSERT INTO upstream_certificates VALUES ('u', '10.0.0.1', '" + std::string(days) +
                                "', 'CN=x', '', 'CN=ca', '', '1', 0, " + std::to_string(now + hours * hour) + ", 0, " +
                                std::to_string(hours + 1000) + ", 1, NULL, NULL, '', '', '')";
        REQUIRE(sqlite3_exec(db, row.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
        CHECK(std::to_string(days_until(now + hours * hour, now)) == days);
    }
    sqlite3_close(db);
    CHECK(days_until(now - 24 * hour, now) == -1);
    CHECK(days_until(now, now) == 0);
    const ConsoleView* const view = find_view("certificates");
    REQUIRE(view);
    const std::string sql = "SELECT days_left, sha256 FROM (" + std::string(view->query) + ") shown";
    CHECK(told({.text = sql}, {}, file.string()).rows == Rows{{"2", "2"}, {"0", "0"}, {"-1", "-1"}, {"-2", "-2"}});
    std::filesystem::remove(file);
}

TEST_CASE("SQL: the inventory is read through its views, and its lack is told") {
    const auto file = std::filesystem::temp_directory_path() / "pgairlock-sql-database-test.db";
    std::filesystem::remove(file);
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, std::string(inventory_schema).c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_exec(
                db,
                "INSERT INTO upstream_certificates VALUES ('u', '10.0.0.1:5432', 'ab', 'CN=x', '', 'CN=ca', '', '1', "
                "0, 86400000000, 0, 0, 1, NULL, NULL, '', 'cd', 'X25519,P-256')",
                nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
    const auto ask = [&](const char* sql) { return told({.text = sql}, {}, file.string()); };
    CHECK(ask("SELECT issuer, not_after, anchor, candidate_ok FROM upstream_certificates").rows ==
          Rows{{"CN=ca", "1970-01-02 00:00:00+00", "NULL", "NULL"}});
    CHECK(ask("SELECT issuer_key_id, anchor_key_sha256, groups FROM upstream_certificates").rows ==
          Rows{{"NULL", "cd", "X25519,P-256"}});
    CHECK(ask("SELECT * FROM clients").rows.empty());
    CHECK(ask("SELECT count(*) FROM evidence e JOIN clients c ON c.id = e.client").rows == Rows{{"0"}});
    CHECK(ask("SELECT kind FROM handshakes, probes").sqlstate == "42P01");
    CHECK(ask("SELECT count(*) FROM people, clients").rows == Rows{{"0"}});
    std::filesystem::remove(file);
    CHECK(ask("SELECT * FROM clients").sqlstate == "57P03");
    CHECK(ask("SELECT count(*) FROM people").rows == Rows{{"2"}});
    std::ofstream(file) << "this is no database, and long enough to be taken for one if one were careless with it";
    CHECK(ask("SELECT * FROM clients").sqlstate == "57P03");
    std::filesystem::remove(file);
}

TEST_CASE("SQL: a description has the columns, without the rows") {
    const SqlDatabase database(relations(), {});
    const auto described = database.describe("SELECT id, count(*) OVER () AS n, 'x' AS t FROM people WHERE id = $1");
    const auto& result = std::get<SqlResult>(described);
    REQUIRE(result.columns.size() == 3);
    CHECK(result.columns[0].type == ColumnType::int4);
    CHECK(result.columns[2].name == "t");
    CHECK(std::get<ErrorResponse>(database.describe("SELECT x FROM people")).sqlstate == "42703");
}

TEST_CASE("SQL: a function that is long within one step ends with the statement's time") {
    const std::string text(250'000, 'a');
    const std::string wanted(998, 'a');
    const auto ended = [&](const std::string& sql, std::vector<std::optional<std::string>> values) {
        return told({.text = sql, .parameters = std::move(values)}, {.time = 20ms}).sqlstate;
    };
    // Of 250 million steps of their own: an answer says that nobody looked at the time meanwhile.
    for (const char* const op : {"LIKE", "ILIKE"}) {
        CAPTURE(op);
        CHECK(ended("SELECT $1 " + std::string(op) + " $2", {text, "%" + wanted + "b"}) == "57014");
    }
    CHECK(ended("SELECT $1 ~ $2", {text, wanted + "b"}) == "57014");
    const auto stop = std::make_shared<std::atomic<bool>>(true);  // nobody waits any more
    CHECK(told({.text = "SELECT 1", .parameters = {}, .user = {}, .stop = stop}).sqlstate == "57014");
}

TEST_CASE("SQL: instr, replace and trim answer as SQLite's do") {
    CHECK(told("SELECT instr('häuser', 'user'), instr('abc', 'x'), instr('abc', ''), instr(NULL, 'a')").rows ==
          Rows{{"3", "0", "1", "NULL"}});
    CHECK(told("SELECT instr('aaab', 'aab'), instr('abababac', 'abac'), instr(12345, 34)").rows ==
          Rows{{"2", "5", "3"}});
    CHECK(told("SELECT replace('aaa', 'aa', 'b'), replace('abc', '', 'x'), replace('abc', 'b', ''), "
               "replace('a', 'a', NULL)")
              .rows == Rows{{"ba", "abc", "ac", "NULL"}});
    CHECK(told("SELECT trim('  a '), ltrim('xxaxx', 'x'), rtrim('aää', 'ä'), trim('äxä', 'yä'), trim('aa', 'a'), "
               "trim('a', ''), trim(NULL)")
              .rows == Rows{{"a", "axx", "a", "x", "", "a", "NULL"}});
    CHECK(told({.text = "SELECT replace($1, 'a', 'aaaa')", .parameters = {std::string(100'000, 'a')}}).sqlstate ==
          "54000");
}

TEST_CASE("SQL: what would take long to prepare is refused before") {
    std::string doubled = "WITH c0 AS (SELECT 1 AS x)";
    std::string backwards = "WITH ";
    for (int i = 1; i < 40; ++i) {
        const std::string before = "c" + std::to_string(i - 1);
        const std::string query =
            "c" + std::to_string(i) + " AS NOT MATERIALIZED (SELECT a.x FROM " + before + " a, \"" + before + "\" b)";
        doubled += ", " + query;
        backwards.insert(5, query + ", ");
    }
    CHECK(told({.text = doubled + " SELECT count(*) FROM c39"}).sqlstate == "54001");
    CHECK(told({.text = backwards + "c0 AS (SELECT 1 AS x) SELECT count(*) FROM c39"}).sqlstate == "54001");
    CHECK(told("WITH `a` AS (SELECT 1) SELECT * FROM `a`").sqlstate == "54001");
    std::string windows = "SELECT 1";
    for (int i = 0; i < 100; ++i) windows += ", sum(id) OVER (ORDER BY id + " + std::to_string(i) + ")";
    CHECK(told({.text = windows + " FROM people"}).sqlstate == "54001");
    std::string chain = "WITH c0(x) AS (SELECT 1)";
    for (int i = 1; i < 30; ++i)
        chain += ", c" + std::to_string(i) + "(x) AS (SELECT x + 1 FROM c" + std::to_string(i - 1) + ")";
    CHECK(told({.text = chain + " SELECT x FROM c29"}).rows == Rows{{"30"}});
    std::string columns = "SELECT 1";
    for (int i = 0; i < 10'000; ++i) columns += ",1";
    CHECK(told({.text = columns}).sqlstate == "54000");
}
