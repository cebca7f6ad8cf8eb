// PostgreSQL's SQL as SQLite's.
#include "proxy/admin/sql_rewrite.hpp"

#include "support/catch.hpp"

namespace {

using protocol::ColumnType;

std::optional<ColumnType> type(std::string_view column) {
    if (column == "pid") return ColumnType::int4;
    if (column == "usename") return ColumnType::name;
    if (column == "backend_start") return ColumnType::timestamptz;
    if (column == "ssl") return ColumnType::boolean;
    return std::nullopt;
}

proxy::RewrittenSql rewritten(std::string_view sql) {
    return proxy::rewrite_sql(sql, {.type = type, .is_relation = [](std::string_view name) {
                                        return name == "sessions" || name == "pg_class";
                                    }});
}

std::string text(std::string_view sql) { return rewritten(sql).text; }

}  // namespace

TEST_CASE("SQL that SQLite has is left as it is, but for its white space and comments") {
    CHECK(text("SELECT a , 'it''s' /* no /* nor */ this */ FROM t -- end") == "SELECT a , 'it''s' FROM t");
    CHECK(text("SELECT \"A b\" || 1.5e-3") == "SELECT \"A b\" || 1.5e-3");
}

TEST_CASE("casts are taken apart around what they are of") {
    CHECK(text("SELECT pid::text") == "SELECT CAST ( pid AS TEXT )");
    CHECK(text("SELECT s.pid::int8 + 1") == "SELECT CAST ( s . pid AS INTEGER ) + 1");
    CHECK(text("SELECT f(a, (b))::text") == "SELECT CAST ( f ( a , ( b ) ) AS TEXT )");
    CHECK(text("SELECT a IN (1)::text") == "SELECT a IN CAST ( ( 1 ) AS TEXT )");
    CHECK(text("SELECT '5'::int::text") == "SELECT CAST ( CAST ( '5' AS INTEGER ) AS TEXT )");
    CHECK(text("SELECT a::varchar(10) FROM t") == "SELECT CAST ( a AS TEXT ) FROM t");
    CHECK(text("SELECT a::pg_catalog.text") == "SELECT CAST ( a AS TEXT )");
}

TEST_CASE("a cast without an operand, or many of them, are left for SQLite to refuse") {
    CHECK(text("::text") == ":: text");
    std::string many = "SELECT 1";
    for (int i = 0; i < 200; ++i) many += "::text";
    CHECK(text(many).find("::") != std::string::npos);
}

TEST_CASE("times and intervals are numbers of microseconds") {
    CHECK(text("SELECT interval '5 minutes'") == "SELECT 300000000");
    CHECK(text("WHERE backend_start > '1970-01-02'") == "WHERE backend_start > 86400000000");
    CHECK(text("WHERE '1970-01-02' <= a.backend_start") == "WHERE 86400000000 <= a . backend_start");
    CHECK(text("WHERE backend_start BETWEEN '1970-01-02' AND '1970-01-03'") ==
          "WHERE backend_start BETWEEN 86400000000 AND 172800000000");
    CHECK(text("SELECT '1970-01-02'::timestamptz") == "SELECT 86400000000");
    CHECK(text("WHERE usename = '1970-01-02'") == "WHERE usename = '1970-01-02'");
    CHECK(text("WHERE ssl = 't'") == "WHERE ssl = 1");
}

TEST_CASE("operators and words of PostgreSQL become SQLite's") {
    CHECK(text("a ILIKE 'x' AND b NOT ILIKE 'y'") == "a MATCH 'x' AND b NOT MATCH 'y'");
    CHECK(text("a ~ 'x' AND a !~ 'y'") == "a REGEXP 'x' AND a NOT REGEXP 'y'");
    CHECK(text("a OPERATOR(pg_catalog.~) 'x' COLLATE pg_catalog.default") == "a REGEXP 'x'");
    CHECK(text("SELECT current_user, current_database()") == "SELECT current_user ( ) , current_database ( )");
    CHECK(text("SELECT E'x'") == "SELECT 'x'");
}

TEST_CASE("relations of pg_catalog that are not there are found, also where SQLite would stumble before") {
    CHECK(rewritten("SELECT 1 FROM pg_catalog.pg_proc").unknown_relation == "pg_catalog.pg_proc");
    CHECK(rewritten("SELECT a OPERATOR(x) b FROM pg_class c, pg_catalog.pg_type").unknown_relation ==
          "pg_catalog.pg_type");
    CHECK(rewritten("SELECT * FROM information_schema.tables").unknown_relation == "information_schema.tables");
    CHECK(rewritten("SELECT pg_catalog.f(1) FROM pg_catalog.pg_class").unknown_relation.empty());
    CHECK(text("SELECT * FROM pg_catalog.pg_class") == "SELECT * FROM pg_class");
}

TEST_CASE("relations that are named are known") {
    using Names = std::vector<std::string>;
    CHECK(rewritten("SELECT * FROM sessions").relations == Names{"sessions"});
    CHECK(rewritten("SELECT (SELECT 1 FROM pg_class), sessions FROM x JOIN \"sessions\" ON 1").relations ==
          Names{"pg_class", "sessions"});
    CHECK(rewritten("WITH x AS (SELECT 1 FROM sessions) SELECT * FROM x").relations == Names{"sessions"});
    CHECK(rewritten("SELECT 'FROM sessions'").relations.empty());
}

