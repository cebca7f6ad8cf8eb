#include "protocol/console_statement.hpp"

#include "protocol/console_absent.hpp"
#include "support/catch.hpp"

namespace {

using protocol::ConsoleStatement;
using protocol::ErrorResponse;
using protocol::parse_console;
using Kind = ConsoleStatement::Kind;

std::vector<ConsoleStatement> statements_of(std::string_view query) {
    const auto parsed = parse_console(query);
    if (const auto* wrong = std::get_if<ErrorResponse>(&parsed)) FAIL(query << ": " << wrong->message);
    return std::get<std::vector<ConsoleStatement>>(parsed);
}

ConsoleStatement statement_of(std::string_view query) {
    const auto statements = statements_of(query);
    REQUIRE(statements.size() == 1);
    return statements.front();
}

ErrorResponse error_of(std::string_view query) {
    const auto parsed = parse_console(query);
    INFO(query);
    REQUIRE(std::holds_alternative<ErrorResponse>(parsed));
    const auto& error = std::get<ErrorResponse>(parsed);
    CHECK(error.severity == "ERROR");
    CHECK(error.sqlstate == "42601");
    CHECK(error.message.find("SHOW HELP") != std::string::npos);
    return error;
}

/// "FOR=30m USER=app"
std::string options_of(std::string_view query) {
    std::string text;
    for (const auto& option : statement_of(query).options)
        text += (text.empty() ? "" : " ") + option.name + "=" + option.value;
    return text;
}

}  // namespace

TEST_CASE("a query of nothing has no statement") {
    for (const char* const query : {"", "  \n\t", ";", " ; ;; ", "-- only a comment", "/* and /* another */ one */"}) {
        INFO(query);
        CHECK(statements_of(query).empty());
    }
}

TEST_CASE("keywords are taken in any case, with any space and comment between them") {
    for (const char* const query :
         {"CAPTURE STATUS", "capture status", "Capture\n\tSTATUS ;", "/* a */ capture--b\nstatus"}) {
        CHECK(statement_of(query).kind == Kind::capture_status);
    }
}

TEST_CASE("CAPTURE START takes options as COPY does: words, numbers, quoted values, or none") {
    CHECK(statement_of("CAPTURE START").kind == Kind::capture_start);
    CHECK(statement_of("CAPTURE START").options.empty());
    CHECK(options_of(
              "CAPTURE START (FOR '30m', payload redacted,Trigger failures, USER 'O''Brien', KEYLOG, MAX_SIZE 5)") ==
          "for=30m payload=redacted trigger=failures user=O'Brien keylog= max_size=5");
    CHECK(options_of("capture start (user 'a', user 'b')") == "user=a user=b");
    CHECK(options_of("capture start (user '')") == "user=");
    CHECK(options_of("capture start (user 'a\\', database 'ü')") == "user=a\\ database=ü");
}

TEST_CASE("options know where they stand, in characters") {
    const auto options = statement_of("CAPTURE START (USER 'ü', DATABASE 'x')").options;
    REQUIRE(options.size() == 2);
    CHECK(options[0].position == 16);
    CHECK(options[1].position == 26);
}

TEST_CASE("CAPTURE START says where to: the folder, the client, or a file") {
    using To = ConsoleStatement::To;
    CHECK(statement_of("CAPTURE START").to == To::folder);
    CHECK(statement_of("CAPTURE START TO STDOUT").to == To::client);
    CHECK(statement_of("CAPTURE START (KEYLOG) to stdout").to == To::client);
    const auto file = statement_of("CAPTURE START TO 'window.pcapng'");
    CHECK(file.to == To::file);
    CHECK(file.text == "window.pcapng");
    CHECK(file.position == 18);
}

TEST_CASE("CAPTURE STOP names one capture by its number, or none") {
    CHECK(statement_of("CAPTURE STOP").id == 0);
    CHECK(statement_of("CAPTURE STOP 7;").id == 7);
    CHECK(statement_of("CAPTURE STOP 18446744073709551615").id == 18446744073709551615U);
    for (const char* const query : {"CAPTURE STOP 0", "CAPTURE STOP 1.5", "CAPTURE STOP x", "CAPTURE STOP '1'",
                                    "CAPTURE STOP 18446744073709551616", "CAPTURE STOP 1 2"}) {
        error_of(query);
    }
}

TEST_CASE("SHOW takes a name of any case, or a quoted one as it is") {
    CHECK(statement_of("show HELP").text == "help");
    CHECK(statement_of("SHOW \"TimeZone\"").text == "TimeZone");
    error_of("SHOW");
    error_of("SHOW 'help'");
}

