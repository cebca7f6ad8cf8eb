#include "bench/replay/sql_rules.hpp"
#include "support/catch.hpp"

using namespace bench::replay;

TEST_CASE("statements that only read are known") {
    for (const char* sql : {"",
                            ";",
                            " /* delete */ ",
                            "select 1",
                            "SELECT 'delete from t'",
                            "select \"update\" from t",
                            "select $$insert$$",
                            "with a as (select 1) select * from a",
                            "show all",
                            "begin",
                            "COMMIT; begin",
                            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                            "set search_path = a",
                            "rollback",
                            "copy t to stdout",
                            "COPY (select 1) TO STDOUT (format csv)",
                            "declare c cursor for select 1",
                            "fetch 10 from c",
                            "explain select 1",
                            "lock table t in access share mode",
                            "show transaction_read_only",
                            "select set_config('search_path', '', false)",
                            "prepare p as select 1",
                            "execute p",
                            "-- x\nselect 1",
                            "select E'\\'; delete from t'",
                            "/* a /* b */ delete */ select 1"}) {
        INFO(sql);
        CHECK(effect_of(sql) == Effect::reads);
    }
}

TEST_CASE("what is not known to read only may write") {
    for (const char* sql : {"delete from t",
                            "select 1; insert into t values (1)",
                            "with a as (delete from t returning 1) select 1 from a",
                            "select * into n from t",
                            "select 1 for update",
                            "select 1 for key share",
                            "select nextval('s')",
                            "call p()",
                            "do $$begin end$$",
                            "create table a()",
                            "vacuum",
                            "copy t from stdin",
                            "copy t to '/tmp/x'",
                            "copy t to program 'x'",
                            "begin read write",
                            "set transaction read write",
                            "set default_transaction_read_only = off",
                            "set transaction_read_only to off",
                            "select set_config('transaction_read_only', 'off', true)",
                            "prepare transaction 'x'",
                            "commit prepared 'x'",
                            "prepare p as delete from t",
                            "explain analyze update t set a = 1",
                            "select pg_terminate_backend(1)",
                            "select dblink_exec('delete from t')",
                            "truncate t",
                            "lock table t",
                            "notify a",
                            "select 1;;delete from t",
                            "select E'\\\\'; delete from t",
                            "select ''''; delete from t --'"}) {
        INFO(sql);
        CHECK(effect_of(sql) != Effect::reads);
    }
}

TEST_CASE("a quoted name is a word as any other, and what cannot be read is left out") {
    for (const char* sql : {"SET \"default_transaction_read_only\" = off",
                            "set \"Default_Transaction_Read_Only\" to off",
                            "set local \"transaction_read_only\" = off",
                            "SELECT \"set_config\"('transaction_read_only', 'off', true)",
                            "select pg_catalog.\"set_config\"('role', 'a', true)",
                            "select set_config($1, $2, true)",
                            "select set_config('transaction_read' || '_only', 'off', true)",
                            "select set_config(E'transaction_read\\x5fonly', 'off', true)",
                            "set U&\"default_transaction_read\\005fonly\" = off",
                            "select U&\"\\006cower\"('a')",
                            "select u&'a'",
                            "set role a",
                            "set session authorization a",
                            "set local role a",
                            "set standard_conforming_strings = off",
                            "set search_path = a, pg_catalog",
                            "select set_config('search_path', 'a, pg_catalog', false)",
                            "set \"search_path\" to a, \"pg_catalog\"",
                            "-- a\rdelete from t",
                            "select E'a'\n'\\'; delete from t --'",
                            "select E'\x95\\'; delete from t --'",
                            "select 'a",
                            "select \"a",
                            "/* select 1",
                            "select $$a",
                            "explain analyze create table a as select 1",
                            "lock table access, share in exclusive mode"}) {
        INFO(sql);
        CHECK(effect_of(sql) == Effect::writes);
    }
    for (const char* sql : {"set search_path = pg_catalog, a", "set search_path to \"$user\", public",
                            "set standard_conforming_strings = on", "select set_config('a.b', 'pg_catalog', false)"}) {
        INFO(sql);
        CHECK(effect_of(sql) == Effect::reads);
    }
}

