// docs/alerts.md: each word of `on` with what is sent, the audit's event, rules for Prometheus, and
// what to do. The code, docs/config.md and the rules are held to it, and it to them.
#include <array>
#include <boost/json.hpp>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "config/keys.hpp"
#include "proxy/alert/alert_groups.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using config::AlertKind;
using proxy::AlertGroups;
using proxy::AlertMessage;
using proxy::Event;
using proxy::EventKind;
namespace json = boost::json;

std::string text_of_file(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    REQUIRE_FALSE(text.str().empty());
    return text.str();
}

const AlertMessage::Time at_night = AlertMessage::Time(std::chrono::seconds(1'796'004'000));

std::shared_ptr<const tls::CertificateFacts> certificate_of_orders() {
    return std::make_shared<const tls::CertificateFacts>(tls::CertificateFacts{.subject = "CN=db1.example.com",
                                                                               .issuer = "CN=Database CA 2027",
                                                                               .sans = {},
                                                                               .serial = "0a1b",
                                                                               .sha256 = "5d41",
                                                                               .end_point = {},
                                                                               .not_before = {},
                                                                               .not_after = at_night + 24h * 12});
}

Event of_client(EventKind kind, const std::string& message = {}) {
    Event event{.kind = kind, .message = message};
    event.record.session = "7a0f3c52b1d9-42";
    event.record.listener = "legacy";
    event.record.upstream = "orders";
    event.record.client_addr = "10.0.0.7";
    event.record.client_port = 40312;
    event.record.usename = "app";
    event.record.datname = "shop";
    event.record.application_name = "psql";
    return event;
}

Event of_server(EventKind kind, const std::string& message = {}) {
    Event event{.kind = kind, .message = message};
    event.record.upstream = "orders";
    event.record.upstream_addr = "10.0.1.5:5432";
    if (kind != EventKind::upstream_failed) event.record.upstream_tls.leaf = certificate_of_orders();
    return event;
}

Event of_capture(EventKind kind) {
    Event event{.kind = kind};
    event.capture = std::make_shared<const proxy::CaptureNote>(
        proxy::CaptureNote{.id = 3,
                           .by = "ada (uid 1000)",
                           .payload = "redacted",
                           .trigger = "always",
                           .filter = "users=app",
                           .where = "/var/lib/pgairlock/captures",
                           .until = {},
                           .reason = kind == EventKind::capture_stopped ? "duration" : ""});
    return event;
}

Event sample(AlertKind kind) {
    switch (kind) {
        case AlertKind::new_weak_client: return of_client(EventKind::new_weak_client);
        case AlertKind::client_changed:
            return of_client(EventKind::client_changed, "sslmode was prefer, is verify-full");
        case AlertKind::client_weakened: {
            Event event = of_client(EventKind::client_changed, "sslmode was verify-full, is disable");
            event.weaker = true;
            return event;
        }
        case AlertKind::certificate_expiring:
            return of_server(EventKind::certificate_expiring,
                             "the certificate of a server ends in 12 days, on 2026-12-12T06:00:00Z");
        case AlertKind::upstream_certificate: {
            Event event = of_server(EventKind::upstream_certificate);
            proxy::ShownCertificate before;
            before.issuer = "CN=Database CA 2023";
            event.shown_before = std::make_shared<const proxy::ShownCertificate>(before);
            return event;
        }
        case AlertKind::upstream_unverified: {
            Event event = of_server(EventKind::upstream_failed, "certificate verify failed");
            event.verify_error = "unable to get local issuer certificate";
            return event;
        }
        case AlertKind::upstream_failed:
            return of_server(EventKind::upstream_failed, "10.0.1.5:5432: Connection refused");
        case AlertKind::host_role_changed: {
            Event event = of_server(EventKind::host_role_changed);
            event.role = std::make_shared<const proxy::RoleNote>(proxy::RoleNote{.host = "db-1.internal:5432",
                                                                                 .before = protocol::HostRole::standby,
                                                                                 .now = protocol::HostRole::primary,
                                                                                 .source = "monitor"});
            return event;
        }
        case AlertKind::reload_failed:
            return {.kind = EventKind::reload_failed,
                    .message = "/etc/pgairlock/pgairlock.toml:12:1: upstream.orders.sslmod: unknown key"};
        case AlertKind::events_dropped: return {.kind = EventKind::events_dropped, .count = 317};
        case AlertKind::inventory_failed:
            return {.kind = EventKind::inventory_failed,
                    .message = "the inventory /var/lib/pgairlock/inventory.db cannot be written: database is locked"};
        case AlertKind::capture_started: return of_capture(EventKind::capture_started);
        case AlertKind::capture_stopped: return of_capture(EventKind::capture_stopped);
        case AlertKind::console_command:
            return {.kind = EventKind::console_command, .message = "RELOAD", .by = "ada (uid 1000)"};
        case AlertKind::started: return {.kind = EventKind::started, .message = "pgairlock 0.1.0, 2 threads"};
        case AlertKind::stopping: return {.kind = EventKind::stopping, .message = "SIGTERM"};
    }
    return {};
}

config::Alert chat(AlertKind kind) {
    config::Alert settings;
    settings.name = "chat";
    settings.on = {kind};
    return settings;
}

/// What is sent of that, laid out as in the page, with some members of the audit's lines.
std::string laid_out(const AlertMessage& message) {
    constexpr std::array shown_of_events{"ts",      "event",   "session", "listener",    "upstream",
                                         "usename", "subject", "message", "error",       "count",
                                         "capture", "by",      "reason",  "verify_error"};
    proxy::AlertRoute route;
    route.settings = chat(message.kind);
    const json::object body = json::parse(alert_body(message, route, "app1")).as_object();
    std::string lines = "{";
    for (const auto& [name, value] : body) {
        if (name == "title" || name == "text" || name == "upstream" || name == "events") lines += "\n ";
        if (lines.ends_with(", \n ")) lines.replace(lines.size() - 4, 4, ",\n ");
        lines += "\"" + std::string(name) + "\": ";
        if (name != "events") {
            lines += json::serialize(value) + ", ";
            continue;
        }
        lines += "[";
        for (const json::value& event : value.as_array()) {
            std::string members;
            for (const char* const member : shown_of_events) {
                const json::value* const there = event.as_object().if_contains(member);
                if (!there || there->is_null()) continue;
                members += (members.empty() ? "\"" : ", \"") + std::string(member) + "\": " + json::serialize(*there);
            }
            lines += "{" + members + "}";
        }
        lines += "]}";
    }
    return "```json\n" + lines + "\n```\n";
}

std::vector<AlertMessage> told(AlertKind kind, const std::vector<Event>& events) {
    AlertGroups groups([next = 0]() mutable { return "5f0c1d2e9a7b3c48-00000" + std::to_string(++next); });
    AlertGroups::Clock::time_point now{};
    std::vector<AlertMessage> all;
    for (Event event : events) {
        event.time = at_night + (now - AlertGroups::Clock::time_point{});
        groups.notice(event, chat(kind), "app1", now);
        for (AlertMessage& message : groups.take(now, 10, true).ready) all.push_back(std::move(message));
        now += 310s;
    }
    return all;
}

struct Row {
    std::set<std::string> events, rules;
    std::string what_to_do;
};

std::set<std::string> found_in(const std::string& text, const std::regex& pattern) {
    std::set<std::string> all;
    for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at) all.insert((*at)[1]);
    return all;
}

std::map<std::string, Row> table(const std::string& page) {
    const std::size_t begin = page.find("| word | event in the audit | rules for Prometheus | what to do |\n");
    REQUIRE(begin != std::string::npos);
    std::istringstream lines(page.substr(begin));
    std::map<std::string, Row> rows;
    std::string line;
    std::getline(lines, line);
    std::getline(lines, line);
    while (std::getline(lines, line) && line.starts_with("| ")) {
        std::vector<std::string> cells;
        for (std::size_t at = 2, end = 0; (end = line.find(" |", at)) != std::string::npos; at = end + 3)
            cells.push_back(line.substr(at, end - at));
        REQUIRE(cells.size() == 4);
        CAPTURE(line);
        const std::string word = cells[0].substr(1, cells[0].size() - 2);
        CHECK(rows.try_emplace(word, Row{.events = found_in(cells[1], std::regex("`([a-z_]+)`")),
                                         .rules = found_in(cells[2], std::regex("`(Pgairlock\\w+)`")),
                                         .what_to_do = cells[3]})
                  .second);
    }
    return rows;
}

}  // namespace

