#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "proxy/metrics/event_metrics.hpp"
#include "proxy/metrics/exposition.hpp"
#include "support/catch.hpp"

using namespace proxy;
using namespace std::chrono_literals;
using Format = Exposition::Format;

namespace {

Event event_of(EventKind kind, const std::string& listener = "legacy") {
    Event event{.kind = kind};
    event.record.session = "0123456789ab-7";
    event.record.listener = listener;
    event.record.upstream = "orders";
    return event;
}

Event connected_in_clear(const std::string& listener = "legacy") {
    Event event = event_of(EventKind::connected, listener);
    event.record.evidence = {protocol::Evidence::clear_startup};
    event.record.upstream_addr = "10.0.0.1:5432";
    event.record.timings.total = 3ms;
    return event;
}

}  // namespace

// --- The list

TEST_CASE("metrics have names that Prometheus takes, once each, and counters alone end in _total") {
    std::set<std::string_view> names;
    std::size_t position = 0;
    for (const MetricInfo& metric : all_metrics()) {
        INFO(metric.name);
        CHECK(static_cast<std::size_t>(metric.metric) == position++);
        CHECK(names.insert(metric.name).second);
        CHECK((metric.name.starts_with("pgairlock_") || metric.name.starts_with("process_")));
        CHECK(metric.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos);
        CHECK(metric.name.ends_with("_total") == (metric.kind == MetricKind::counter));
        CHECK(metric.help.find_first_of("\n\\|") == std::string_view::npos);
        CHECK(metric.help.ends_with('.'));
    }
    CHECK(position == static_cast<std::size_t>(Metric::process_max_fds) + 1);
}

TEST_CASE("docs/metrics.md has each metric as the list has it, and no other") {
    std::ifstream file(DOCS "/metrics.md");
    std::ostringstream text;
    text << file.rdbuf();
    const std::string page = text.str();
    for (const MetricInfo& metric : all_metrics()) {
        INFO(documentation(metric));
        CHECK(page.find("\n" + documentation(metric) + "\n") != std::string::npos);
    }
    std::size_t rows = 0;
    for (std::size_t at = page.find("\n| `p"); at != std::string::npos; at = page.find("\n| `p", at + 1)) ++rows;
    CHECK(rows == all_metrics().size());
}

// --- Text

TEST_CASE("a counter and a gauge in Prometheus' format") {
    Exposition out(Format::text);
    out.begin(Metric::client_connections_total);
    out.sample({"legacy", "true", "no"}, std::uint64_t{18446744073709551615ULL});
    out.begin(Metric::config_last_reload_successful);
    out.sample({}, std::uint64_t{1});
    CHECK(std::move(out).finish() ==
          "# HELP pgairlock_client_connections_total " + std::string(info(Metric::client_connections_total).help) +
              "\n# TYPE pgairlock_client_connections_total counter\n"
              "pgairlock_client_connections_total{listener=\"legacy\",ssl=\"true\",verifies=\"no\"} "
              "18446744073709551615\n"
              "# HELP pgairlock_config_last_reload_successful " +
              std::string(info(Metric::config_last_reload_successful).help) +
              "\n# TYPE pgairlock_config_last_reload_successful gauge\n"
              "pgairlock_config_last_reload_successful 1\n");
}

TEST_CASE("names of the configuration are escaped in labels, and bytes that are no UTF-8 never leave") {
    Exposition out(Format::text);
    out.begin(Metric::client_connections);
    out.sample({"a\"b\\c\nd\xff"}, std::uint64_t{1});
    const std::string text = std::move(out).finish();
    CHECK(text.find("{listener=\"a\\\"b\\\\c\\nd") != std::string::npos);
    CHECK(text.find('\xff') == std::string::npos);
}

TEST_CASE("a histogram is cumulative, and its last bucket is its count") {
    Histogram histogram;
    const auto now = std::chrono::system_clock::time_point(1700000000s);
    histogram.observe(1ms, "one", now);  // a bucket's end belongs to it
    histogram.observe(1001us, "two", now);
    histogram.observe(2min, "three", now);
    Exposition out(Format::text);
    out.begin(Metric::login_seconds);
    out.sample({"l"}, histogram);
    const std::string text = std::move(out).finish();
    const auto has = [&](const std::string& line) {
        INFO(line << " in\n" << text);
        CHECK(text.find("\n" + line + "\n") != std::string::npos);
    };
    has("pgairlock_login_seconds_bucket{listener=\"l\",le=\"0.001\"} 1");
    has("pgairlock_login_seconds_bucket{listener=\"l\",le=\"0.0025\"} 2");
    has("pgairlock_login_seconds_bucket{listener=\"l\",le=\"60\"} 2");
    has("pgairlock_login_seconds_bucket{listener=\"l\",le=\"+Inf\"} 3");
    has("pgairlock_login_seconds_sum{listener=\"l\"} 120.002001");
    has("pgairlock_login_seconds_count{listener=\"l\"} 3");
    CHECK(text.find("one") == std::string::npos);
}