TEST_CASE("COPY is played to the client only, whatever stands in its brackets") {
    for (const char* sql :
         {"COPY (SELECT x.to stdout FROM (SELECT 1 AS \"to\") x) TO PROGRAM 'cat > f'", "copy t to program 'stdout'",
          "copy (select 1) to '/tmp/to stdout'", "copy s.to stdout to program 'x'", "copy \"to stdout\" to '/tmp/x'",
          "copy t from program 'x'", "copy t /* to stdout */ to '/x'", "copy (select 1) to E'stdout'",
          "copy (select 1) to \"stdout\""}) {
        INFO(sql);
        CHECK(effect_of(sql) == Effect::writes);
    }
    for (const char* sql :
         {"copy public.t (a, b) to stdout", "copy (select a.to from a) to stdout with (format csv)"}) {
        INFO(sql);
        CHECK(effect_of(sql) == Effect::reads);
    }
    CHECK(effect_of("copy (select f(1)) to stdout") == Effect::calls);
}

TEST_CASE("only functions that are known to read are called") {
    for (const char* sql : {"SELECT \"pg_terminate_backend\"(pid) from a",
                            "select wipe()",
                            "select wipe /* a */ ()",
                            "select public.lower('a')",
                            "select \"PG_CATALOG\".lower('a')",
                            "select pg_catalog.pg_reload_conf()",
                            "select a.pg_catalog.lower('a')",
                            "select \"LOWER\"('a')",
                            "select \"in\"(1)",
                            "select filter(1)",
                            "select over(1)",
                            "select join(1)",
                            "select operator(1)",
                            "select a operator(s.+) b",
                            "select operator(pg_catalog.*)",
                            "select query_to_xml('a', true, true, '')",
                            "select pg_read_file('a')",
                            "select lower(wipe())",
                            "select 1; select wipe()",
                            "select * from wipe() as t(a)",
                            "prepare p as select wipe()",
                            "execute p(wipe())",
                            "values (wipe())",
                            "select \xe8\xa1\xa8(1)",
                            "explain analyze select wipe()",
                            "select count(*) filter (where wipe())",
                            "select cube(1)",
                            "select treat(1 as t)"}) {
        INFO(sql);
        CHECK(effect_of(sql) == Effect::calls);
    }
    for (const char* sql :
         {"select \"lower\"('a'), PG_CATALOG.upper('a'), \"pg_catalog\".\"abs\"(1)", "select count(*) filter (where a)",
          "select sum(a) over (partition by b)", "select * from generate_series(1, 2) as t(a, b)",
          "with recursive t(n) as (values (1)) select * from t", "select 'a'::varchar(3), cast('1' as numeric(3, 2))",
          "select a::pg_catalog.bpchar(3)", "select a in (1) and (b) or exists (select 1)", "execute p(1, 'a')",
          "prepare p(int) as select $1", "explain (analyze, costs off) select 1", "select array(select 1)",
          "select c from t left join (a join b on (true)) using (x)", "select a operator(pg_catalog.~) '^(x)$'",
          "select pg_catalog.format_type(1, 2), pg_catalog.pg_table_is_visible(c.oid)",
          "select a::character varying(3)", "select percentile_cont(0.5) within group (order by a)",
          "select a from t group by grouping sets ((a), ())"}) {
        INFO(sql);
        CHECK(effect_of(sql) == Effect::reads);
    }
}

TEST_CASE("what lifts the read-only mode by its reset, or by another name of a schema, is left out") {
    for (const char* sql :
         {"reset transaction_read_only", "RESET \"Transaction_Read_Only\"", "reset role", "reset session authorization",
          "set search_path = \"pg_catalog \", a, pg_catalog", "set search_path = \"PG_CATALOG\", a, pg_catalog",
          "set search_path = \"pg-catalog\", a, pg_catalog", "set search_path = \"a\"\"\", a, pg_catalog",
          "set search_path = 'pg_catalog, a', pg_catalog",
          "select set_config('search_path', '\"PG_CATALOG\", a, pg_catalog', false)",
          "select set_config('search_path', '\"pg_catalog \", a, pg_catalog', false)", "set zero_damaged_pages = on"}) {
        INFO(sql);
        CHECK(effect_of(sql) == Effect::writes);
    }
    for (const char* sql :
         {"reset all", "reset work_mem", "set search_path = PG_Catalog, a", "set search_path = \"pg_catalog\", pg_temp",
          "set search_path = \"my schema\", public", "select set_config('search_path', ' PG_CATALOG , a', false)"}) {
        INFO(sql);
        CHECK(effect_of(sql) == Effect::reads);
    }
}