TEST_CASE("docs/alerts.md: what is sent of each word is what it says") {
    const std::string page = text_of_file(DOCS "/alerts.md");
    for (std::size_t i = 0; i < config::names<AlertKind>().size(); ++i) {
        const auto kind = static_cast<AlertKind>(i);
        const auto messages = told(kind, {sample(kind)});
        REQUIRE(messages.size() == 1);
        const std::string expected = laid_out(messages.front());
        CAPTURE(expected);
        CHECK(page.find("`" + std::string(proxy::to_string(kind)) + "`:\n\n" + expected) != std::string::npos);
    }
}

TEST_CASE("docs/alerts.md: what is sent of an end, and of a test, is what it says") {
    const std::string page = text_of_file(DOCS "/alerts.md");
    Event works = of_client(EventKind::connected);
    const auto kind = AlertKind::upstream_unverified;
    const auto messages = told(kind, {sample(kind), works});
    REQUIRE(messages.size() == 2);
    const std::string end = laid_out(messages.back());
    const std::string test = laid_out(proxy::test_message(
        "test-1f6b02c493de87a5", {AlertKind::new_weak_client, AlertKind::certificate_expiring}, at_night));
    CAPTURE(end, test);
    CHECK(page.find(end) != std::string::npos);
    CHECK(page.find(test) != std::string::npos);
}

