#include "proxy/admin/console_settings.hpp"

#include "config/known_key.hpp"
#include "protocol/console_absent.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using protocol::ConsoleStatement;
using proxy::ConsoleSettings;

namespace {

ConsoleStatement statement(const std::string& sql) {
    const auto parsed = protocol::parse_console(sql);
    REQUIRE(std::holds_alternative<std::vector<ConsoleStatement>>(parsed));
    return std::get<std::vector<ConsoleStatement>>(parsed).front();
}

protocol::StartupMessage with(const std::string& name, const std::string& value) {
    protocol::StartupMessage startup;
    startup.parameters.emplace_back(name, value);
    return startup;
}

}  // namespace

TEST_CASE("console settings: times have PostgreSQL's units, and are milliseconds without one", "[console]") {
    using proxy::parse_timeout;
    CHECK(parse_timeout("1500") == 1500ms);
    CHECK(parse_timeout("5s") == 5s);
    CHECK(parse_timeout(" 2 min ") == 2min);
    CHECK(parse_timeout("1h") == 1h);
    CHECK(parse_timeout("1d") == 24h);
    CHECK(parse_timeout("7ms") == 7ms);
    CHECK(parse_timeout("0") == 0ms);
    CHECK(parse_timeout("2147483647") == 2147483647ms);
    for (const char* wrong : {"", "s", "-1", "2147483648", "99999999999999999999", "25d", "5 seconds", "5S", "1.5s"})
        CHECK_FALSE(parse_timeout(wrong));
}

TEST_CASE("console settings: a time is shown in its largest unit", "[console]") {
    using proxy::timeout_text;
    CHECK(timeout_text(0ms) == "0");
    CHECK(timeout_text(1500ms) == "1500ms");
    CHECK(timeout_text(5s) == "5s");
    CHECK(timeout_text(120s) == "2min");
    CHECK(timeout_text(24h) == "1d");
}

TEST_CASE("console settings: SET, SET LOCAL, RESET and DISCARD of statement_timeout", "[console]") {
    ConsoleSettings settings;
    settings.begin(with("options", "-c work_mem=1 -c statement_timeout=3s"));
    CHECK(settings.statement_timeout() == 3s);
    const auto apply = [&](const char* sql, bool in_transaction = false) {
        return settings.apply(statement(sql), in_transaction);
    };
    CHECK_FALSE(apply("SET statement_timeout = '200ms'"));
    CHECK(settings.statement_timeout() == 200ms);
    CHECK_FALSE(apply("SET LOCAL statement_timeout TO 100", true));
    CHECK(settings.statement_timeout() == 100ms);
    settings.end_transaction();
    CHECK(settings.statement_timeout() == 200ms);
    CHECK_FALSE(apply("SET LOCAL statement_timeout TO 100"));
    CHECK(settings.statement_timeout() == 200ms);
    CHECK_FALSE(apply("set session STATEMENT_TIMEOUT to default"));
    CHECK(settings.statement_timeout() == 3s);
    CHECK_FALSE(apply("SET statement_timeout = 0"));
    CHECK(settings.statement_timeout() == 0s);
    CHECK_FALSE(apply("RESET statement_timeout"));
    CHECK(settings.statement_timeout() == 3s);
    for (const char* all : {"RESET ALL", "DISCARD ALL"}) {
        CHECK_FALSE(apply("SET statement_timeout = 1"));
        CHECK_FALSE(apply(all));
        CHECK(settings.statement_timeout() == 3s);
    }
    CHECK_FALSE(apply("SET application_name = 'statement_timeout'"));
    CHECK_FALSE(apply("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"));
    CHECK(settings.statement_timeout() == 3s);
}

TEST_CASE("console settings: what would be set in the configuration is refused with where that is", "[console]") {
    ConsoleSettings settings;
    const auto refused = [&](const std::string& sql) {
        const auto wrong = settings.apply(statement(sql), false);
        return wrong ? wrong->sqlstate + " " + wrong->message + " " + wrong->hint : "";
    };
    CHECK(
        refused("SET max_client_conn = 500") ==
        "0A000 SET changes nothing of the proxy's configuration: \"max_client_conn\" is PgBouncer's The configuration "
        "has runtime.max_connections.");
    CHECK(refused("set Pool_Mode to 'transaction'").starts_with("0A000 "));
    CHECK(refused("SET verbose=1").starts_with("0A000 "));
    CHECK(refused("SET query_wait_timeout = '5'").starts_with("0A000 "));
    CHECK(refused("SET runtime.drain_timeout = '10s'") ==
          "0A000 SET changes nothing of the proxy's configuration: \"runtime.drain_timeout\" is a key of it Change it "
          "in the file, which RELOAD reads anew.");
    CHECK(refused("SET drain_timeout = '10s'") ==
          "0A000 SET changes nothing of the proxy's configuration: \"drain_timeout\" is a key of it Change it in the "
          "file, in [runtime], which RELOAD reads anew.");
}

