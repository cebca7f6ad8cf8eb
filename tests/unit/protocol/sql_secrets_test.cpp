// Secrets in SQL that is otherwise kept.
#include "support/redaction.hpp"

namespace {

using protocol::SqlContent;

std::string without_secrets(std::string_view sql) { return support::blanked_sql(SqlContent::without_secrets, sql); }

struct Case {
    std::string_view sql;
    std::string_view left;
};

void check(std::initializer_list<Case> cases) {
    for (const Case& each : cases) {
        INFO(each.sql);
        CHECK(without_secrets(each.sql) == each.left);
    }
}

}  // namespace

TEST_CASE("SQL without secrets stays as it is") {
    for (const std::string_view sql :
         {"SELECT 'a', 1, $$b$$ -- c\nFROM t /* d */", "INSERT INTO t VALUES (1.5, E'x\\n', X'1F', 'it''s')",
          "SELECT 'forgot your passwords page', 'https://example.com/path', 'a:b', 'md5sum', 'a token of it'",
          "CREATE ROLE bob LOGIN VALID UNTIL '2030-01-01'", "SELECT 'C:\\', 'it\\'s', x"}) {
        CHECK(without_secrets(sql) == sql);
    }
}

TEST_CASE("passwords of roles are blanked, and until when they are valid stays") {
    check({
        {"CREATE ROLE bob WITH ENCRYPTED PASSWORD 'secret' VALID UNTIL '2030-01-01'; SELECT 'a', 1",
         "CREATE ROLE bob WITH ENCRYPTED PASSWORD '******' VALID UNTIL '2030-01-01'; SELECT 'a', 1"},
        {"alter user bob valid until '2030-01-01' password 'it''s' connection limit 3",
         "alter user bob valid until '2030-01-01' password '**''*' connection limit *"},
        {"ALTER GROUP g PASSWORD E'a\\'b'", "ALTER GROUP g PASSWORD *'****'"},
        {"ALTER USER bob PASSWORD $x$secret$x$", "ALTER USER bob PASSWORD $*$*********"},
        {"ALTER USER bob PASSWORD/* the password: secret */'secret'",
         "ALTER USER bob PASSWORD/*************************'******'"},
        {"ALTER USER bob PASSWORD hunter2", "ALTER USER bob PASSWORD *******"},
        {"ALTER USER bob PASSWORD 12345", "ALTER USER bob PASSWORD *****"},
        {"ALTER USER \"bob\" PASSWORD 'SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5'",
         "ALTER USER \"bob\" PASSWORD '*************************************'"},
    });
}

TEST_CASE("secrets of foreign servers, subscriptions and extensions are blanked") {
    check({
        {"CREATE USER MAPPING FOR bob SERVER s OPTIONS (user 'bob', password 'secret')",
         "CREATE USER MAPPING FOR bob SERVER s OPTIONS (user '***', password '******')"},
        {"ALTER SERVER s OPTIONS (SET host 'h', ADD x 'y')", "ALTER SERVER s OPTIONS (SET host '*', ADD x '*')"},
        {"CREATE SUBSCRIPTION s CONNECTION 'host=h user=u' PUBLICATION p",
         "CREATE SUBSCRIPTION s CONNECTION '*************' PUBLICATION p"},
        {"SELECT * FROM dblink('host=h', 'SELECT 1') AS t(a int)",
         "SELECT * FROM dblink('******', '********') AS t(a int)"},
        {"SELECT dblink_connect_u('c', 'x')", "SELECT dblink_connect_u('*', '*')"},
        {"UPDATE t SET h = crypt('secret', gen_salt('bf'))", "UPDATE t SET h = crypt('******', gen_salt('**'))"},
        {"SELECT pgp_sym_encrypt('data', 'key')", "SELECT pgp_sym_encrypt('****', '***')"},
        {"ALTER SYSTEM SET primary_conninfo = 'host=h'", "ALTER SYSTEM SET primary_conninfo * ********"},
        {"INSERT INTO users (name, \"user_Password\") VALUES ('bob', 'x')",
         "INSERT INTO users (name, \"user_Password\") VALUES ('***', '*')"},
        {"SELECT U&\"p\\0061ssword\", 'x'", "SELECT U&\"p\\0061ssword\", '*'"},
        {"SELECT session_token, 'x', 1; SELECT 'x', 1", "SELECT session_token, '*', *; SELECT 'x', 1"},
    });
}