TEST_CASE("a word that may be a function's name is a keyword only where the grammar has one") {
    for (const char* sql : {"select by(1)", "select 1 order by cube(1)", "select 1 order by rollup(1)",
                            "select sum(a) over (partition by cube(1))", "select pg_catalog.by(1)"}) {
        INFO(sql);
        CHECK(effect_of(sql) == Effect::calls);
    }
    for (const char* sql : {"select 1 group by (a)", "select 1 order by (a)", "select sum(a) over (partition by (a))",
                            "select 1 group by cube (a, b)", "select 1 group by rollup(a)"}) {
        INFO(sql);
        CHECK(effect_of(sql) == Effect::reads);
    }
}

TEST_CASE("what others on the server would notice is not called") {
    for (const char* sql : {"select pg_advisory_lock(1)",
                            "select pg_try_advisory_xact_lock_shared(1, 2)",
                            "select pg_advisory_unlock_all()",
                            "select nextval('s')",
                            "select setval('s', 1)",
                            "select lo_create(0)",
                            "select lo_export(1, '/tmp/x')",
                            "select lo_from_bytea(0, '')",
                            "select dblink('a', 'b')",
                            "select dblink_connect('a')",
                            "select pg_cancel_backend(1)",
                            "select pg_terminate_backend(1)",
                            "select pg_notify('a', 'b')",
                            "select pg_switch_wal()",
                            "select pg_logical_emit_message(true, 'a', 'b')",
                            "select pg_stat_reset()",
                            "select pg_create_restore_point('a')",
                            "select txid_current()",
                            "select pg_rotate_logfile()",
                            "select pg_replication_slot_advance('a', '0/0')",
                            "select setseed(0.5)",
                            "select pg_export_snapshot()",
                            "select pg_ls_dir('/')",
                            "select lastval()",
                            "select cursor_to_xml('c', 1, true, true, '')",
                            "select ts_stat('select 1')"}) {
        INFO(sql);
        CHECK(effect_of(sql) == Effect::calls);
    }
    for (const char* sql : {"select 1 for no key update",
                            "select 1 for update of t nowait",
                            "select 1 for share skip locked",
                            "explain (analyze) with a as (delete from t returning 1) select 1",
                            "call p(1)",
                            "explain analyze refresh materialized view v",
                            "copy (delete from t returning 1) to stdout",
                            "declare c cursor for delete from t",
                            "set session characteristics as transaction read write",
                            "begin isolation level serializable, read/**/write",
                            "start transaction read write",
                            "commit; set transaction read write",
                            "move 1 from c; update t set a = 1 where current of c",
                            "alter role a set default_transaction_read_only = off",
                            "security label on table t is 'a'",
                            "load 'x'",
                            "checkpoint",
                            "refresh materialized view v",
                            "cluster",
                            "reindex table t"}) {
        INFO(sql);
        CHECK(effect_of(sql) == Effect::writes);
    }
}

TEST_CASE("what looks blanked is told from stars that mean something") {
    for (const char* sql : {"select count(*) from t", "select 2 * 3", "/***** a *****/ select 1", "select '*'",
                            "select a.*, b.*", "select x ~ '^.*$'", "-- ****\nselect 1"}) {
        INFO(sql);
        CHECK_FALSE(looks_blanked(sql));
    }
    for (const char* sql :
         {"alter role a password '****'", "alter role a password '*'", "create user a password ****", "select '****'",
          "select $$**$$", "create subscription s connection 'host=a password=*' publication p", "select E'a\\'**'",
          "select dblink('password=* host=b')"}) {
        INFO(sql);
        CHECK(looks_blanked(sql));
    }
}

TEST_CASE("a value beside a secret is blanked also when it is one star, or zeros") {
    const auto blanked = [](std::string_view value, bool by_a_secret) {
        return value_looks_blanked(protocol::as_bytes(value), by_a_secret);
    };
    CHECK(blanked("md5******", false));
    CHECK_FALSE(blanked("*", false));
    CHECK(blanked("*", true));
    CHECK_FALSE(blanked(std::string_view("\0\0\0\0", 4), false));
    CHECK(blanked(std::string_view("\0\0\0\0", 4), true));
    CHECK_FALSE(blanked("", true));
    CHECK_FALSE(blanked("a * b", true));
}
