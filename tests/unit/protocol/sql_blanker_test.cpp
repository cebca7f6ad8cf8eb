// The cases are those of PostgreSQL docs, "Lexical Structure", and the traps of scan.l.
#include "protocol/sql_blanker.hpp"

#include "support/redaction.hpp"

namespace {

using protocol::SqlContent;
using support::blanked_sql;
using namespace std::string_literals;

std::string without_literals(std::string_view sql) { return blanked_sql(SqlContent::without_literals, sql); }

struct Case {
    std::string_view sql;
    std::string_view left;
};

void check(std::initializer_list<Case> cases) {
    for (const Case& each : cases) {
        INFO(each.sql);
        CHECK(without_literals(each.sql) == each.left);
    }
}

}  // namespace

TEST_CASE("keywords, names, parameters and operators stay") {
    check({
        {"SELECT * FROM my_table WHERE a = $1 AND b >= $23", "SELECT * FROM my_table WHERE a = $1 AND b >= $23"},
        {"UPDATE \"select\" SET \"a b\" = \"it\"\"s\" || x1.y$z",
         "UPDATE \"select\" SET \"a b\" = \"it\"\"s\" || x1.y$z"},
        {"SELECT U&\"d\\0061t\\+000061\", tätig::text[]", "SELECT U&\"d\\0061t\\+000061\", tätig::text[]"},
        {"SELECT @-5, a-b, a - - b, a/b, @@ !!= ~* <-> #>> ->> ?| &&",
         "SELECT @-*, a-b, a - - b, a/b, @@ !!= ~* <-> #>> ->> ?| &&"},
        {"COPY t FROM STDIN; BEGIN", "COPY t FROM STDIN; BEGIN"},
    });
}

TEST_CASE("string constants are blanked, and their quotes stay") {
    check({
        {"SELECT 'secret'", "SELECT '******'"},
        {"SELECT ''", "SELECT ''"},
        {"SELECT 'Dianne''s horse', x", "SELECT '******''*******', x"},
        {"SELECT '''', x", "SELECT '''', x"},
        {"SELECT 'foo'\n  'bar' x", "SELECT '***'\n  '***' x"},
        {"SELECT 'foo' -- more\n'bar' x", "SELECT '***' --*****\n'***' x"},
        {"SELECT '-- /* $$ \" E', x", "SELECT '************', x"},
        {"SELECT 'unfinished; DROP", "SELECT '****************"},
        {"SELECT \"a'b\", 'c\"d', e", "SELECT \"a'b\", '***', e"},
        {"SELECT date '2026-11-29', interval '1' day", "SELECT date '**********', interval '*' day"},
        {"SELECT N'national', n'x'", "SELECT N'********', n'*'"},
        {"SELECT B'1001', X'1FF', b'0'\n'1'", "SELECT B'****', X'***', b'*'\n'*'"},
        {"SELECT U&'d\\0061t\\+000061', x", "SELECT U&'***************', x"},
        {"SELECT U&'d!0061t' UESCAPE '!', x", "SELECT U&'*******' UESCAPE '*', x"},
    });
}

TEST_CASE("a backslash in E'...' takes the next byte with it") {
    check({
        {"SELECT E'it\\'s secret', x", "SELECT E'************', x"},
        {"SELECT e'a\\\\', x, 'b'", "SELECT e'***', x, '*'"},
        {"SELECT E'a''b\\'' , x", "SELECT E'*''***' , x"},
        // It goes on behind a newline with the rules that it began with, on the same line not.
        {"SELECT E'a'\n'it\\'s secret', x", "SELECT E'*'\n'************', x"},
        {"SELECT E'a' -- c\n'it\\'s secret', x", "SELECT E'*' --**\n'************', x"},
        {"SELECT E'a' - -b, 'c\\', d, 'e', f", "SELECT E'*' - -b, '********'*'***"},
        // The last letter of a name is no prefix.
        {"SELECT name'abc', x", "SELECT name'***', x"},
        {"SELECT $e'it\\'s secret', x", "SELECT $e'************', x"},
    });
}

TEST_CASE("behind a backslash in '...' what either setting of standard_conforming_strings calls a literal is blanked") {
    check({
        {"SELECT 'C:\\temp', x, 1", "SELECT '*******', x, *"},
        {"SELECT 'a\\\\', x, 'b'", "SELECT '***', x, '*'"},
        // on: '\' and 'secret'. off: '\', ' secret and what follows.
        {"SELECT '\\', 'secret', y", "SELECT '****'******'***"},
        // off: 'it\'s secret'. on: 'it\', s, secret and what begins with the last quote.
        {"SELECT 'it\\'s secret', y", "SELECT '************'***"},
        {"SELECT 'a\\'b', c, 'd\\'e', f", "SELECT '****'*****'****', f"},
    });
}