TEST_CASE("what drivers say by themselves is taken") {
    const auto set = statement_of("SET extra_float_digits = 3");
    CHECK(set.kind == Kind::set);
    CHECK(set.text == "SET");
    CHECK(statement_of("DISCARD ALL").text == "DISCARD");
    CHECK(statement_of("RESET ALL").kind == Kind::set);
    CHECK(statement_of("BEGIN").kind == Kind::begin);
    CHECK(statement_of("START TRANSACTION READ ONLY").kind == Kind::begin);
    CHECK(statement_of("COMMIT").kind == Kind::commit);
    CHECK(statement_of("END").kind == Kind::commit);
    CHECK(statement_of("ROLLBACK").kind == Kind::rollback);
    CHECK(statement_of("SELECT").kind == Kind::select);
    CHECK_FALSE(statement_of("SELECT").has_text);
    CHECK(statement_of("SELECT 1").text == "1");
    CHECK(statement_of("SELECT 'ping'").text == "ping");
}

TEST_CASE("several statements are separated by semicolons, and a quoted one is none") {
    const auto statements = statements_of("SET a TO ';'; ;CAPTURE STATUS;SHOW VERSION");
    REQUIRE(statements.size() == 3);
    CHECK(statements[0].kind == Kind::set);
    CHECK(statements[1].kind == Kind::capture_status);
    CHECK(statements[2].kind == Kind::show);
    CHECK(statements[2].position == 36);
}

TEST_CASE("when one statement is wrong none is taken, and the error points at it") {
    const ErrorResponse error = error_of("CAPTURE START; CAPTURE STRAT");
    CHECK(error.message.starts_with("syntax error at or near \"STRAT\""));
    CHECK(error.position == 24);
}

TEST_CASE("an error points at what is wrong") {
    const auto place = [](std::string_view query) { return error_of(query).position; };
    CHECK(place("SELEKT 1") == 1);
    CHECK(place("  DROP TABLE x") == 3);
    CHECK(place("CAPTURE") == 8);
    CHECK(place("CAPTURE START (") == 16);
    CHECK(place("CAPTURE START ()") == 16);
    CHECK(place("CAPTURE START (FOR '1m',)") == 25);
    CHECK(place("CAPTURE START (FOR '1m' USER 'x')") == 25);
    CHECK(place("CAPTURE START (FOR '1m'") == 24);
    CHECK(place("CAPTURE START TO") == 17);
    CHECK(place("CAPTURE START TO stdin") == 18);
    CHECK(place("CAPTURE STATUS now") == 16);
    CHECK(place("SHOW HELP (") == 11);
    CHECK(place("'CAPTURE'") == 1);
    CHECK(place("SELECT 1a") == 8);
}

TEST_CASE("what is never closed is an error where it was opened") {
    const auto error = error_of("CAPTURE START (USER 'x");
    CHECK(error.message.starts_with("unterminated quoted string"));
    CHECK(error.position == 21);
    CHECK(error_of("SHOW \"x").message.starts_with("unterminated quoted identifier"));
    CHECK(error_of("SET \"\" TO 1").message.starts_with("zero-length delimited identifier at or near \"\"\"\""));
    CHECK(error_of("SET \"\" TO 1").position == 5);
    CHECK(error_of("SHOW HELP /* /* */").message.starts_with("unterminated /* comment"));
}

TEST_CASE("an unfinished statement is an error whatever byte it ends with") {
    for (int byte = 0; byte < 256; ++byte) {
        if (byte == ')') continue;
        INFO(byte);
        CHECK(std::holds_alternative<ErrorResponse>(
            parse_console("CAPTURE START (USER " + std::string(1, static_cast<char>(byte)))));
    }
}

TEST_CASE("so many statements at once are refused at the first that is one too many") {
    std::string query;
    for (std::size_t i = 0; i < protocol::max_console_statements; ++i) query += "END;";
    CHECK(std::holds_alternative<std::vector<protocol::ConsoleStatement>>(parse_console(query)));
    const auto error = error_of(query + "SHOW HELP; nonsense");
    CHECK(error.message.starts_with("more than 16 statements at once"));
    CHECK(error.position == query.size() + 1);
}

TEST_CASE("questions in SQL are found with their text, whatever is in them") {
    const auto statements =
        statements_of("SELECT 1, ';' /* ; */ FROM \"a;b\"; WITH x AS (SELECT 2) SELECT * FROM x ;VALUES (1.5e-3)");
    REQUIRE(statements.size() == 3);
    for (const auto& statement : statements) CHECK(statement.kind == Kind::sql);
    CHECK(statements[0].text == "SELECT 1, ';' /* ; */ FROM \"a;b\"");
    CHECK(statements[1].text == "WITH x AS (SELECT 2) SELECT * FROM x ");
    CHECK(statements[2].text == "VALUES (1.5e-3)");
    CHECK(statements[1].position == 35);
    CHECK(statement_of("SELECT version()").text == "SELECT version()");
    CHECK(statement_of("TABLE sessions").kind == Kind::sql);
    CHECK(statement_of("SELECT a::text FROM t WHERE b = $1").text == "SELECT a::text FROM t WHERE b = $1");
    CHECK(statement_of("SELECT 1").kind == Kind::select);
}

