#include "proxy/metrics/metric.hpp"

namespace proxy {

std::span<const MetricInfo> all_metrics() {
    using enum MetricKind;
    using M = Metric;
    static const std::vector<MetricInfo> all{
        {M::client_connections_total,
         "pgairlock_client_connections_total",
         counter,
         {"listener", "ssl", "verifies"},
         "Logins that succeeded, by whether they came through TLS and whether that client is known to verify us."},
        {M::client_connections, "pgairlock_client_connections", gauge, {"listener"}, "Clients that are logged in now."},
        {M::client_tls_handshake_failures_total,
         "pgairlock_client_tls_handshake_failures_total",
         counter,
         {"listener", "alert"},
         "TLS with a client that came to nothing, by the alert that the client sent; none: it left without one, or "
         "we could not go on."},
        {M::client_rejections_total,
         "pgairlock_client_rejections_total",
         counter,
         {"listener", "reason"},
         "Clients refused by pgairlock before any server was asked."},
        {M::login_failures_total,
         "pgairlock_login_failures_total",
         counter,
         {"listener", "reason"},
         "Logins that began and did not succeed: refused by the server or by us, left by the client, or without a "
         "server connection."},
        {M::login_seconds,
         "pgairlock_login_seconds",
         histogram,
         {"listener"},
         "From accepting a connection to the first ReadyForQuery, of logins that succeeded."},
        {M::tls_handshake_seconds,
         "pgairlock_tls_handshake_seconds",
         histogram,
         {"leg"},
         "TLS handshakes of logins that succeeded, with clients and with servers; connections that were ready before "
         "are not among them."},
        {M::relay_bytes_total,
         "pgairlock_relay_bytes_total",
         counter,
         {"listener", "direction"},
         "Bytes of PostgreSQL's protocol that sessions were sent after their login, from_client and from_server, as "
         "they come."},
        {M::upstream_connections_total,
         "pgairlock_upstream_connections_total",
         counter,
         {"upstream", "result"},
         "What logins found at the server: a connection that was verified, unverified (TLS) or clear, or why there "
         "was none."},
        {M::upstream_certificate_not_after,
         "pgairlock_upstream_certificate_not_after_timestamp_seconds",
         gauge,
         {"upstream", "address"},
         "When the certificate ends that a server showed last, for servers seen within an hour."},
        {M::upstream_certificate_changes_total,
         "pgairlock_upstream_certificate_changes_total",
         counter,
         {"upstream", "ca"},
         "Certificates that were not known at a server's address, and known ones that another CA verifies, by the CA "
         "of the one that it showed before: the same, another, not known which, or there was none."},
        {M::upstream_host_up,
         "pgairlock_upstream_host_up",
         gauge,
         {"upstream", "address"},
         "Whether a server served when it was needed last: 1, or 0 until it does again, "
         "also while its certificate is refused."},
        {M::upstream_host_role,
         "pgairlock_upstream_host_role",
         gauge,
         {"upstream", "address", "role"},
         "Whether this is the role that a server was last seen in, by a login or by the monitor: 1 for one of them, "
         "for "
         "servers seen within an hour; \"unknown\" while it is in doubt."},
        {M::server_certificate_not_after,
         "pgairlock_server_certificate_not_after_timestamp_seconds",
         gauge,
         {"listener", "key_type"},
         "When the certificate ends that clients are shown: of several with one type of key, the first to end."},
        {M::certificate_in_use_not_after,
         "pgairlock_certificate_in_use_not_after_timestamp_seconds",
         gauge,
         {"kind", "used_by", "file"},
         "When the first certificate of a file ends, of each kind that is not shown to clients: anchor, candidate, "
         "client_ca, client_certificate, candidate_certificate or intermediate, and for whom. Of a file with several "
         "anchors those that a connection has needed. Looked at every hour."},
        {M::clients,
         "pgairlock_clients",
         gauge,
         {"upstream", "state"},
         "Clients of the inventory's last 7 days, as the report counts them: plain (at least sometimes), "
         "tls_not_verifying, verifying or unknown. Counted every ten seconds, or less often when there are many; "
         "absent while that is not known."},
        {M::clients_not_ready,
         "pgairlock_clients_not_ready",
         gauge,
         {"upstream"},
         "Those of them that break when the certificate authority changes, or may."},
        {M::prewarm_connections,
         "pgairlock_prewarm_connections",
         gauge,
         {"upstream", "state"},
         "Server connections kept ready for clients: ready now, and wanted by the configuration."},
        {M::upstream_logins,
         "pgairlock_upstream_logins",
         gauge,
         {"upstream", "state"},
         "Logins under way at the upstream's hosts now (in_flight), those that wait for their turn there because of "
         "max_logins_in_flight (waiting), and those that wait until any host serves because of wait_for_host "
         "(waiting_for_host)."},
        {M::audit_events_total,
         "pgairlock_audit_events_total",
         counter,
         {"event"},
         "Audit events, those that were dropped among them."},
        {M::audit_events_dropped_total,
         "pgairlock_audit_events_dropped_total",
         counter,
         {},
         "Audit events that found no room in the queue, or that the audit file did not take, as on a full disk."},
        {M::capture_bytes_total, "pgairlock_capture_bytes_total", counter, {}, "Bytes that captures have written."},
        {M::capture_dropped_total,
         "pgairlock_capture_dropped_total",
         counter,
         {},
         "Packets that captures had no room for."},
        {M::alerts_total,
         "pgairlock_alerts_total",
         counter,
         {"alert", "result"},
         "Alert messages: sent, failed attempts, which are made again, and dropped, those that were given up."},
        {M::alerts_waiting,
         "pgairlock_alerts_waiting",
         gauge,
         {"alert"},
         "Alert messages that are complete and not yet sent."},
        {M::reloads_total,
         "pgairlock_reloads_total",
         counter,
         {"result"},
         "Reloads of the configuration: success, or failure, after which the last good one goes on."},
        {M::config_last_reload_successful,
         "pgairlock_config_last_reload_successful",
         gauge,
         {},
         "Whether the last reload succeeded: 1 also before the first one."},
        {M::build_info, "pgairlock_build_info", gauge, {"version", "openssl"}, "1, with what this program is."},
        {M::process_cpu_seconds_total,
         "process_cpu_seconds_total",
         counter,
         {},
         "User and system CPU time spent in seconds."},
        {M::process_resident_memory_bytes,
         "process_resident_memory_bytes",
         gauge,
         {},
         "Resident memory size in bytes."},
        {M::process_virtual_memory_bytes, "process_virtual_memory_bytes", gauge, {}, "Virtual memory size in bytes."},
        {M::process_start_time_seconds,
         "process_start_time_seconds",
         gauge,
         {},
         "Start time of the process since unix epoch in seconds."},
        {M::process_open_fds, "process_open_fds", gauge, {}, "Number of open file descriptors."},
        {M::process_max_fds, "process_max_fds", gauge, {}, "Maximum number of open file descriptors."},
    };
    return all;
}

const MetricInfo& info(Metric metric) { return all_metrics()[static_cast<std::size_t>(metric)]; }

std::string_view to_string(MetricKind kind) noexcept {
    switch (kind) {
        case MetricKind::counter: return "counter";
        case MetricKind::gauge: return "gauge";
        case MetricKind::histogram: return "histogram";
    }
    return "";
}

std::string documentation(const MetricInfo& metric) {
    std::string labels;
    for (const std::string_view label : metric.labels)
        labels += (labels.empty() ? "`" : ", `") + std::string(label) + "`";
    return "| `" + std::string(metric.name) + "` | " + std::string(to_string(metric.kind)) + " | " + labels + " | " +
           std::string(metric.help) + " |";
}

}  // namespace proxy