TEST_CASE("parameters have the type of what they are compared with, or cast to") {
    using Types = std::vector<ColumnType>;
    CHECK(rewritten("SELECT $1").parameters == Types{ColumnType::text});
    CHECK(rewritten("WHERE pid = $1 AND backend_start > $2 AND usename = $3").parameters ==
          Types{ColumnType::int4, ColumnType::timestamptz, ColumnType::text});
    CHECK(rewritten("SELECT $2::bool LIMIT $1").parameters == Types{ColumnType::int8, ColumnType::boolean});
    CHECK(rewritten("SELECT $70000").parameters.empty());
}

TEST_CASE("columns have types and names as PostgreSQL would give them, as far as that is known") {
    const auto sql =
        rewritten("SELECT pid, count(*), max(backend_start), now() - backend_start AS age, usename x, 1 + 1");
    REQUIRE(sql.types.size() == 6);
    CHECK(sql.types[0] == ColumnType::int4);
    CHECK(sql.types[1] == ColumnType::int8);
    CHECK(sql.types[2] == ColumnType::timestamptz);
    CHECK(sql.types[3] == ColumnType::interval);
    CHECK(sql.types[4] == ColumnType::name);
    CHECK_FALSE(sql.types[5]);
    CHECK(sql.names == std::vector<std::string>{"", "count", "max", "", "", "?column?"});
    CHECK(rewritten("SELECT * FROM sessions").types.empty());
    CHECK(rewritten("SELECT s.*, pid FROM sessions s").types.empty());
}

TEST_CASE("a statement that is too long is not looked at") {
    CHECK(rewritten(std::string(proxy::max_sql + 1, ' ')).too_long);
    CHECK_FALSE(rewritten(std::string(proxy::max_sql, ' ')).too_long);
}

TEST_CASE("what is cut off anywhere is read to its end") {
    const std::string sql =
        "WITH a AS (SELECT pid::text, $1 FROM pg_catalog.pg_class WHERE x BETWEEN '2026-01-01' AND interval '1 day') "
        "SELECT DISTINCT E'x' , \"n\" . * , f ( a )::int -- c";
    for (std::size_t size = 0; size <= sql.size(); ++size) CHECK_NOTHROW(rewritten(sql.substr(0, size)));
    for (const char* const odd :
         {"SELECT", "SELECT ,", "SELECT )", "(", ")", "::", "SELECT a::", "SELECT )::text", "'", "\"", "/*", "$",
          "SELECT FROM", "OPERATOR(", "COLLATE", "SELECT -", "SELECT a -", "as"})
        CHECK_NOTHROW(rewritten(odd));
}

TEST_CASE("E'...' is a text without its escapes") {
    CHECK(text("SELECT E'a\\nb', e'it\\'s', E'x''y', E'pg\\\\_%' FROM t") ==
          "SELECT 'a\nb' , 'it''s' , 'x''y' , 'pg\\_%' FROM t");
    CHECK(text("SELECT e, E FROM t") == "SELECT e , E FROM t");
    CHECK(text("SELECT E'open\\") == "SELECT 'open\\'");
    CHECK(text("SELECT E'") == "SELECT ''");
}

TEST_CASE("columns of VALUES that are named get their names in a subquery") {
    CHECK(text("SELECT a, b FROM (VALUES (1, (2)), (3, 4)) s(a, b)") ==
          "SELECT a , b FROM ( SELECT column1 AS a , column2 AS b FROM ( VALUES ( 1 , ( 2 ) ) , ( 3 , 4 ) ) ) s");
    CHECK(text("SELECT * FROM (VALUES (1)) AS s (\"A\") WHERE 1") ==
          "SELECT * FROM ( SELECT column1 AS \"A\" FROM ( VALUES ( 1 ) ) ) AS s WHERE 1");
    for (const char* other :
         {"SELECT ( VALUES ( 1 ) )", "SELECT * FROM ( VALUES ( 1 ) ) s", "SELECT * FROM ( VALUES ( 1",
          "SELECT * FROM ( VALUES ( 1 ) ) s (", "SELECT * FROM ( VALUES ( 1 ) ) s ( a"})
        CHECK(text(other) == other);
}

TEST_CASE("an array of a subquery is a text, and nothing comes of arrays") {
    CHECK(text("SELECT ARRAY(SELECT f(a, (b)) FROM t)") ==
          "SELECT ( SELECT '{' || coalesce ( group_concat ( f ( a , ( b ) ) ) , '' ) || '}' FROM t )");
    CHECK(text("SELECT x FROM unnest(a) AS x") == "SELECT x FROM ( SELECT NULL AS x WHERE 0 ) AS x");
    CHECK(text("SELECT ARRAY(SELECT a") == "SELECT ( SELECT '{' || coalesce ( group_concat ( a ) , '' ) || '}'");
    CHECK(text("SELECT unnest(a)") == "SELECT unnest ( a )");
}

TEST_CASE("NaN is a float8 that stays a text") {
    CHECK(text("SELECT float8 'NaN' AS n") == "SELECT 'NaN' AS n");
    CHECK(rewritten("SELECT 'NaN'::float8").types == std::vector<std::optional<ColumnType>>{ColumnType::float8});
    CHECK(text("SELECT 'NaN'") == "SELECT 'NaN'");
}

TEST_CASE("a small whole number is an int4, unless another SELECT might give more") {
    using Types = std::vector<std::optional<ColumnType>>;
    CHECK(rewritten("SELECT 1, 1.5, 1234567890").types == Types{ColumnType::int4, std::nullopt, std::nullopt});
    CHECK(rewritten("SELECT 1 UNION SELECT 5000000000").types == Types{std::nullopt});
}