TEST_CASE("commands to the process are words of their own") {
    CHECK(statement_of("RELOAD").kind == Kind::reload);
    CHECK(statement_of("drain;").kind == Kind::drain);
    CHECK(statement_of("SHUTDOWN").kind == Kind::shutdown);
    CHECK(statement_of("UPGRADE").kind == Kind::upgrade);
    CHECK(statement_of("KILL 'a-1'").text == "a-1");
    CHECK(statement_of("KILL 42").id == 42);
    for (const char* const wrong : {"KILL", "KILL 0", "KILL a", "KILL 1 2", "RELOAD now", "SHUTDOWN 1"})
        error_of(wrong);
    CHECK(statement_of("SHOW TRANSACTION ISOLATION LEVEL").text == "transaction_isolation");
    CHECK(statement_of("CLOSE ALL").kind == Kind::set);
    CHECK(statement_of("UNLISTEN *").kind == Kind::set);
}

TEST_CASE("a word that only PgBouncer has is told as such, with what to use, and whatever stands behind it") {
    // All that PgBouncer's documentation calls administration commands, and we have not.
    for (const std::string word :
         {"PAUSE", "RESUME", "DISABLE", "ENABLE", "RECONNECT", "SUSPEND", "WAIT_CLOSE", "KILL_CLIENT"}) {
        for (const std::string& query : {word, word + " orders", word + " 17;", "SHOW VERSION; " + word + " \"x\""}) {
            INFO(query);
            const auto parsed = parse_console(query);
            REQUIRE(std::holds_alternative<ErrorResponse>(parsed));
            const auto& error = std::get<ErrorResponse>(parsed);
            CHECK(error.sqlstate == "0A000");
            CHECK(error.message.starts_with(word + " is PgBouncer's: "));
            CHECK_FALSE(error.hint.empty());
            CHECK(error.position == query.find(word) + 1);
        }
    }
    CHECK(protocol::absent_commands().size() == 8);
    for (const char* const query : {"SHUTDOWN WAIT_FOR_SERVERS", "shutdown wait_for_clients"}) {
        const auto error = std::get<ErrorResponse>(parse_console(query));
        CHECK(error.sqlstate == "0A000");
        CHECK(error.position == 10);
    }
    CHECK(statement_of("SHUTDOWN").kind == Kind::shutdown);
}

TEST_CASE("SET without a value sets nothing, and is told so as PostgreSQL does") {
    for (const char* const query : {"SET", "SET max_client_conn", "SET SESSION max_client_conn;", "SET a.b", "SET a =",
                                    "SET a TO", "SET max_client_conn 500", "SET \"a\"", "RESET", "DISCARD"}) {
        INFO(query);
        CHECK(error_of(query).sqlstate == "42601");
    }
    for (const char* const query :
         {"SET TIME ZONE 'UTC'", "SET LOCAL ROLE x", "SET NAMES 'utf8'", "SET SESSION AUTHORIZATION x",
          "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET CONSTRAINTS ALL DEFERRED", "SET SCHEMA 'x'",
          "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET XML OPTION DOCUMENT", "SET a = \"b\", c", "RESET ALL"}) {
        INFO(query);
        CHECK(statement_of(query).kind == Kind::set);
    }
}

TEST_CASE("SET knows a name in quotes") {
    const ConsoleStatement set = statement_of("SET \"Max_Client_Conn\" = 3");
    REQUIRE(set.options.size() == 1);
    CHECK(set.options[0].name == "max_client_conn");
    CHECK(set.options[0].value == "3");
    CHECK(statement_of("SET runtime.\"drain_timeout\" TO 3").options.at(0).name == "runtime.drain_timeout");
    CHECK(statement_of("RESET \"drain_timeout\"").options.at(0).name == "drain_timeout");
}

TEST_CASE("what we have is not among the words that only PgBouncer has") {
    for (const protocol::AbsentWord& absent : protocol::absent_commands()) {
        CHECK_FALSE(std::holds_alternative<std::vector<ConsoleStatement>>(parse_console(absent.word)));
    }
    for (const char* const query : {"CAPTURE STATUS", "SHOW HELP", "KILL 1", "RELOAD", "DRAIN", "SET a = b"}) {
        CHECK(statements_of(query).size() == 1);
    }
}

TEST_CASE("KILL without a session is told what it takes") {
    for (const char* const query : {"KILL", "KILL orders", "KILL;", "KILL \"orders\"", "KILL -1"}) {
        INFO(query);
        CHECK(error_of(query).hint.starts_with("KILL takes one session, KILL 'session' or KILL pid"));
    }
    CHECK(error_of("KILL 0").hint.empty());
}