TEST_CASE("console settings: what both PgBouncer and we have is said to be ours, and where it is", "[console]") {
    ConsoleSettings settings;
    for (const std::string name : {"max_db_connections", "max_user_connections"}) {
        for (const std::string& spelled : {name, "\"" + name + "\""}) {
            const auto wrong = settings.apply(statement("SET " + spelled + " = 3"), false);
            REQUIRE(wrong);
            CHECK(wrong->message ==
                  "SET changes nothing of the proxy's configuration: \"" + name + "\" is a key of it");
            CHECK(wrong->hint == "Change it in the file, in [upstream.NAME], which RELOAD reads anew.");
        }
    }
}

TEST_CASE("console settings: nothing that is said to be PgBouncer's alone is a key of ours", "[console]") {
    for (const char* const name :
         {"max_client_conn", "min_pool_size", "default_pool_size", "reserve_pool_size", "reserve_pool_timeout",
          "max_db_client_connections", "max_user_client_connections", "server_login_retry", "suspend_timeout",
          "shutdown_timeout", "query_wait_timeout", "tcp_keepcnt", "client_tls_sslmode", "auth_ldap_options"}) {
        CAPTURE(name);
        CHECK(config::tables_of(name).empty());
        const std::string_view instead = protocol::instead_of_setting(name);
        REQUIRE_FALSE(instead.empty());
        // What it names is there.
        for (std::size_t at = 0; (at = instead.find('.', at)) != std::string_view::npos; ++at) {
            const std::size_t end = instead.find_first_of(" ,:.]", at + 1);
            const std::string key(instead.substr(at + 1, end - at - 1));
            if (!key.empty() && key != "NAME") CHECK_FALSE(config::tables_of(key).empty());
        }
    }
    CHECK(protocol::instead_of_setting("max_db_connections").empty());
    CHECK(protocol::instead_of_setting("max_user_connections").empty());
}

TEST_CASE("console settings: what drivers set at login is taken, of PostgreSQL's and of their own", "[console]") {
    ConsoleSettings settings;
    for (const char* const sql : {"SET extra_float_digits = 3",
                                  "SET client_encoding TO 'UTF8'",
                                  "SET application_name = 'psql'",
                                  "SET DateStyle = 'ISO'",
                                  "SET datestyle TO ISO, MDY",
                                  "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                                  "SET TIME ZONE 'UTC'",
                                  "SET TimeZone = 'UTC'",
                                  "SET search_path = public",
                                  "SET lock_timeout = 0",
                                  "SET idle_in_transaction_session_timeout = 0",
                                  "SET transaction_timeout = 0",
                                  "SET row_security = off",
                                  "SET standard_conforming_strings = on",
                                  "SET intervalstyle = 'iso_8601'",
                                  "SET bytea_output = 'hex'",
                                  "SET tcp_user_timeout = 0",
                                  "SET client_min_messages TO warning",
                                  "SET app.user_id = '7'",
                                  "SET role = 'x'",
                                  "SET synchronous_commit = off",
                                  "SET jit = off",
                                  "SET default_transaction_read_only = on",
                                  "SET NAMES 'utf8'",
                                  "SET ssl = on",
                                  "RESET ALL",
                                  "DISCARD ALL",
                                  "SET myapp.timeout = 5"}) {
        CAPTURE(sql);
        CHECK_FALSE(settings.apply(statement(sql), false));
    }
}

TEST_CASE("console settings: a value that is none is 22023 with its place, and changes nothing", "[console]") {
    ConsoleSettings settings;
    for (const char* wrong :
         {"SET statement_timeout = soon", "SET statement_timeout = -1", "SET statement_timeout TO ''"}) {
        const auto told = settings.apply(statement(wrong), false);
        REQUIRE(told);
        CHECK(told->sqlstate == "22023");
        CHECK(told->position > 20);
    }
    CHECK(settings.statement_timeout() == 0s);
}

TEST_CASE("console settings: what a StartupMessage has", "[console]") {
    for (const auto& [name, value] : {std::pair{"statement_timeout", "4s"},
                                      {"options", "-cstatement_timeout=4000"},
                                      {"options", "--statement_timeout=4s -c a=b"}}) {
        ConsoleSettings settings;
        settings.begin(with(name, value));
        CHECK(settings.statement_timeout() == 4s);
    }
    ConsoleSettings settings;
    settings.begin(with("options", "-c statement_timeout=never"));
    CHECK(settings.statement_timeout() == 0s);
}