TEST_CASE("connection strings and verifiers are blanked in any literal from where they are recognised") {
    check({
        {"SELECT f('host=h password=secret dbname=d'), 'x'", "SELECT f('host=h password=***************'), '*'"},
        {"SELECT 'postgresql://bob:secret@h/d', 'x'", "SELECT 'postgresql://bob:**********', 'x'"},
        {"SELECT 'postgresql:///d?password=secret'", "SELECT 'postgresql:///d?password=******'"},
        {"SELECT 'a SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5', 'x'",
         "SELECT 'a SCRAM-SHA-256$***********************', 'x'"},
        {"SELECT 'md50123456789abcdef0123456789abcdef', 'x'", "SELECT 'md5********************************', 'x'"},
        {"SELECT '{\"password\": \"secret\"}'::json", "SELECT '{\"password\"***********'::json"},
        {"DO $$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''secret'''; END $$; SELECT 'x'",
         "DO $$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD '******************; SELECT 'x'"},
        {"SELECT set_config('my.password', 'x', false), 'y'", "SELECT set_config('my.password', '*', false), '*'"},
        {"SELECT json_build_object('token', 'x')", "SELECT json_build_object('token', '*')"},
        {"SELECT 'my passwords', 'x'", "SELECT 'my passwords', 'x'"},
        {"SELECT format('ALTER ROLE %I PASSWORD %L', 'bob', 'x'); SELECT 'x'",
         "SELECT format('ALTER ROLE %I PASSWORD %L', '***', '*'); SELECT 'x'"},
        {"SELECT 'ALTER ROLE bob PASSWORD ' || quote_literal('x')",
         "SELECT 'ALTER ROLE bob PASSWORD ' || quote_literal('*')"},
        {"SELECT 'ALTER ROLE bob PASSWORD' || $$ x$$", "SELECT 'ALTER ROLE bob PASSWORD' || $$****"},
        {"SELECT 1 -- password: secret\n, 'x'", "SELECT 1 -- password:*******\n, 'x'"},
        {"SELECT 'a' /* postgres://u:secret@h */", "SELECT 'a' /* postgres://u:**********/"},
    });
}

TEST_CASE("what EXECUTE gives to a statement that may hold secrets is blanked") {
    check({
        {"PREPARE a AS INSERT INTO users (password) VALUES ($1); EXECUTE a('x'); EXECUTE b('y')",
         "PREPARE a AS INSERT INTO users (password) VALUES ($1); EXECUTE a('*'); EXECUTE b('y')"},
    });
}

TEST_CASE("the more cautious of two readings decides what is secret") {
    // off: the literal goes on to the next quote, and what follows is PASSWORD.
    CHECK(without_secrets("SELECT '\\', ' PASSWORD 'secret', 'x'") == "SELECT '\\', ' PASSWORD '******'**'*'");
}

TEST_CASE("prepared statements are remembered up to a number, and beyond it all may hold secrets") {
    protocol::StatementNames names;
    CHECK_FALSE(names.may_be_secret(1));
    names.prepared(1, true);
    names.prepared(2, false);
    CHECK(names.may_be_secret(1));
    CHECK_FALSE(names.may_be_secret(2));
    names.prepared(1, false);
    CHECK(names.may_be_secret(1));
    names.prepared(protocol::hash_of(""), true);
    names.prepared(protocol::hash_of(""), false);
    CHECK_FALSE(names.may_be_secret(protocol::hash_of("")));
    names.synced();
    CHECK(names.may_be_secret(protocol::hash_of("")));
    for (std::uint64_t i = 10; i < 100'000; ++i) names.prepared(i, true);
    CHECK(names.may_be_secret(2));
    names.prepared(2, false);
    CHECK(names.may_be_secret(2));
}

TEST_CASE("once statements were prepared unseen, a named one may be secret, whatever is asked for since") {
    protocol::StatementNames names;
    names.give_up();
    for (const std::string_view name : {"", "foo", "Foo"}) CHECK(names.may_be_secret(protocol::hash_of(name)));
    for (const std::string_view name : {"", "foo"}) names.prepared(protocol::hash_of(name), false);
    for (const std::string_view name : {"foo", "Foo"}) CHECK(names.may_be_secret(protocol::hash_of(name)));
    CHECK_FALSE(names.may_be_secret(protocol::hash_of("")));
    names.prepared(protocol::hash_of(""), true);
    CHECK(names.may_be_secret(protocol::hash_of("")));
}

TEST_CASE("names are one where the server has one: by their first 63 bytes") {
    const std::string name(63, 'a');
    CHECK(protocol::hash_of(name + "b") == protocol::hash_of(name + "cd"));
    CHECK(protocol::hash_of(name) == protocol::hash_of(name + "b"));
    CHECK(protocol::hash_of(name.substr(1)) != protocol::hash_of(name));
}

TEST_CASE("EXECUTE of a statement with secrets has them too, wherever it stands") {
    const std::string prepare = "PREPARE a AS INSERT INTO users (password) VALUES ($1); ";
    for (const std::string_view before : {"EXPLAIN ANALYZE ", "EXPLAIN (ANALYZE) ", "CREATE TABLE t AS ", ""}) {
        const std::string execute = prepare + std::string(before);
        CHECK(without_secrets(execute + "EXECUTE a('x')") == execute + "EXECUTE a('*')");
        CHECK(without_secrets(execute + "EXECUTE b('x')") == execute + "EXECUTE b('x')");
    }
    // By a literal, and by a name of which nobody knows what it names.
    CHECK(without_secrets("PREPARE a AS SELECT set_config('my.password', $1, false); EXECUTE a('x')") ==
          "PREPARE a AS SELECT set_config('my.password', $1, false); EXECUTE a('*')");
    CHECK(without_secrets("EXECUTE \"a\"\"b\"('x')") == "EXECUTE \"a\"\"b\"('*')");
    CHECK(without_secrets("EXECUTE U&\"!0070\"('x')") == "EXECUTE U&\"!0070\"('*')");
    CHECK(without_secrets("UPDATE t SET U&\"!0070wd\" UESCAPE '!' = 'x'") ==
          "UPDATE t SET U&\"!0070wd\" UESCAPE '*' = '*'");
    CHECK(without_secrets("EXECUTE \xc3\xa4('x')") == "EXECUTE \xc3\xa4('*')");
    CHECK(without_secrets("EXECUTE \"a\"('x')") == "EXECUTE \"a\"('x')");
}