TEST_CASE("docs/alerts.md: the table has each word with its events, rules that there are, and what to do") {
    const std::string page = text_of_file(DOCS "/alerts.md");
    const auto rules = found_in(text_of_file(DOCS "/../deploy/prometheus/pgairlock.rules.yml"),
                                std::regex("- alert: (Pgairlock\\w+)"));
    REQUIRE(rules.size() > 20);
    const auto rows = table(page);
    const std::string keys = text_of_file(DOCS "/config.md");
    std::set<std::string> named;
    for (std::size_t i = 0; i < config::names<AlertKind>().size(); ++i) {
        const auto kind = static_cast<AlertKind>(i);
        const std::string word(proxy::to_string(kind));
        CAPTURE(word);
        REQUIRE(rows.contains(word));
        const Row& row = rows.at(word);
        CHECK(keys.find("`" + word + "`") != std::string::npos);
        CHECK(row.events.size() == 1);
        for (std::size_t number = 0; number < proxy::event_kinds; ++number) {
            const Event one{.kind = static_cast<EventKind>(number), .verify_error = "refused", .weaker = true};
            CHECK(row.events.contains(std::string(proxy::label(one.kind))) == proxy::concerns(kind, one));
        }
        for (const std::string& rule : row.rules) CHECK(rules.contains(rule));
        CHECK(row.what_to_do.size() > 20);
        named.insert(row.rules.begin(), row.rules.end());
    }
    CHECK(rows.size() == config::names<AlertKind>().size());
    // Rules that no word stands for are named as such: none is forgotten.
    const std::size_t begin = page.find("No word stands for ");
    REQUIRE(begin != std::string::npos);
    const auto others = found_in(page.substr(begin, page.find("\n\n", begin) - begin), std::regex("`(Pgairlock\\w+)`"));
    for (const std::string& rule : others) CHECK_FALSE(named.contains(rule));
    named.insert(others.begin(), others.end());
    CHECK(named == rules);
}
