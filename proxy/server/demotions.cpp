#include "proxy/server/demotions.hpp"

#include <algorithm>

namespace proxy {

using protocol::HostRole;

std::set<DemotedHost> demoted_hosts(const config::Upstream& upstream,
                                    const std::map<std::string, HostRoles::Known>& addresses,
                                    const std::vector<MonitoredHost>& monitored) {
    std::set<DemotedHost> demoted;
    for (const auto& [address, known] : addresses) {
        const bool is_certain =
            !known.doubtful && (known.source == RoleSource::login || known.source == RoleSource::monitor);
        if (known.role == HostRole::standby && is_certain) demoted.emplace(upstream.name, address);
    }
    if (upstream.target_session_attrs != config::TargetSessionAttrs::read_write) return demoted;
    for (const MonitoredHost& host : monitored) {
        const bool is_read_only = host.error.empty() && host.state && host.state->read_only;
        if (host.upstream == upstream.name && is_read_only) demoted.emplace(upstream.name, host.address);
    }
    return demoted;
}

Demotions::Demotions(tls::Executor executor, const HostRoles& roles, const HostMonitor& monitor, Leave leave)
    : pause_(std::move(executor)), roles_(roles), monitor_(monitor), leave_(std::move(leave)) {}

void Demotions::serve(const std::vector<std::shared_ptr<const UpstreamRoute>>& upstreams) {
    upstreams_.clear();
    std::copy_if(upstreams.begin(), upstreams.end(), std::back_inserter(upstreams_),
                 [](const auto& route) { return route->settings.on_demotion == config::OnDemotion::close; });
    pause_.cancel();
}

tls::Awaitable<> Demotions::run() {
    for (;;) {
        if (upstreams_.empty()) {
            pause_.expires_at(Clock::time_point::max());
        } else {
            pause_.expires_after(look_interval);
        }
        co_await pause_.async_wait(tls::returning());
        look(Clock::now());
    }
}

void Demotions::look(Clock::time_point now) {
    std::set<DemotedHost> demoted;
    if (!upstreams_.empty()) {
        const std::vector<MonitoredHost> monitored = monitor_.hosts();
        for (const auto& route : upstreams_)
            demoted.merge(demoted_hosts(route->settings, roles_.addresses(route->settings.name), monitored));
    }
    std::erase_if(demoted_, [&](const auto& one) { return !demoted.contains(one.first); });
    for (const DemotedHost& host : demoted) {
        const auto [known, is_new] = demoted_.try_emplace(host, Since{.began = now, .told = now});
        const bool is_busy = now - known->second.began < busy_time;
        if (!is_new && !is_busy && now - known->second.told < quiet_interval) continue;
        known->second.told = now;
        leave_(host.first, host.second);
    }
}

}  // namespace proxy
