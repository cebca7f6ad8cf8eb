// What a message may say of a value: nothing of a secret, wherever in the configuration it stands.
#include "config/secret.hpp"

#include <utility>
#include <vector>

#include "config/load.hpp"
#include "config/settings.hpp"
#include "support/catch.hpp"

using config::shown;

namespace {

const std::string marker = "hunter2Zq";

std::string told_of(const std::string& text) {
    const config::Loaded loaded = config::load_text(text, "t");
    std::string told;
    for (const auto* const list : {&loaded.errors, &loaded.warnings}) {
        for (const config::Diagnostic& one : *list) told += to_string(one) + "\n";
    }
    return told;
}

/// Every string that could be mistaken for what a key wants, with the secret in it.
const std::vector<std::string> values{"postgresql://u:" + marker + "@h/db",
                                      " postgresql://u:" + marker + "@h/db",
                                      "Postgresql://u:" + marker + "@h/db",
                                      "postgres//u:" + marker + "@h/db",
                                      "mysql://u:" + marker + "@h",
                                      "postgresql://h/db?password=" + marker,
                                      "postgresql://u:" + marker + "/x@h/db",
                                      "host=h password=" + marker + " dbname=x",
                                      "host=h PASSWORD = " + marker,
                                      "u:" + marker + "@h:5432",
                                      "https://hooks.slack.com/services/T0/B0/" + marker,
                                      "https:/hooks.slack.com/services/" + marker,
                                      "/bin/x --token " + marker,
                                      "Bearer " + marker};

}  // namespace

TEST_CASE("secrets: what may hold one is shown by scheme and host, or by its length") {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"", "\"\""},
        {"db.example.com:5432", "\"db.example.com:5432\""},
        {"unix:/run/x/.s.PGSQL.5432", "\"unix:/run/x/.s.PGSQL.5432\""},
        {"/run/pgairlock@main/x.pem", "\"/run/pgairlock@main/x.pem\""},
        {"http_token_file", "\"http_token_file\""},
        {"/etc/pgairlock/webhook-token", "\"/etc/pgairlock/webhook-token\""},
        {"https://hooks.slack.com/services/T0", "\"https://hooks.slack.com/...\""},
        {"postgresql://u:p@w@db.example.com:5432/x", "\"postgresql://db.example.com/...\""},
        {"postgresql://u:p.w/x@db.example.com", "\"postgresql://...\""},
        {"postgresql://u:p@db.example.com/x?password=a@b.c", "\"postgresql://...\""},
        {"postgresql://secret", "\"postgresql://...\""},
        {" mysql://u:pw@h", "a value of 15 characters"},
        {"host=h password=pw", "a value of 18 characters"},
        {"--token=abc", "a value of 11 characters"},
        {"u:pw@h", "a value of 6 characters"},
        {"-----BEGIN PRIVATE KEY-----", "a value of 27 characters"},
    };
    for (const auto& [value, text] : cases) CHECK(shown(value) == text);
}

