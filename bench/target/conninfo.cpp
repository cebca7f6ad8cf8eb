#include "bench/target/conninfo.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

namespace bench {
namespace {

using protocol::SslMode;

constexpr std::array<std::string_view, 11> keywords{
    "host",        "hostaddr",         "port",           "user", "password", "dbname", "sslmode", "sslnegotiation",
    "sslrootcert", "application_name", "connect_timeout"};
constexpr int default_timeout = 10;
constexpr int longest_timeout = 3600;

bool is_keyword(std::string_view text) { return std::find(keywords.begin(), keywords.end(), text) != keywords.end(); }

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

[[noreturn]] void fail(const std::string& text) { throw std::invalid_argument(text); }

std::string in_double_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

/// Reads a conninfo from left to right.
class Parser {
   public:
    explicit Parser(std::string_view text) : rest_(text) {}

    bool at_end() {
        skip_space();
        return rest_.empty();
    }

    std::string keyword() {
        const auto end = std::find_if(rest_.begin(), rest_.end(), [](char c) { return c == '=' || is_space(c); });
        std::string name(rest_.begin(), end);
        rest_.remove_prefix(name.size());
        skip_space();
        // What stands here without a "=" may be a part of a password that was not quoted: it is not
        // repeated.
        if (rest_.empty() || rest_.front() != '=')
            fail("a keyword without \"=\": write keyword=value, and values with spaces in 'quotes'");
        rest_.remove_prefix(1);
        skip_space();
        return name;
    }

    std::string value() {
        const bool in_quotes = !rest_.empty() && rest_.front() == '\'';
        if (in_quotes) rest_.remove_prefix(1);
        std::string out;
        while (!rest_.empty() && !(in_quotes ? rest_.front() == '\'' : is_space(rest_.front()))) {
            if (rest_.front() == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
            out += rest_.front();
            rest_.remove_prefix(1);
        }
        if (!in_quotes) return out;
        if (rest_.empty()) fail("a quoted value without its closing \"'\"; inside quotes write \\' and \\\\");
        rest_.remove_prefix(1);
        return out;
    }

   private:
    void skip_space() {
        while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
    }

    std::string_view rest_;
};

int number(const Settings& settings, std::string_view keyword, int fallback, int most) {
    const auto found = settings.find(keyword);
    if (found == settings.end() || found->second.empty()) return fallback;
    const std::string& text = found->second;
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
        fail(std::string(keyword) + "=" + text + ": expected a number from 1 to " + std::to_string(most));
    }
    return value;
}

SslMode read_sslmode(const std::string& text) {
    const auto mode = protocol::parse_sslmode(text);
    if (mode == SslMode::prefer || mode == SslMode::allow) {
        fail("sslmode=" + text +
             " lets the server choose between TLS and clear text, so that two targets may be measured in different "
             "ways: "
             "say disable, require, verify-ca or verify-full");
    }
    if (!mode) fail("sslmode=" + text + ": expected disable, require, verify-ca or verify-full");
    return *mode;
}

config::SslNegotiation read_negotiation(const std::string& text) {
    if (text.empty() || text == "postgres") return config::SslNegotiation::postgres;
    if (text == "direct") return config::SslNegotiation::direct;
    fail("sslnegotiation=" + text + ": expected postgres (SSLRequest first) or direct");
}

Target make_target(std::string name, Settings settings) {
    const auto text = [&](std::string_view keyword, std::string fallback = "") {
        const auto found = settings.find(keyword);
        return found == settings.end() || found->second.empty() ? fallback : found->second;
    };
    Target target{
        .name = std::move(name),
        .host = text("host", text("hostaddr")),
        .hostaddr = text("hostaddr"),
        .port = static_cast<std::uint16_t>(number(settings, "port", 5432, 65535)),
        .user = text("user"),
        .password = text("password"),
        .dbname = text("dbname", text("user")),
        .sslmode = read_sslmode(text("sslmode", "verify-full")),
        .sslnegotiation = read_negotiation(text("sslnegotiation")),
        .sslrootcert = text("sslrootcert"),
        .application_name = text("application_name", "pgairlock-bench"),
        .connect_timeout = std::chrono::seconds(number(settings, "connect_timeout", default_timeout, longest_timeout)),
        .settings = {}};
    if (target.host.empty()) fail("host is missing: host=NAME, host=ADDRESS or host=/SOCKET/FOLDER");
    if (target.host.find(',') != std::string::npos) fail("host names several hosts: make each a target of its own");
    if (target.user.empty()) fail("user is missing: user=NAME, or --user NAME for all targets");
    if (target.sslnegotiation == config::SslNegotiation::direct && !target.encrypts())
        fail("sslnegotiation=direct needs an encrypting sslmode");
    if (target.encrypts() && target.sslmode >= SslMode::verify_ca && target.sslrootcert.empty())
        target.sslrootcert = "system";

    settings["sslmode"] = protocol::to_string(target.sslmode);
    settings["dbname"] = target.dbname;
    settings["application_name"] = target.application_name;
    settings["connect_timeout"] = std::to_string(target.connect_timeout.count());
    if (!target.sslrootcert.empty()) settings["sslrootcert"] = target.sslrootcert;
    target.settings = std::move(settings);
    return target;
}

}  // namespace

Settings parse_conninfo(std::string_view text) {
    if (text.starts_with("postgresql://") || text.starts_with("postgres://")) {
        fail(
            "connection URIs are not understood: write keyword=value pairs, such as host=db.example port=5432 "
            "user=app");
    }
    Settings settings;
    for (Parser parser(text); !parser.at_end();) {
        std::string keyword = parser.keyword();
        if (!is_keyword(keyword)) {
            std::string known;
            for (const std::string_view each : keywords) known += (known.empty() ? "" : ", ") + std::string(each);
            fail("unknown keyword " + in_double_quotes(keyword) + "; known are " + known);
        }
        settings[std::move(keyword)] = parser.value();
    }
    return settings;
}

Target parse_target(std::string_view text, const Settings& defaults) {
    const std::size_t equals = text.find('=');
    const std::string name(text.substr(0, equals));
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.';
    });
    if (equals == std::string_view::npos || name.empty() || !plain || is_keyword(name)) {
        fail(
            "a target is NAME=CONNINFO, such as direct='host=db.example port=5432 user=app'; NAME has letters, digits "
            "and -_. and is no keyword");
    }
    try {
        Settings settings = parse_conninfo(text.substr(equals + 1));
        settings.insert(defaults.begin(), defaults.end());
        return make_target(name, std::move(settings));
    } catch (const std::invalid_argument& error) {
        fail("target " + in_double_quotes(name) + ": " + error.what());
    }
}

std::string address_text(const Target& target) {
    const std::string port = std::to_string(target.port);
    if (target.is_unix_socket()) return target.host + "/.s.PGSQL." + port;
    return (target.host.find(':') != std::string::npos ? "[" + target.host + "]" : target.host) + ":" + port;
}

}  // namespace bench