TEST_CASE("dollar quotes are blanked with their second delimiter") {
    check({
        {"SELECT $$Dianne's horse$$, x", "SELECT $$****************, x"},
        {"SELECT $tag$a $$ b $tagg$ c $ta$tag$, x", "SELECT $tag$************************, x"},
        {"$f$ BEGIN RETURN ($1 ~ $q$[\\t\\r\\n\\v\\\\]$q$); END; $f$, y",
         "$f$*************************************************, y"},
        {"SELECT $a$ $A$ $a$ x", "SELECT $a$******** x"},
        {"SELECT $a$ $b$a$ $a$ x", "SELECT $a$****** $a$**"},
        {"SELECT $$$$, x", "SELECT $$**, x"},
        {"SELECT $é1$ü$é1$, x", "SELECT $é1$*******, x"},
        {"SELECT a$b$c, d$$e", "SELECT a$b$c, d$$e"},
        {"SELECT $1$$secret$$ x", "SELECT $1$$******** x"},
        {"SELECT 1$$secret$$ x", "SELECT *$$******** x"},
        {"SELECT $ x, $a b, $a.b", "SELECT $ x, $a b, $a.b"},
        {"DO $$ never ends", "DO $$***********"},
    });
    // A delimiter that is too long to remember does not end.
    const std::string tag(100, 't');
    CHECK(without_literals('$' + tag + "$secret$" + tag + "$ x") == '$' + tag + '$' + std::string(110, '*'));
}

TEST_CASE("numbers of every form are blanked") {
    check({
        {"SELECT 42, 3.5, 4., .001, 5e2, 1.925e-3, 1E+5 x", "SELECT **, ***, **, .***, ***, ********, **** x"},
        {"SELECT 0x42F, 0o273, 0b100101, 1_500_000, 0x_1F, 1_0.0_1e1_0 x",
         "SELECT *****, *****, ********, *********, *****, *********** x"},
        {"SELECT a[1:2], b1, c_2, x-1, -2, 3-4, 1..10", "SELECT a[*:*], b1, c_2, x-*, -*, *-*, *****"},
        {"SELECT 123::numeric(10,2)", "SELECT ***::numeric(**,*)"},
        {"SELECT 1-- secret\n, 1e-- secret\n, 1/* secret */+2", "SELECT *--*******\n, ***-*******\n, */**********/+*"},
        {"SELECT 1E'it''s', 2e/**/ x", "SELECT **'**''*', **/**/ x"},
        // What the server refuses, and could be read in several ways.
        {"SELECT 12ab$x$ secret", "SELECT **************"},
    });
}

TEST_CASE("comments are blanked, nested ones to their end") {
    check({
        {"SELECT 1 -- secret 'x\nFROM t", "SELECT * --**********\nFROM t"},
        {"SELECT a --\r'b'", "SELECT a --\r'*'"},
        {"/* multiline\n * nested: /* 'secret' */\n */ SELECT x",
         "/****************************************/ SELECT x"},
        {"SELECT a/**/b /***/ c /*/ */ d", "SELECT a/**/b /***/ c /****/ d"},
        {"SELECT a /* b /* c */ 'd'", "SELECT a /***************"},
        {"SELECT a *-- b\n, c +/* d */ e, 2 */* f */ 3", "SELECT a *--**\n, c +/*****/ e, * */*****/ *"},
        {"/*+ SeqScan(t) */ SELECT '*/'", "/***************/ SELECT '**'"},
        {"/* **/ a /* // */ b /* //* */ c", "/****/ a /******/ b /**********"},
    });
    CHECK(without_literals("/* unfinished 'a'") == "/****************");
}

TEST_CASE("bytes that SQL does not have are blanked") {
    CHECK(without_literals("SELECT \x01\x7f x"s) == "SELECT ** x");
    CHECK(without_literals("SELECT\t\n\v\f\r x"s) == "SELECT\t\n\v\f\r x");
    CHECK(without_literals("a\0b"s) == "a*b");
}

TEST_CASE("a password without quotes or in the wrong ones is blanked") {
    check({
        {"ALTER ROLE bob PASSWORD hunter2", "ALTER ROLE bob PASSWORD *******"},
        {"CREATE USER bob WITH PASSWORD \"hunter 2\" LOGIN", "CREATE USER bob WITH PASSWORD \"********\" LOGIN"},
        {"ALTER USER bob PASSWORD my-secret+word; SELECT a", "ALTER USER bob PASSWORD **************; SELECT a"},
        {"ALTER USER bob PASSWORD 'don't tell' x", "ALTER USER bob PASSWORD '***'* tell'**"},
        {"ALTER USER bob PASSWORD '' VALID", "ALTER USER bob PASSWORD '' VALID"},
        {"SET my.password = hunter2; SELECT a", "SET my.password * *******; SELECT a"},
        {"ALTER ROLE bob SET x.token TO abc", "ALTER ROLE bob SET x.token ** ***"},
        {"SELECT password FROM t WHERE a = b", "SELECT password FROM t WHERE a = b"},
    });
}