TEST_CASE("OpenMetrics has exemplars, canonical numbers, counters without their suffix, and an end") {
    Histogram histogram;
    histogram.observe(500ms, "0123456789ab-7", std::chrono::system_clock::time_point(1700000000250ms));
    Exposition out(Format::openmetrics);
    out.begin(Metric::login_seconds);
    out.sample({"l"}, histogram);
    out.begin(Metric::reloads_total);
    out.sample({"success"}, std::uint64_t{2});
    const std::string text = std::move(out).finish();
    CHECK(text.find("le=\"0.5\"} 1 # {session=\"0123456789ab-7\"} 0.5 1700000000.250\n") != std::string::npos);
    CHECK(text.find("le=\"1.0\"} 1\n") != std::string::npos);
    CHECK(text.find("# TYPE pgairlock_reloads counter\npgairlock_reloads_total{result=\"success\"} 2\n# EOF\n") !=
          std::string::npos);
}

TEST_CASE("in OpenMetrics no two families share a name") {
    Exposition out(Format::openmetrics);
    for (const MetricInfo& metric : all_metrics()) out.begin(metric.metric);
    std::istringstream text(std::move(out).finish());
    std::set<std::string> families;
    for (std::string line; std::getline(text, line);) {
        std::istringstream words(line);
        std::string hash, type, name;
        words >> hash >> type >> name;
        if (type == "TYPE") CHECK(families.insert(name).second);
    }
    CHECK(families.size() == all_metrics().size());
}

TEST_CASE("Accept decides between the formats, and whoever does not say gets Prometheus' own") {
    CHECK(accepted_format("") == Format::text);
    CHECK(accepted_format("*/*") == Format::text);
    CHECK(accepted_format("text/html") == Format::text);
    CHECK(accepted_format("application/openmetrics-text") == Format::openmetrics);
    CHECK(accepted_format("application/openmetrics-text; version=1.0.0; q=0") == Format::text);
    CHECK(accepted_format("text/plain;q=0.9, application/openmetrics-text;q=0.5") == Format::text);
    CHECK(accepted_format("text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.75") ==
          Format::openmetrics);
    CHECK(accepted_format("application/openmetrics-text;q=x") == Format::text);
    CHECK(accepted_format("application/openmetrics-text;q=7") == Format::text);
    CHECK(accepted_format(",;,;q=,=") == Format::text);
}

// --- Events

TEST_CASE("what is served is told before anything has happened") {
    EventMetrics metrics;
    metrics.serve({"legacy"}, {"orders"});
    const EventMetrics::Numbers numbers = metrics.numbers();
    REQUIRE(numbers.listeners.contains("legacy"));
    REQUIRE(numbers.upstreams.contains("orders"));
    CHECK(numbers.listeners.at("legacy").login.count() == 0);
    CHECK(metrics.last_reload_succeeded());
    CHECK_FALSE(metrics.last_served("orders", false));
}

TEST_CASE("a login counts by TLS and verdict, and is open until it ends") {
    EventMetrics metrics;
    metrics.count(connected_in_clear());
    auto numbers = metrics.numbers();
    const auto no = static_cast<std::size_t>(protocol::Verifies::no);
    CHECK(numbers.listeners.at("legacy").connections[0][no] == 1);
    CHECK(numbers.listeners.at("legacy").open == 1);
    CHECK(numbers.listeners.at("legacy").login.exemplar(2).session == "0123456789ab-7");
    CHECK(numbers.upstreams.at("orders").found[UpstreamNumbers::clear] == 1);
    metrics.count(event_of(EventKind::disconnected));
    CHECK(metrics.numbers().listeners.at("legacy").open == 0);
}

