// [[alert]]: what may be written, what is wrong, and what is never shown.
#include <algorithm>

#include "config/load.hpp"
#include "config/settings.hpp"
#include "config/web_url.hpp"
#include "support/catch.hpp"

namespace {

std::string with_alert(const std::string& keys) {
    return "[upstream.orders]\nhosts = \"127.0.0.1\"\n[[alert]]\n" + keys;
}

/// The first error.
std::string error_of(const std::string& keys) {
    const auto loaded = config::load_text(with_alert(keys), "/x.toml");
    return loaded.errors.empty() ? "none" : to_string(loaded.errors.front());
}

const std::string hook = "webhook = \"https://hooks.example.com/T0/B0/secret\"\n";

}  // namespace

TEST_CASE("alert: defaults, and words in the order of the file") {
    const auto loaded = config::load_text(with_alert(hook + R"(on = ["reload_failed", "new_weak_client"])"), "/x.toml");
    REQUIRE(loaded.config);
    REQUIRE(loaded.config->alerts.size() == 1);
    const config::Alert& alert = loaded.config->alerts.front();
    CHECK(alert.name == "alert-1");
    CHECK(alert.on == std::vector{config::AlertKind::reload_failed, config::AlertKind::new_weak_client});
    CHECK(alert.group_wait == std::chrono::seconds(5));
    CHECK(alert.send_resolved);
}

TEST_CASE("alert: mistakes are located, and say what was meant") {
    CHECK(error_of(hook + R"(on = ["new_weak_clients"])")
              .find("/x.toml:5:7: alert.on: \"new_weak_clients\" is not one of") == 0);
    CHECK(error_of(hook + R"(on = ["new_weak_clients"])").ends_with("did you mean \"new_weak_client\"?"));
    CHECK(error_of(hook).find("alert.on: is required") != std::string::npos);
    CHECK(error_of("on = \"started\"").find("exactly one is needed of webhook, webhook_file and command") !=
          std::string::npos);
    CHECK(error_of("on = \"started\"\ncommand = \"/bin/true\"\n" + hook).find("exactly one") != std::string::npos);
    CHECK(error_of("on = \"started\"\ncommand = \"true\"").find("not an absolute path") != std::string::npos);
    CHECK(error_of("on = \"started\"\ncommand = \"/no/such\"").find("No such file") != std::string::npos);
    CHECK(error_of("on = \"started\"\ncommand = \"/etc/passwd\"").find("execute") != std::string::npos);
    CHECK(error_of("on = \"started\"\nlisteners = [\"x\"]\n" + hook).find("expected \"orders\", got \"x\"") !=
          std::string::npos);
    CHECK(error_of("on = \"started\"\nname = \"../x\"\n" + hook).find("is not a name") != std::string::npos);
    CHECK(error_of("on = \"started\"\ncommand = \"/bin/true\"").starts_with("none"));
}

TEST_CASE("alert: who knows no clients knows no new ones") {
    const std::string text = "[audit]\ninventory = \"\"\n" + with_alert(hook + "on = \"new_weak_client\"");
    const auto loaded = config::load_text(text, "/x.toml");
    REQUIRE(loaded.errors.size() == 1);
    CHECK(loaded.errors[0].message.find("needs audit.inventory") != std::string::npos);
}

TEST_CASE("alert: a URL is verified TLS or of this host, and no error repeats it") {
    for (const char* const good :
         {"https://h.example/x?y=z", "https://h.example", "https://h.example:8443/", "https://[2001:db8::1]/",
          "http://127.0.0.1:9000/x", "http://[::1]/", "http://localhost/x"})
        CHECK(config::parse_web_url(good).url);
    for (const std::string bad :
         {"http://h.example/hush", "ftp://h.example/hush", "hush", "https://", "https:///hush",
          "https://u:hush@h.example/", "https://h.example/hu sh", "https://h.example:0/hush",
          "https://h.example:99999/hush", "http://10.0.0.1/hush", "https://h.example/hush\r\nX: y"}) {
        const auto parsed = config::parse_web_url(bad);
        CHECK_FALSE(parsed.url);
        CHECK_FALSE(parsed.error.empty());
        CHECK(parsed.error.find("hu") == std::string::npos);
    }
    const auto parsed = config::parse_web_url("https://h.example:8443?a=b#c");
    REQUIRE(parsed.url);
    CHECK(parsed.url->host == "h.example");
    CHECK(parsed.url->port == 8443);
    CHECK(parsed.url->target == "/?a=b");
}

TEST_CASE("alert: of a URL only scheme and host are shown") {
    const auto loaded = config::load_text(with_alert(hook + "on = \"started\"\nname = \"page\""), "/x.toml");
    REQUIRE(loaded.config);
    bool seen = false;
    for (const config::Setting& setting : config::settings(*loaded.config)) {
        CHECK(setting.value.find("secret") == std::string::npos);
        if (setting.key == "alert.page.webhook") seen = setting.value == "https://hooks.example.com/...";
    }
    CHECK(seen);
}
