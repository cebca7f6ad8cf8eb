// A key in a table where it is not known is told where it belongs.
#include "config/known_key.hpp"

#include <string>
#include <vector>

#include "config/load.hpp"
#include "support/catch.hpp"

namespace {

/// The one error about `line` in a file that is right otherwise.
std::string told(const std::string& line) {
    const std::string text = line + "\n[upstream.a]\nhosts = 'a:1'\n";
    const auto errors = config::load_text(text, "t").errors;
    REQUIRE(errors.size() == 1);
    return to_string(errors.front());
}

}  // namespace

TEST_CASE("a key that stands in the wrong table is told its own") {
    CHECK(told("[runtime]\nsslcrl = 'x'") == "t:2:1: runtime.sslcrl: unknown key; it belongs to [upstream.NAME]");
    CHECK(told("[runtime]\nlisten = ':1'") == "t:2:1: runtime.listen: unknown key; it belongs to [[listener]]");
    CHECK(told("[[listener]]\nmode = 'allow'") == "t:2:1: listener.mode: unknown key; it belongs to [listener.tls]");
    CHECK(told("[log]\ndrain_timeout = '30s'") == "t:2:1: log.drain_timeout: unknown key; it belongs to [runtime]");
    CHECK(told("[log]\ndrain_timeot = '30s'") ==
          "t:2:1: log.drain_timeot: unknown key; did you mean \"drain_timeout\" of [runtime]?");
    CHECK(told("[runtime]\nlevel = 'info'") == "t:2:1: runtime.level: unknown key; it belongs to [log]");
    CHECK(told("[capture]\nname = 'x'").find("[runtime], ") != std::string::npos);
}

TEST_CASE("words of libpq that are no keys are told what there is instead") {
    CHECK(told("[runtime]\nport = 1") ==
          "t:2:1: runtime.port: unknown key; a port is a part of the address: hosts = \"HOST:PORT\", "
          "listen = \"ADDRESS:PORT\"");
    CHECK(told("[auth]\nsslcrldir = 'x'") ==
          "t:2:1: auth.sslcrldir: unknown key; [upstream.NAME] has sslcrl, which takes files");
}

TEST_CASE("a key above all tables, and a table that stands alone, are told where they belong") {
    CHECK(told("level = 'info'") ==
          "t:1:1: level: unknown key: it belongs to [log] (the table's header stands above its keys)");
    CHECK(told("[tls]\nmode = 'allow'") == "t:1:2: tls: unknown table; it belongs to [listener.tls]");
    CHECK(told("[probe]") == "t:1:2: probe: unknown table; it belongs to [audit.probe]");
    CHECK(told("colour = 'red'").find("every key belongs to one of the tables log, runtime") != std::string::npos);
}

TEST_CASE("every key of the file is known by its table") {
    CHECK(config::known_keys().size() > 100);
    CHECK(config::tables_of("core_dumps") == "[runtime]");
    CHECK(config::tables_of("no_such_key").empty());
    CHECK(config::nearest_of_all("max_connection")->name == "max_connections");
    for (const config::KnownKey& key : config::known_keys()) {
        INFO(key.header << " " << key.name);
        CHECK_FALSE(config::tables_of(key.name).empty());
        if (key.name == "webhook" || key.name == "inventory" || key.name == "ssl_passphrase_command")
            CHECK(key.is_secret);
    }
}