TEST_CASE("a server is verified when its chain leads to an anchor, and its answer is remembered") {
    EventMetrics metrics;
    Event event = connected_in_clear();
    event.record.upstream_ssl = true;
    metrics.count(event);
    CHECK(metrics.numbers().upstreams.at("orders").found[UpstreamNumbers::unverified] == 1);
    CHECK(metrics.last_served("orders", false) == event.time);
    CHECK_FALSE(metrics.last_served("orders", true));
    event.record.upstream_tls.anchor = "CN=Root";
    metrics.count(event);
    CHECK(metrics.numbers().upstreams.at("orders").found[UpstreamNumbers::verified] == 1);
    CHECK(metrics.last_served("orders", true) == event.time);
    CHECK_FALSE(metrics.last_served("others", false));
}

TEST_CASE("failures count by reason, and an alert that nobody knows is other") {
    EventMetrics metrics;
    Event failed = event_of(EventKind::tls_failed);
    failed.alert = 48;
    metrics.count(failed);
    failed.alert = 200;
    metrics.count(failed);
    failed.alert = -1;
    metrics.count(failed);
    Event denied = event_of(EventKind::auth_failed);
    denied.reason = Reason::server_denied;
    metrics.count(denied);
    Event unreached = event_of(EventKind::upstream_failed);
    unreached.reason = Reason::server_not_reached;
    metrics.count(unreached);
    const auto numbers = metrics.numbers();
    const ListenerNumbers& listener = numbers.listeners.at("legacy");
    CHECK(listener.tls_failures[index_of_alert(48)] == 1);
    CHECK(tls_alerts[index_of_alert(48)].name == "unknown_ca");
    CHECK(listener.tls_failures.back() == 1);
    CHECK(listener.tls_failures.front() == 1);
    CHECK(listener.login_failures[static_cast<std::size_t>(Reason::server_denied)] == 1);
    CHECK(listener.login_failures[static_cast<std::size_t>(Reason::server_not_reached)] == 1);
    CHECK(numbers.upstreams.at("orders").failures[static_cast<std::size_t>(Reason::server_not_reached)] == 1);
    CHECK(numbers.upstreams.at("orders").found[UpstreamNumbers::clear] == 0);  // no server was reached
}

TEST_CASE("the last login that found no server is remembered with its reason, whoever counted it") {
    EventMetrics metrics;
    CHECK_FALSE(metrics.last_failure("orders"));
    Event refused = event_of(EventKind::upstream_failed);
    refused.reason = Reason::server_certificate_rejected;
    refused.verify_error = "self-signed certificate";
    metrics.count(refused);
    REQUIRE(metrics.last_failure("orders"));
    CHECK(metrics.last_failure("orders")->time == refused.time);
    CHECK(metrics.last_failure("orders")->error == "certificate refused: self-signed certificate");
    Event unreached = event_of(EventKind::upstream_failed);
    unreached.message = "Connection refused";
    unreached.time = refused.time + 1s;
    std::thread([&] { metrics.count(unreached); }).join();
    metrics.count(refused);
    CHECK(metrics.last_failure("orders")->error == "Connection refused");
    CHECK(metrics.numbers().upstreams.at("orders").failed == unreached.time);
    CHECK_FALSE(metrics.last_failure("others"));
}

TEST_CASE("addresses of an upstream are bounded, and old ones make room") {
    EventMetrics metrics;
    Event event = connected_in_clear();
    for (int i = 0; i < 100; ++i) {
        event.record.upstream_addr = "10.0.0." + std::to_string(i) + ":5432";
        metrics.count(event);
    }
    CHECK(metrics.numbers().upstreams.at("orders").addresses.size() == UpstreamNumbers::max_addresses);
    event.time += 2h;
    event.record.upstream_addr = "10.0.1.1:5432";
    metrics.count(event);
    const auto addresses = metrics.numbers().upstreams.at("orders").addresses;
    CHECK(addresses.size() == 1);
    CHECK(addresses.contains("10.0.1.1:5432"));
}

TEST_CASE("a server's role is what it reported last, and a login that it refused says nothing of it") {
    using protocol::HostRole;
    EventMetrics metrics;
    Event event = connected_in_clear();
    const auto now = event.time;
    const auto address = [&] { return metrics.addresses("orders").at("10.0.0.1:5432"); };
    event.record.upstream_role = HostRole::standby;
    metrics.count(event);
    CHECK(address().role == HostRole::standby);
    CHECK(address().role_seen == now);

    Event refused = event;
    refused.kind = EventKind::auth_failed;
    refused.reason = Reason::server_denied;
    refused.record.upstream_role = HostRole::unknown;
    refused.time = now + 1s;
    metrics.count(refused);
    CHECK(address().role == HostRole::standby);
    CHECK(address().role_seen == now);
    CHECK(address().served == now + 1s);

    // Counted by another thread: the later word wins, whoever counted it.
    event.record.upstream_role = HostRole::primary;
    event.time = now + 2s;
    std::thread([&] { metrics.count(event); }).join();
    CHECK(address().role == HostRole::primary);
    CHECK(metrics.numbers().upstreams.at("orders").addresses.at("10.0.0.1:5432").role == HostRole::primary);

    event.record.upstream_role = HostRole::unknown;
    event.time = now + 3s;
    metrics.count(event);
    CHECK(address().role == HostRole::unknown);
    CHECK(address().role_seen == now + 3s);
    CHECK(metrics.addresses("others").empty());
}

