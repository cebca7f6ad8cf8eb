#include "proxy/server/metrics_page.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <set>
#include <utility>

#include "proxy/metrics/process_numbers.hpp"
#include "proxy/version.hpp"

namespace proxy {
namespace {

using protocol::HostRole;
using protocol::Verifies;

constexpr bool is_between(Reason reason, Reason first, Reason last) { return reason >= first && reason <= last; }

/// What a client may be refused for, told also as 0: a rate begins at what it knows.
constexpr bool is_rejection(Reason reason) {
    return is_between(reason, Reason::address_not_allowed, Reason::tls_required) || reason == Reason::failed;
}

constexpr bool is_login_failure(Reason reason) {
    return is_between(reason, Reason::server_not_reached, Reason::scram_secret);
}

constexpr bool is_server_failure(Reason reason) {
    return is_between(reason, Reason::server_not_reached, Reason::no_wanted_host);
}

double unix_seconds(std::chrono::system_clock::time_point time) {
    return std::chrono::duration<double>(time.time_since_epoch()).count();
}

template <class Which>
void tell_reasons(Exposition& out, const std::string& name, const std::array<std::uint64_t, reasons>& counts,
                  Which which) {
    for (std::size_t i = 0; i < reasons; ++i) {
        const auto reason = static_cast<Reason>(i);
        if (which(reason) || counts[i] > 0) out.sample({name, label(reason)}, counts[i]);
    }
}

void tell_certificates(Exposition& out, const Snapshot& snapshot) {
    out.begin(Metric::server_certificate_not_after);
    for (const auto& route : snapshot.listeners) {
        if (!route->tls) continue;
        std::map<std::string, std::chrono::system_clock::time_point> first;
        for (const auto& life : route->tls->lives()) {
            const auto known = first.try_emplace(life.key_type, life.not_after).first;
            known->second = std::min(known->second, life.not_after);
        }
        for (const auto& [type, not_after] : first) out.sample({route->settings.name, type}, unix_seconds(not_after));
    }
}

/// Of upstreams that are served: what others had a week ago is nobody's task.
void tell_clients(Exposition& out, const Snapshot& snapshot, const std::optional<dashboard::Week>& week) {
    std::map<std::string, dashboard::UpstreamClients> clients;
    if (week) {
        for (const auto& upstream : snapshot.upstreams) {
            const auto found = week->by_upstream.find(upstream->settings.name);
            clients[upstream->settings.name] =
                found == week->by_upstream.end() ? dashboard::UpstreamClients{} : found->second;
        }
    }
    out.begin(Metric::clients);
    for (const auto& [upstream, numbers] : clients) {
        out.sample({upstream, "plain"}, numbers.plain);
        out.sample({upstream, "tls_not_verifying"}, numbers.tls_not_verifying);
        out.sample({upstream, "verifying"}, numbers.verifying);
        out.sample({upstream, "unknown"}, numbers.unknown);
    }
    out.begin(Metric::clients_not_ready);
    for (const auto& [upstream, numbers] : clients) out.sample({upstream}, numbers.not_ready);
}

}  // namespace

std::map<std::string, dashboard::RelayedBytes> relayed_bytes(const std::vector<std::unique_ptr<Worker>>& workers) {
    std::map<std::string, dashboard::RelayedBytes> sums;
    for (const auto& worker : workers) {
        worker->relay_meters().for_each([&](const std::string& listener, const RelayMeter& meter) {
            dashboard::RelayedBytes& sum = sums[listener];
            sum.from_client += meter.from_client.load(std::memory_order_relaxed);
            sum.from_server += meter.from_server.load(std::memory_order_relaxed);
        });
    }
    return sums;
}

std::map<std::string, dashboard::PrewarmedConnections> prewarmed_connections(
    const std::vector<std::unique_ptr<Worker>>& workers) {
    std::map<std::string, dashboard::PrewarmedConnections> sums;
    for (const auto& worker : workers) {
        worker->prewarm_meters().for_each([&](const std::string& upstream, const PrewarmMeter& meter) {
            dashboard::PrewarmedConnections& sum = sums[upstream];
            sum.ready += meter.ready.load(std::memory_order_relaxed);
            sum.wanted += meter.wanted.load(std::memory_order_relaxed);
        });
    }
    return sums;
}

std::string MetricsPage::text(const Snapshot& snapshot, const std::optional<dashboard::Week>& clients,
                              Exposition::Format format) {
    Exposition out(format);
    const EventMetrics::Numbers numbers = sources_.recorder.metrics().numbers();
    tell_listeners(out, snapshot, numbers);
    tell_relay(out);
    tell_upstreams(out, numbers);
    tell_certificates(out, snapshot);
    tell_in_use(out);
    tell_clients(out, snapshot, clients);
    tell_prewarm(out);
    tell_logins(out, snapshot);
    tell_records(out, numbers);
    tell_process(out);
    return std::move(out).finish();
}

void MetricsPage::tell_listeners(Exposition& out, const Snapshot& snapshot,
                                 const EventMetrics::Numbers& numbers) const {
    out.begin(Metric::client_connections_total);
    for (const auto& [name, listener] : numbers.listeners) {
        for (const bool ssl : {false, true}) {
            for (const Verifies verifies : {Verifies::no, Verifies::yes, Verifies::unknown}) {
                const std::uint64_t count = listener.connections[ssl ? 1 : 0][static_cast<std::size_t>(verifies)];
                out.sample({name, ssl ? "true" : "false", protocol::to_string(verifies)}, count);
            }
        }
    }
    out.begin(Metric::client_connections);
    for (const auto& [name, listener] : numbers.listeners) {
        // One that a reload has taken away is told until its last session is over.
        const bool is_served = std::any_of(snapshot.listeners.begin(), snapshot.listeners.end(),
                                           [&name = name](const auto& route) { return route->settings.name == name; });
        if (is_served || listener.open > 0)
            out.sample({name}, static_cast<std::uint64_t>(std::max<std::int64_t>(0, listener.open)));
    }
    out.begin(Metric::client_tls_handshake_failures_total);
    for (const auto& [name, listener] : numbers.listeners) {
        for (std::size_t i = 0; i < tls_alerts.size(); ++i)
            out.sample({name, tls_alerts[i].name}, listener.tls_failures[i]);
    }
    out.begin(Metric::client_rejections_total);
    for (const auto& [name, listener] : numbers.listeners) tell_reasons(out, name, listener.rejections, is_rejection);
    out.begin(Metric::login_failures_total);
    for (const auto& [name, listener] : numbers.listeners)
        tell_reasons(out, name, listener.login_failures, is_login_failure);
    out.begin(Metric::login_seconds);
    for (const auto& [name, listener] : numbers.listeners) out.sample({name}, listener.login);
    out.begin(Metric::tls_handshake_seconds);
    out.sample({"client"}, numbers.client_handshakes);
    out.sample({"server"}, numbers.server_handshakes);
}

/// Of those that have no metric of their own.
void MetricsPage::tell_in_use(Exposition& out) const {
    using tls::Use;
    out.begin(Metric::certificate_in_use_not_after);
    const auto watched = sources_.expiry.watched();
    if (!watched) return;
    std::map<std::vector<std::string>, std::chrono::system_clock::time_point> first;
    for (const InUse& one : *watched) {
        if (one.use == Use::shown || !one.upstream_addr.empty()) continue;
        const auto end = one.certificate->not_after;
        const std::vector<std::string> which{std::string(tls::label(one.use)), user_of(one), one.file};
        const auto known = first.try_emplace(which, end).first;
        known->second = std::min(known->second, end);
    }
    for (const auto& [which, end] : first) out.sample({which[0], which[1], which[2]}, unix_seconds(end));
}

void MetricsPage::tell_relay(Exposition& out) const {
    out.begin(Metric::relay_bytes_total);
    for (const auto& [listener, bytes] : relayed_bytes(sources_.workers)) {
        out.sample({listener, "from_client"}, bytes.from_client);
        out.sample({listener, "from_server"}, bytes.from_server);
    }
}

void MetricsPage::tell_upstreams(Exposition& out, const EventMetrics::Numbers& numbers) const {
    out.begin(Metric::upstream_connections_total);
    for (const auto& [name, upstream] : numbers.upstreams) {
        out.sample({name, "verified"}, upstream.found[UpstreamNumbers::verified]);
        out.sample({name, "unverified"}, upstream.found[UpstreamNumbers::unverified]);
        out.sample({name, "clear"}, upstream.found[UpstreamNumbers::clear]);
        tell_reasons(out, name, upstream.failures, is_server_failure);
    }
    const std::vector<Outages::Outage> outages = sources_.outages.all();
    std::set<std::pair<std::string, std::string>> refused;
    out.begin(Metric::upstream_certificate_not_after);
    for (const Outages::Outage& one : outages) {
        if (!one.leaf || !numbers.upstreams.contains(one.upstream)) continue;
        refused.emplace(one.upstream, one.key);
        out.sample({one.upstream, one.key}, unix_seconds(one.leaf->not_after));
    }
    for (const auto& [name, upstream] : numbers.upstreams) {
        for (const auto& [address, one] : upstream.addresses) {
            if (refused.contains({name, address})) continue;
            if (one.not_after != AddressNumbers::Time{}) out.sample({name, address}, unix_seconds(one.not_after));
        }
    }
    out.begin(Metric::upstream_certificate_changes_total);
    for (const auto& [name, upstream] : numbers.upstreams) {
        for (std::size_t i = 0; i < ca_changes; ++i)
            out.sample({name, to_string(static_cast<CaChange>(i))}, upstream.certificates[i]);
    }
    tell_hosts(out, numbers, outages);
}

/// Those that logins have met, and those that the monitor asks.
void MetricsPage::tell_hosts(Exposition& out, const EventMetrics::Numbers& numbers,
                             const std::vector<Outages::Outage>& outages) const {
    using Server = std::pair<std::string, std::string>;
    std::map<Server, AddressNumbers> known;
    for (const auto& [name, upstream] : numbers.upstreams) {
        for (const auto& [address, one] : upstream.addresses) known.emplace(Server(name, address), one);
    }
    for (const MonitoredHost& host : sources_.monitor.hosts()) {
        const Server server(host.upstream, host.address);
        if (!numbers.upstreams.contains(host.upstream)) continue;
        if (host.state && host.error.empty()) known.try_emplace(server);
    }
    out.begin(Metric::upstream_host_up);
    std::set<Server> down;
    std::map<std::string, std::size_t> told;
    for (const Outages::Outage& outage : outages) {
        if (!numbers.upstreams.contains(outage.upstream) || ++told[outage.upstream] > UpstreamNumbers::max_addresses)
            continue;
        down.emplace(outage.upstream, outage.key);
        out.sample({outage.upstream, outage.key}, std::uint64_t{0});
    }
    for (const auto& [server, one] : known) {
        if (down.contains(server)) continue;
        const bool is_down = sources_.outages.unreached(server.second, server.first).has_value();
        out.sample({server.first, server.second}, std::uint64_t{is_down ? 0U : 1U});
    }
    out.begin(Metric::upstream_host_role);
    for (const auto& [server, one] : known) {
        const HostRoles::Known found = sources_.roles.of(server.first, server.second);
        const bool is_newer = found.role != HostRole::unknown && found.seen > one.role_seen;
        const HostRole last = is_newer ? found.role : one.role;
        const HostRole now = found.doubtful ? HostRole::unknown : last;
        for (const auto role : {HostRole::primary, HostRole::standby, HostRole::unknown})
            out.sample({server.first, server.second, protocol::to_string(role)}, std::uint64_t{role == now ? 1U : 0U});
    }
}

void MetricsPage::tell_prewarm(Exposition& out) const {
    out.begin(Metric::prewarm_connections);
    for (const auto& [upstream, connections] : prewarmed_connections(sources_.workers)) {
        out.sample({upstream, "ready"}, connections.ready);
        out.sample({upstream, "wanted"}, connections.wanted);
    }
}

/// Of upstreams that a reload has taken away as long as there are any.
void MetricsPage::tell_logins(Exposition& out, const Snapshot& snapshot) const {
    struct Sums {
        LoginTurns::Numbers turns;
        unsigned waiting_for_host = 0;
    };
    std::map<std::string, Sums> sums;
    for (const auto& upstream : snapshot.upstreams) sums[upstream->settings.name];
    for (const auto& [host, numbers] : sources_.login_turns.numbers()) {
        sums[host.first].turns.in_flight += numbers.in_flight;
        sums[host.first].turns.waiting += numbers.waiting;
    }
    for (const auto& [upstream, waiting] : sources_.host_news.waiting()) {
        if (waiting > 0) sums[upstream].waiting_for_host = waiting;
    }
    out.begin(Metric::upstream_logins);
    for (const auto& [upstream, numbers] : sums) {
        out.sample({upstream, "in_flight"}, std::uint64_t{numbers.turns.in_flight});
        out.sample({upstream, "waiting"}, std::uint64_t{numbers.turns.waiting});
        out.sample({upstream, "waiting_for_host"}, std::uint64_t{numbers.waiting_for_host});
    }
}

void MetricsPage::tell_records(Exposition& out, const EventMetrics::Numbers& numbers) {
    const EventCounters& events = sources_.recorder.counters();
    out.begin(Metric::audit_events_total);
    for (std::size_t i = 0; i < event_kinds; ++i) {
        const auto kind = static_cast<EventKind>(i);
        out.sample({label(kind)}, events[kind]);
    }
    out.begin(Metric::audit_events_dropped_total);
    out.sample({}, events.dropped());

    // A capture that ends just now is for a moment in neither sum.
    std::uint64_t bytes = numbers.capture_bytes, dropped = numbers.capture_dropped;
    for (const CaptureStatus& capture : sources_.captures.status()) {
        bytes += capture.bytes;
        dropped += capture.dropped;
    }
    capture_bytes_ = std::max(capture_bytes_, bytes);
    capture_dropped_ = std::max(capture_dropped_, dropped);
    out.begin(Metric::capture_bytes_total);
    out.sample({}, capture_bytes_);
    out.begin(Metric::capture_dropped_total);
    out.sample({}, capture_dropped_);

    tell_alerts(out);
    out.begin(Metric::reloads_total);
    out.sample({"success"}, events[EventKind::reloaded]);
    out.sample({"failure"}, events[EventKind::reload_failed]);
    out.begin(Metric::config_last_reload_successful);
    out.sample({}, std::uint64_t{sources_.recorder.metrics().last_reload_succeeded() ? 1U : 0U});
    out.begin(Metric::build_info);
    out.sample({version(), OpenSSL_version(OPENSSL_VERSION_STRING)}, std::uint64_t{1});
}

void MetricsPage::tell_alerts(Exposition& out) const {
    const std::map<std::string, AlertNumbers> all = sources_.alerts.numbers();
    out.begin(Metric::alerts_total);
    for (const auto& [name, numbers] : all) {
        out.sample({name, "sent"}, numbers.sent);
        out.sample({name, "failed"}, numbers.failed);
        out.sample({name, "dropped"}, numbers.dropped);
    }
    out.begin(Metric::alerts_waiting);
    for (const auto& [name, numbers] : all) out.sample({name}, numbers.waiting);
}

void MetricsPage::tell_process(Exposition& out) const {
    const ProcessNumbers process = process_numbers();
    const auto tell = [&](Metric metric, const auto& value) {
        out.begin(metric);
        if (value) out.sample({}, *value);
    };
    tell(Metric::process_cpu_seconds_total, process.cpu_seconds);
    tell(Metric::process_resident_memory_bytes, process.resident_bytes);
    tell(Metric::process_virtual_memory_bytes, process.virtual_bytes);
    tell(Metric::process_start_time_seconds, process.started_seconds);
    tell(Metric::process_open_fds, process.open_fds);
    tell(Metric::process_max_fds, process.max_fds);
}

}  // namespace proxy