TEST_CASE("in an encoding with ASCII in its characters nothing can be read behind the first one") {
    // 0x83 0x5c is one character of Shift JIS, and no backslash; 0x95 0x27 none at all.
    for (const char* encoding : {"SJIS", "BIG5", "GBK", "gb18030", "UHC", "JOHAB", "SHIFT_JIS_2004", "nobody's"}) {
        INFO(encoding);
        CHECK(blanked_sql(SqlContent::without_literals, "SELECT 'a', b, '\x83\x5c', c", encoding) ==
              "SELECT '*', b, '******");
        CHECK(blanked_sql(SqlContent::without_secrets, "SELECT 'a', b, '\x83\x5c', c", encoding) ==
              "SELECT 'a', b, '******");
    }
    for (const char* encoding : {"UTF8", "utf-8", "'utf-8'", "UNICODE", "SQL_ASCII", "LATIN1", "EUC_JP", "WIN1252"}) {
        CHECK(blanked_sql(SqlContent::without_literals, "SELECT '\xc3\xa4', c", encoding) == "SELECT '**', c");
    }
}

TEST_CASE("a client that names such an encoding in SQL is believed from the next text on") {
    const auto next_is_read = [](std::string_view sql) {
        protocol::SqlSession session;
        session.encoding.named("UTF8");
        protocol::SqlBlanker blanker(SqlContent::without_literals, session);
        std::string text(sql);
        blanker.begin();
        blanker.blank(support::bytes_of(text, 0, text.size()));
        blanker.end();
        return session.encoding.is_ascii_safe();
    };
    for (const std::string_view sql :
         {"SET client_encoding = 'SJIS'", "set client_encoding to sjis", "SET SESSION \"client_encoding\" TO \"Big5\";",
          "SET NAMES 'gbk'", "select set_config('client_encoding', 'UHC', false)", "SET client_encoding=E'SJIS'",
          "SELECT 1; SET LOCAL client_encoding TO 'johab'; SELECT 2", "SET U&\"client\\005fencoding\" = 'SJIS'",
          "SELECT set_config($$client_encoding$$, $$SJIS$$, false)"}) {
        INFO(sql);
        CHECK_FALSE(next_is_read(sql));
    }
    for (const std::string_view sql :
         {"SET client_encoding = 'UTF8'", "SET client_encoding TO DEFAULT", "SHOW client_encoding; SELECT a",
          "SELECT current_setting('client_encoding'), 'SJIS'", "SET NAMES 'latin1'", "SELECT names, 'SJIS' FROM t",
          "RESET client_encoding"}) {
        INFO(sql);
        CHECK(next_is_read(sql));
    }
}

TEST_CASE("of a setting's value without quotes stay words that PostgreSQL knows") {
    const auto left = [](std::string_view sql) {
        return support::blanked_sql(protocol::SqlContent::without_literals, sql);
    };
    for (const std::string_view sql :
         {"SET work_mem TO DEFAULT", "SET jit = off; SELECT a = b", "SET datestyle TO iso, mdy",
          "SET client_encoding = UTF8", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET TIME ZONE LOCAL",
          "SET default_transaction_isolation TO serializable", "UPDATE t SET a = b, c = d", "SET ROLE bob",
          "ALTER TABLE t RENAME a TO b", "CREATE TABLE t (a int REFERENCES b ON DELETE SET NULL, c int CHECK (c = d))",
          "SET search_path TO pg_catalog, public"}) {
        CHECK(left(sql) == sql);
    }
    CHECK(left("SET my.x = zecret; SELECT a") == "SET my.x = ******; SELECT a");
    CHECK(left("SET x TO on_secret") == "SET x TO on*******");
    // What may be any text, and what is none of PostgreSQL's own: not even as a known word begins.
    CHECK(left("SET my.x TO on_secret") == "SET my.x TO *********");
    CHECK(left("SET LOCAL \"my\".\"x\" = foo, true; SET jit = on") ==
          "SET LOCAL \"my\".\"x\" = ***, ****; SET jit = on");
    CHECK(left("SET application_name = local_secret") == "SET application_name = ************");
    CHECK(left("ALTER ROLE bob SET my.x TO on") == "ALTER ROLE bob SET my.x TO **");
    CHECK(left("CREATE FUNCTION s.f() RETURNS int SET my.x = on") == "CREATE FUNCTION s.f() RETURNS int SET my.x = **");
    CHECK(left("ALTER ROLE bob IN DATABASE d SET jit TO on") == "ALTER ROLE bob IN DATABASE d SET jit TO on");
    CHECK(left("SET my.x TO \"zecret\", zecret.zecret") == "SET my.x TO \"******\", ******.******");
    CHECK(left("SET TIME ZONE zecret") == "SET TIME ZONE ******");
    CHECK(left("ALTER ROLE bob IN DATABASE d SET my.x TO zecret") == "ALTER ROLE bob IN DATABASE d SET my.x TO ******");
    CHECK(left("ALTER SYSTEM SET x=zecret") == "ALTER SYSTEM SET x=******");
    // Either reading of a backslash may see SET.
    CHECK(left("SELECT '\\', '; SET x = '\\', z', zecret").find("zecret") == std::string::npos);
    CHECK(left("CREATE OR REPLACE FUNCTION f() RETURNS int SET my.x = zecret") ==
          "CREATE OR REPLACE FUNCTION f() RETURNS int SET my.x = ******");
}