TEST_CASE("a server's role is forgotten after an hour, also while it goes on refusing logins") {
    EventMetrics metrics;
    Event event = connected_in_clear();
    const auto now = event.time;
    event.record.upstream_role = protocol::HostRole::primary;
    event.time = now - UpstreamNumbers::address_memory - 1min;
    metrics.count(event);
    CHECK(metrics.addresses("orders").empty());
    event.kind = EventKind::auth_failed;
    event.record.upstream_role = protocol::HostRole::unknown;
    event.time = now;
    metrics.count(event);
    const AddressNumbers left = metrics.addresses("orders").at("10.0.0.1:5432");
    CHECK(left.role == protocol::HostRole::unknown);
    CHECK(left.role_seen == AddressNumbers::Time{});
    CHECK(left.served == now);
}

TEST_CASE("certificates that were not known count by the CA that there was before") {
    EventMetrics metrics;
    Event event = event_of(EventKind::upstream_certificate);
    tls::CertificateFacts leaf;
    leaf.issuer = "CN=new";
    event.record.upstream_tls.leaf = std::make_shared<const tls::CertificateFacts>(std::move(leaf));
    event.record.upstream_tls.anchor_key_sha256 = "1";
    metrics.count(event);
    const auto before = [&](const std::string& issuer, const std::string& key = "1") {
        proxy::ShownCertificate shown{};
        shown.issuer = issuer;
        shown.anchor_key_sha256 = key;
        event.shown_before = std::make_shared<const proxy::ShownCertificate>(shown);
    };
    before("CN=new");
    metrics.count(event);
    before("CN=old");
    metrics.count(event);
    metrics.count(event);
    before("CN=new", "");  // it was not verified
    metrics.count(event);
    CHECK(metrics.numbers().upstreams.at("orders").certificates == std::array<std::uint64_t, ca_changes>{1, 1, 2, 1});
}

TEST_CASE("the last reload is what counts") {
    EventMetrics metrics;
    metrics.count({.kind = EventKind::reload_failed});
    CHECK_FALSE(metrics.last_reload_succeeded());
    metrics.count({.kind = EventKind::reloaded});
    CHECK(metrics.last_reload_succeeded());
}

TEST_CASE("the last reload that failed is known with its reason and time") {
    EventMetrics metrics;
    CHECK(metrics.numbers().reload.error.empty());
    Event failed{.kind = EventKind::reload_failed, .message = "pgairlock.toml:3: unknown key"};
    metrics.count(failed);
    CHECK(metrics.numbers().reload.error == "pgairlock.toml:3: unknown key");
    CHECK(metrics.numbers().reload.time == failed.time);
    Event later{.kind = EventKind::reload_failed, .time = failed.time + 1s, .message = "key.pem: missing"};
    std::thread([&] { metrics.count(later); }).join();
    CHECK(metrics.numbers().reload.error == "key.pem: missing");
}

TEST_CASE("nothing that many threads count is lost while somebody reads") {
    EventMetrics metrics;
    constexpr int threads = 8, events = 2000;
    std::vector<std::thread> running;
    for (int i = 0; i < threads; ++i) {
        running.emplace_back([&metrics, i] {
            const std::string listener = i % 2 == 0 ? "even" : "odd";
            for (int n = 0; n < events; ++n) {
                metrics.count(connected_in_clear(listener));
                metrics.count(event_of(EventKind::disconnected, listener));
            }
        });
    }
    for (int i = 0; i < 50; ++i) {
        for (const auto& [name, listener] : metrics.numbers().listeners) CHECK(listener.open >= 0);
    }
    for (std::thread& one : running) one.join();
    const auto numbers = metrics.numbers();
    CHECK(numbers.listeners.at("even").login.count() == threads / 2 * events);
    CHECK(numbers.listeners.at("odd").login.count() == threads / 2 * events);
    CHECK(numbers.listeners.at("even").open == 0);
}
