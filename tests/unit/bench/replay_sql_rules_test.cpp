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
        CHECK_FALSE(may_write(sql));
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
        CHECK(may_write(sql));
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
