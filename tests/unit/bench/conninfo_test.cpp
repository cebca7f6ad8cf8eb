#include "bench/target/conninfo.hpp"

#include <stdexcept>

#include "support/catch.hpp"

using bench::parse_conninfo;
using bench::parse_target;
using bench::Settings;
using bench::Target;
using protocol::SslMode;

namespace {

std::string error_of(const std::string& text, const Settings& defaults = {}) {
    try {
        parse_target(text, defaults);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a conninfo is read as libpq reads it") {
    CHECK(parse_conninfo("").empty());
    CHECK(parse_conninfo("  host = a\tport=1\n") == Settings{{"host", "a"}, {"port", "1"}});
    CHECK(parse_conninfo("password='two words'") == Settings{{"password", "two words"}});
    CHECK(parse_conninfo(R"(password='it\'s a \\ backslash')") == Settings{{"password", R"(it's a \ backslash)"}});
    CHECK(parse_conninfo(R"(password=a\ b\'c)") == Settings{{"password", "a b'c"}});
    CHECK(parse_conninfo("password='' user=x") == Settings{{"password", ""}, {"user", "x"}});
    CHECK(parse_conninfo("password=a=b") == Settings{{"password", "a=b"}});
    CHECK(parse_conninfo("user=a user=b") == Settings{{"user", "b"}});
}

TEST_CASE("what is missing in a target has libpq's defaults, but for sslmode") {
    const Target target = parse_target("direct=host=db.example user=app");
    CHECK(target.name == "direct");
    CHECK(target.host == "db.example");
    CHECK(target.port == 5432);
    CHECK(target.dbname == "app");
    CHECK(target.sslmode == SslMode::verify_full);
    CHECK(target.sslrootcert == "system");
    CHECK(target.sslnegotiation == config::SslNegotiation::postgres);
    CHECK(target.encrypts());
    CHECK(address_text(target) == "db.example:5432");
}

TEST_CASE("a target has all that its conninfo says") {
    const Target target = parse_target(
        "p.1=host=db hostaddr=::1 port=6432 user=u password=p dbname=d sslmode=require sslnegotiation=direct "
        "sslrootcert=ca.pem "
        "application_name=n connect_timeout=3");
    CHECK(target.hostaddr == "::1");
    CHECK(target.port == 6432);
    CHECK(target.password == "p");
    CHECK(target.dbname == "d");
    CHECK(target.sslmode == SslMode::require);
    CHECK(target.sslnegotiation == config::SslNegotiation::direct);
    CHECK(target.sslrootcert == "ca.pem");
    CHECK(target.application_name == "n");
    CHECK(target.connect_timeout == std::chrono::seconds(3));
}

TEST_CASE("defaults hold where the conninfo is silent") {
    const Settings defaults{{"user", "app"}, {"sslmode", "disable"}, {"password", "from PGPASSWORD"}};
    CHECK(parse_target("a=host=h", defaults).user == "app");
    CHECK(parse_target("a=host=h", defaults).password == "from PGPASSWORD");
    CHECK(parse_target("a=host=h password=own sslmode=require", defaults).password == "own");
    CHECK(parse_target("a=host=h password=own sslmode=require", defaults).sslmode == SslMode::require);
}

TEST_CASE("libpq is given the same settings") {
    const Settings settings = parse_target("a=host=h", {{"user", "app"}}).settings;
    CHECK(settings.at("sslmode") == "verify-full");
    CHECK(settings.at("sslrootcert") == "system");
    CHECK(settings.at("dbname") == "app");
    CHECK_FALSE(settings.contains("sslnegotiation"));
}

TEST_CASE("a folder as host is a UNIX-domain socket, which is never encrypted") {
    const Target target = parse_target("a=host=/run/postgresql user=app sslmode=verify-full");
    CHECK(target.is_unix_socket());
    CHECK_FALSE(target.encrypts());
    CHECK(address_text(target) == "/run/postgresql/.s.PGSQL.5432");
}

TEST_CASE("an IPv6 address is shown in brackets") {
    CHECK(address_text(parse_target("a=host=::1 user=u")) == "[::1]:5432");
}

TEST_CASE("a target without a name is told how to get one") {
    for (const std::string text : {"host=db.example port=1", "db.example", "", "=host=a", "a b=host=c"}) {
        CAPTURE(text);
        CHECK(contains(error_of(text), "a target is NAME=CONNINFO"));
    }
}

TEST_CASE("errors name the target, what is wrong and what would be right") {
    CHECK(contains(error_of("a=user=u"), "target \"a\": host is missing: host=NAME"));
    CHECK(contains(error_of("a=host=h"), "user is missing: user=NAME, or --user"));
    CHECK(contains(error_of("a=host=h user=u port=x"), "port=x: expected a number from 1 to 65535"));
    CHECK(contains(error_of("a=host=h user=u port=65536"), "expected a number"));
    CHECK(contains(error_of("a=host=h user=u port=0"), "expected a number"));
    CHECK(contains(error_of("a=host=h user=u sslmode=full"),
                   "sslmode=full: expected disable, require, verify-ca or verify-full"));
    CHECK(contains(error_of("a=host=h user=u sslmode=prefer"), "lets the server choose"));
    CHECK(contains(error_of("a=host=h user=u sslmode=allow"), "lets the server choose"));
    CHECK(contains(error_of("a=host=h user=u sslnegotiation=x"), "expected postgres (SSLRequest first) or direct"));
    CHECK(contains(error_of("a=host=h user=u sslmode=disable sslnegotiation=direct"), "needs an encrypting sslmode"));
    CHECK(contains(error_of("a=host=h,i user=u"), "several hosts"));
    CHECK(contains(error_of("a=hots=h"), "unknown keyword \"hots\"; known are host, "));
    CHECK(contains(error_of("a=postgresql://h/d"), "connection URIs are not understood"));
    CHECK(contains(error_of("a=password='x"), "without its closing"));
}

TEST_CASE("an error never repeats a password") {
    for (const std::string text :
         {"a=host=h password=se cret", "a=password='secret", "a=user=u password=secret port=x", "a=password=secret"}) {
        CAPTURE(text);
        CHECK_FALSE(error_of(text).empty());
        CHECK_FALSE(contains(error_of(text), "cret"));
    }
}
