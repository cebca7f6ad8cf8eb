#include "bench/replay/guarded_settings.hpp"
#include "bench/replay/opening_of.hpp"
#include "support/catch.hpp"

using namespace bench::replay;
using Parameters = std::vector<std::pair<std::string, std::string>>;

namespace {

std::string options_left(const std::string& options) {
    protocol::StartupMessage startup{.version = 3 << 16, .parameters = {{"options", options}}};
    remove_guarded(startup);
    return std::string(startup.find("options"));
}

}  // namespace

TEST_CASE("startup parameters that lift the read-only mode or change who runs are taken out") {
    for (const char* name : {"default_transaction_read_only", "Default_Transaction_Read_Only", "transaction_read_only",
                             "session_authorization", "role", "ROLE", "standard_conforming_strings",
                             "session_preload_libraries", "local_preload_libraries"}) {
        INFO(name);
        protocol::StartupMessage startup{.version = 3 << 16, .parameters = {{"user", "a"}, {name, "off"}}};
        CHECK(remove_guarded(startup));
        CHECK(startup.parameters == Parameters{{"user", "a"}});
    }
    protocol::StartupMessage harmless{.version = 3 << 16, .parameters = {{"user", "role"}, {"DateStyle", "ISO"}}};
    CHECK_FALSE(remove_guarded(harmless));
    CHECK(harmless.parameters.size() == 2);
}

TEST_CASE("options keep what is not guarded, in each of their spellings") {
    CHECK(options_left("-c work_mem=3MB") == "-c work_mem=3MB");
    CHECK(options_left("-cwork_mem=3MB --geqo=off") == "-cwork_mem=3MB --geqo=off");
    CHECK(options_left("-c a.b=x\\ y\\\\z") == "-c a.b=x\\ y\\\\z");
    for (const char* guarded :
         {"-c default_transaction_read_only=off", "-cdefault_transaction_read_only=off",
          "--default-transaction-read-only=off", "--Default_transaction-read_only=off", "-c role=a",
          "-c session_authorization=a", "-c def\\ault_transaction_read_only=off",
          "-Ec default_transaction_read_only=off", "-c search_path=public,pg_catalog", "-c", "-c nothing", "-O"}) {
        INFO(guarded);
        CHECK(options_left(guarded).empty());
        CHECK(options_left("-c a.b=1 " + std::string(guarded)) == "-c a.b=1");
    }
}

TEST_CASE("a search_path may not put anything before pg_catalog") {
    for (const char* path :
         {"", "a", "\"$user\", public", "pg_catalog", "pg_catalog, a", "\"pg_catalog\",a", "''", " PG_CATALOG ,a"}) {
        INFO(path);
        CHECK_FALSE(hides_pg_catalog(path));
    }
    for (const char* path : {"a, pg_catalog", "a,\"pg_catalog\"", "a, PG_CATALOG", "'a', 'pg_catalog'",
                             "pg_catalogs, pg_catalog", "\"PG_CATALOG\", a, pg_catalog", "\"pg_catalog \",a,pg_catalog",
                             "\"pg-catalog\", a, pg_catalog", "\"pg_catalog\"\",x\", a, pg_catalog", "\"pg_catalog"}) {
        INFO(path);
        CHECK(hides_pg_catalog(path));
    }
}

TEST_CASE("the read-only mode is the last word of a startup message") {
    const ReplayTarget target{.route =
                                  std::make_unique<bench::Route>(bench::parse_target("t=host=127.0.0.1 user=u", {}))};
    CapturedSession session;
    session.plan.startup = protocol::StartupMessage{
        .version = 3 << 16, .parameters = {{"user", "a"}, {"options", "-c work_mem=3MB"}, {"DateStyle", "ISO"}}};
    const auto said = [&](const PlayRules& rules) {
        const auto bytes = opening_of(target, session, rules).startup_message;
        return std::get<protocol::StartupMessage>(protocol::parse_opening(bytes)).parameters;
    };
    const Parameters captured{{"user", "a"}, {"database", "a"}, {"options", "-c work_mem=3MB"}, {"DateStyle", "ISO"}};
    Parameters read_only = captured;
    read_only.emplace_back("standard_conforming_strings", "on");
    read_only.emplace_back("default_transaction_read_only", "on");
    CHECK(said({}) == read_only);
    CHECK(said({.writes = true}) == captured);
    CHECK(said({.openings = true}) == captured);
}

TEST_CASE("each session has the password of its user and database, unless the target names one") {
    ReplayTarget target{.route =
                            std::make_unique<bench::Route>(bench::parse_target("t=host=127.0.0.1 port=1 user=u", {}))};
    target.passwords = "127.0.0.1:1:shop:ada:one\n127.0.0.1:1:*:bob:two\n";
    const auto password = [&](const std::string& user, const std::string& database) {
        CapturedSession session;
        session.plan.startup =
            protocol::StartupMessage{.version = 3 << 16, .parameters = {{"user", user}, {"database", database}}};
        return opening_of(target, session, {}).password;
    };
    CHECK(password("ada", "shop") == "one");
    CHECK(password("ada", "other").empty());
    CHECK(password("bob", "other") == "two");
    target.names_user = true;  // u
    CHECK(password("ada", "shop").empty());
}

TEST_CASE(
    "an opening offers the groups and versions of its ClientHello, and is left out where OpenSSL has none of them") {
    ReplayTarget target{
        .route = std::make_unique<bench::Route>(bench::parse_target("t=host=127.0.0.1 user=u sslmode=require", {}))};
    target.groups.has = [](const std::string& name) { return name == "X25519" || name == "P-256"; };
    CapturedSession session;
    session.facts.failed = "tls_failed";
    session.offer = TlsOffer{.lowest = 0x0302, .highest = 0x0303, .groups = {0x0a0a, 29, 23}, .key_shares = {29}};
    const PlayRules openings{.openings = true};
    const bench::Opening opening = opening_of(target, session, openings);
    CHECK(opening.groups == "X25519:P-256");
    CHECK(opening.tls_lowest == 0x0302);
    CHECK(opening.tls_highest == 0x0303);
    CHECK(opening.handshake_only);
    CHECK(groups_of(target, session, openings)->left_out == std::vector<std::string>{"GREASE"});
    CHECK(cannot_open(target, session, openings).empty());
    session.offer->groups = {4588};
    CHECK(cannot_open(target, session, openings) == "this OpenSSL has none of the TLS groups that it had offered");
    CHECK(cannot_open(target, session, {}) == "its TLS failed: that is played by --openings");
}
