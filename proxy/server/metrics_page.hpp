// What is exported at one moment: every metric of proxy/metrics, gathered from those that count.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/alert/alerts.hpp"
#include "proxy/capture/captures.hpp"
#include "proxy/dashboard/clients_json.hpp"
#include "proxy/dashboard/live_source.hpp"
#include "proxy/metrics/exposition.hpp"
#include "proxy/record/recorder.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/server/expiry_watch.hpp"
#include "proxy/server/worker.hpp"
#include "proxy/upstream/host_monitor.hpp"
#include "proxy/upstream/host_news.hpp"
#include "proxy/upstream/host_roles.hpp"
#include "proxy/upstream/login_turns.hpp"
#include "proxy/upstream/outages.hpp"

namespace proxy {

/// By listener, of all workers.
std::map<std::string, dashboard::RelayedBytes> relayed_bytes(const std::vector<std::unique_ptr<Worker>>& workers);
/// By upstream, likewise.
std::map<std::string, dashboard::PrewarmedConnections> prewarmed_connections(
    const std::vector<std::unique_ptr<Worker>>& workers);

class MetricsPage {
   public:
    /// All of it outlives us.
    struct Sources {
        Recorder& recorder;
        const Captures& captures;
        const Outages& outages;
        const LoginTurns& login_turns;
        const HostNews& host_news;
        const HostRoles& roles;
        const HostMonitor& monitor;
        const std::vector<std::unique_ptr<Worker>>& workers;
        const Alerts& alerts;
        const ExpiryWatch& expiry;
    };

    explicit MetricsPage(Sources sources) : sources_(sources) {}

    /// From one thread. Waits for no session and no disk. `clients`: nullopt: not known.
    std::string text(const Snapshot& snapshot, const std::optional<dashboard::Week>& clients,
                     Exposition::Format format);

   private:
    void tell_listeners(Exposition& out, const Snapshot& snapshot, const EventMetrics::Numbers& numbers) const;
    void tell_in_use(Exposition& out) const;
    void tell_relay(Exposition& out) const;
    void tell_upstreams(Exposition& out, const EventMetrics::Numbers& numbers) const;
    void tell_hosts(Exposition& out, const EventMetrics::Numbers& numbers,
                    const std::vector<Outages::Outage>& outages) const;
    void tell_prewarm(Exposition& out) const;
    void tell_logins(Exposition& out, const Snapshot& snapshot) const;
    void tell_records(Exposition& out, const EventMetrics::Numbers& numbers);
    void tell_alerts(Exposition& out) const;
    void tell_process(Exposition& out) const;

    Sources sources_;
    std::uint64_t capture_bytes_ = 0, capture_dropped_ = 0;  // told before: a counter never falls
};

}  // namespace proxy
