// Every metric, once: its name, kind, labels and meaning. The exposition, docs/metrics.md and the
// tests come from this list. Names stay as they are: people's rules and dashboards hold them.
//
// A label's values come from a closed list or from the configuration, never from the wire.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace proxy {

enum class MetricKind : std::uint8_t { counter, gauge, histogram };

/// In the order in which they are told.
enum class Metric : std::uint8_t {
    client_connections_total,
    client_connections,
    client_tls_handshake_failures_total,
    client_rejections_total,
    login_failures_total,
    login_seconds,
    tls_handshake_seconds,
    relay_bytes_total,
    upstream_connections_total,
    upstream_certificate_not_after,
    upstream_certificate_changes_total,
    upstream_host_up,
    upstream_host_role,
    server_certificate_not_after,
    certificate_in_use_not_after,
    clients,
    clients_not_ready,
    prewarm_connections,
    upstream_logins,
    audit_events_total,
    audit_events_dropped_total,
    capture_bytes_total,
    capture_dropped_total,
    alerts_total,
    alerts_waiting,
    reloads_total,
    config_last_reload_successful,
    build_info,
    process_cpu_seconds_total,
    process_resident_memory_bytes,
    process_virtual_memory_bytes,
    process_start_time_seconds,
    process_open_fds,
    process_max_fds,
};

struct MetricInfo {
    Metric metric;
    std::string_view name;
    MetricKind kind;
    std::vector<std::string_view> labels;
    std::string_view help;  ///< one sentence, without a line break or a backslash
};

/// In the order of the enumerators.
std::span<const MetricInfo> all_metrics();
const MetricInfo& info(Metric metric);

std::string_view to_string(MetricKind kind) noexcept;

/// Its row in docs/metrics.md.
std::string documentation(const MetricInfo& metric);

}  // namespace proxy