TEST_CASE("secrets: no message about a configuration has one") {
    const std::string upstream = "[upstream.a]\nhosts = 'a'\n";
    const std::vector<std::pair<std::string, std::vector<std::string>>> tables{
        {"[log]", {"level", "format", "file"}},
        {"[runtime]", {"threads", "drain_timeout", "state_dir", "name"}},
        {"[[listener]]", {"name", "listen", "upstream", "allow", "idle_timeout"}},
        {"[listener.tls]", {"mode", "cert_file", "key_file", "ca_file", "ssl_passphrase_command"}},
        {"[upstream.b]", {"hosts", "sslmode", "sslrootcert", "sslkey", "ssl_server_name", "ssl_sni", "tcp_keepalive"}},
        {"[auth]", {"scram", "users_file", "mock_authentication_nonce_file"}},
        {"[audit]", {"file", "inventory", "inventory_retention", "application_name_pattern"}},
        {"[audit.probe]", {"kinds", "candidate_cert_file", "candidate_key_file"}},
        {"[capture]", {"dir", "listeners", "max_file_size", "windows", "payload"}},
        {"[admin]", {"http", "http_token_file", "console", "console_uids"}},
        {"[[alert]]",
         {"name", "on", "webhook", "webhook_file", "command", "template", "template_file", "token_file", "listeners",
          "upstreams", "unknown"}},
    };
    for (const auto& [header, keys] : tables) {
        for (const std::string& key : keys) {
            for (const std::string& value : values) {
                const std::string begin = header == "[listener.tls]" ? "[[listener]]\n" + header : header;
                const std::string line = upstream + begin + "\n" + key + " = ";
                INFO(line << value);
                for (const std::string& text : {"'" + value + "'", "['" + value + "']", "'" + value, value,
                                                "'" + value + "' '", "['" + value + "'", "“" + value + "”"}) {
                    const std::string told = told_of(line + text + "\n");
                    INFO(told);
                    CHECK(told.find(marker) == std::string::npos);
                }
                const bool may_be_right = key == "ssl_passphrase_command" || key == "application_name_pattern" ||
                                          (key == "inventory" && value.starts_with("postgresql://"));
                if (!may_be_right) CHECK_FALSE(told_of(line + "'" + value + "'\n").empty());
            }
        }
    }
    for (const std::string& value : values) {
        INFO(value);
        for (const std::string& text :
             {"[upstream.'" + value + "']\nhosts = 'x@y'\nno = 1", "[upstream." + value + "]\nhosts = 'a'",
              "[upstream.'" + value + "'\nhosts = x", "[log]\n'" + value + "' = 1", "'" + value + "' = 1",
              "[[listener]]\nupstream = 'x'\n[upstream.'" + value + "']\nhosts = 'a'"}) {
            const std::string told = told_of(text + "\n");
            INFO(told);
            CHECK_FALSE(told.empty());
            CHECK(told.find(marker) == std::string::npos);
        }
    }
}

TEST_CASE("secrets: what stands for the file that should hold it is not shown, but a path is") {
    const std::string begin = "[upstream.a]\nhosts = 'a'\n";
    const std::vector<std::pair<std::string, std::string>> keys{{"[auth]", "users_file"},
                                                                {"[admin]", "http_token_file"},
                                                                {"[[alert]]", "token_file"},
                                                                {"[[alert]]", "webhook_file"},
                                                                {"[auth]", "mock_authentication_nonce_file"}};
    for (const auto& [header, key] : keys) {
        const std::string line = begin + header + "\n" + key + " = ";
        for (const std::string& value :
             {marker, marker + "/b+c==", "/" + marker, "/" + marker + "/x==", "eyJ." + marker, "a b " + marker}) {
            INFO(line << value);
            const std::string told = told_of(line + "'" + value + "'\n");
            CHECK(told.find(marker) == std::string::npos);
            CHECK(told.find(key + ": expected the path of a file that can be read, got a value of " +
                            std::to_string(value.size()) + " characters") != std::string::npos);
            CHECK(told_of(line + "'" + value + "\n").find(marker) == std::string::npos);
            CHECK(told_of(line + value + "\n").find(marker) == std::string::npos);
        }
        for (const char* const path : {"/etc/none/of/it", "./none", "none.txt"}) {
            const std::string told = told_of(line + "'" + path + "'\n");
            INFO(told);
            CHECK(told.find("cannot read \"") != std::string::npos);
            CHECK(told.find("none") != std::string::npos);
        }
    }
}

TEST_CASE("secrets: a connection string is no name of an inventory's file") {
    const std::string begin = "[upstream.a]\nhosts = 'a'\n[audit]\ninventory = ";
    for (const std::string& value : values) {
        INFO(value);
        const bool is_fleet = value.starts_with("postgresql://");
        const config::Loaded loaded = config::load_text(begin + "'" + value + "'\n", "t");
        CHECK(loaded.config.has_value() == is_fleet);
    }
    for (const char* const value : {"host=h", "u@h", "inventory.db ", " inventory.db"}) {
        INFO(value);
        CHECK(told_of(begin + "'" + value + "'\n").find("neither the path of a file") != std::string::npos);
    }
    for (const char* const value : {"", "inventory.db", "/var/lib/pgairlock@main/a=b.db", "my inventory.db"}) {
        INFO(value);
        CHECK(config::load_text(begin + "'" + value + "'\n", "t").config.has_value());
    }
}

TEST_CASE("secrets: settings show no command's arguments") {
    config::Config config;
    config.alerts.emplace_back().name = "a";
    config.alerts[0].command = {"/bin/x", "--token", marker};
    config.runtime.name = "host=h password=" + marker;
    for (const config::Setting& setting : config::settings(config)) {
        INFO(setting.key);
        CHECK(setting.value.find(marker) == std::string::npos);
    }
}
