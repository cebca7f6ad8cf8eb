// A configuration as text, key by key.
#include "config/settings.hpp"

#include <algorithm>

#include "config/load.hpp"
#include "support/catch.hpp"

namespace {

std::string value_of(const std::vector<config::Setting>& settings, std::string_view key) {
    const auto found = std::find_if(settings.begin(), settings.end(),
                                    [key](const config::Setting& setting) { return setting.key == key; });
    return found == settings.end() ? "none" : found->value;
}

}  // namespace

TEST_CASE("settings: values of every kind are shown as they are written") {
    config::Config config;
    config.runtime.threads = 3;
    config.log.level = config::LogLevel::debug;
    config.audit.chain = true;
    config.listeners.emplace_back().name = "main";
    config.listeners[0].listen = {*config::parse_address("127.0.0.1:6432"),
                                  *config::parse_address("unix:/x/.s.PGSQL.1")};
    config.listeners[0].allow = {*config::parse_cidr("10.0.0.0/8")};
    config.listeners[0].tls.certificate.resize(1);
    config.listeners[0].tls.certificate[0].server_names = {"a", "b"};
    config.upstreams.emplace_back().name = "orders";
    const auto settings = config::settings(config);
    CHECK(value_of(settings, "runtime.threads") == "3");
    CHECK(value_of(settings, "log.level") == "debug");
    CHECK(value_of(settings, "audit.chain") == "true");
    CHECK(value_of(settings, "runtime.drain_timeout") == "30000ms");
    CHECK(value_of(settings, "listener.main.listen") == "127.0.0.1:6432, unix:/x/.s.PGSQL.1");
    CHECK(value_of(settings, "listener.main.allow") == "10.0.0.0/8");
    CHECK(value_of(settings, "listener.main.tls.mode") == "allow");
    CHECK(value_of(settings, "listener.main.tls.ssl_min_protocol_version") == "TLSv1.2");
    CHECK(value_of(settings, "listener.main.tls.ssl_max_protocol_version").empty());
    CHECK(value_of(settings, "listener.main.tls.certificate.1.server_names") == "a, b");
    CHECK(value_of(settings, "upstream.orders.sslmode") == "verify-full");
    CHECK(value_of(settings, "capture.payload") == "redacted");
    CHECK(value_of(settings, "audit.probe.kinds") == "untrusted, wrong-name, candidate");
}

TEST_CASE("settings: a password within a URL is left out, wherever it stands") {
    config::Config config;
    config.audit.inventory = "postgresql://spy:hush@db.internal:5432/fleet?password=hush&sslmode=require";
    CHECK(value_of(config::settings(config), "audit.inventory") == "postgresql://db.internal:5432/fleet");
    config.audit.inventory = "postgresql://spy:hu@sh@db.internal/fleet";
    CHECK(value_of(config::settings(config), "audit.inventory") == "postgresql://db.internal/fleet");
    for (const char* const odd : {"postgresql://u:hu?sh@db/fleet", "postgresql://db/fleet?user=a@b&password=hush"}) {
        config.audit.inventory = odd;
        CHECK(value_of(config::settings(config), "audit.inventory") == "postgresql://...");
    }
    config.audit.inventory = "postgresql:///fleet?host=/run&password=hush";
    CHECK(value_of(config::settings(config), "audit.inventory") == "postgresql:///fleet");
}

TEST_CASE("settings: each says its default, and whether a reload takes it up") {
    for (const config::Setting& setting : config::settings({})) {
        if (setting.key == "runtime.threads") CHECK_FALSE(setting.reloadable);
        if (setting.key == "runtime.max_connections") {
            CHECK(setting.reloadable);
            CHECK(setting.default_value == "10000");
        }
    }
}

TEST_CASE("settings: a command that may hold a secret is not shown, only that there is one") {
    config::Config config;
    config.listeners.emplace_back().name = "main";
    config.upstreams.emplace_back().name = "orders";
    CHECK(value_of(config::settings(config), "listener.main.tls.ssl_passphrase_command").empty());
    config.listeners[0].tls.ssl_passphrase_command = "echo secret";
    config.upstreams[0].ssl_passphrase_command = "echo secret";
    CHECK(value_of(config::settings(config), "listener.main.tls.ssl_passphrase_command") == "...");
    CHECK(value_of(config::settings(config), "upstream.orders.ssl_passphrase_command") == "...");
}
