// What the running proxy says of itself: counters, hosts, captures, warnings. Nothing here waits
// for a session, a server or a disk.
#pragma once

#include <atomic>
#include <boost/json/object.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/capture/captures.hpp"
#include "proxy/dashboard/now_history.hpp"
#include "proxy/dashboard/warning.hpp"
#include "proxy/record/recorder.hpp"
#include "proxy/route/in_use.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/session/live_sessions.hpp"
#include "proxy/session/phase.hpp"
#include "proxy/upstream/host_monitor.hpp"
#include "proxy/upstream/host_roles.hpp"
#include "proxy/upstream/outages.hpp"

namespace proxy::dashboard {

/// Of one listener, of all threads.
struct RelayedBytes {
    std::uint64_t from_client = 0, from_server = 0;
};
/// Of one upstream, of all threads.
struct PrewarmedConnections {
    std::uint64_t ready = 0, wanted = 0;
};

/// All of it outlives whoever has this.
struct LiveSource {
    Recorder& recorder;
    const LiveSessions& sessions;
    const Captures& captures;
    const Outages& outages;
    const HostRoles& roles;
    const HostMonitor& monitor;
    const std::atomic<Phase>& phase;
    std::function<std::map<std::string, RelayedBytes>()> relayed;
    std::function<std::map<std::string, PrewarmedConnections>()> prewarmed;
    std::function<std::shared_ptr<const Snapshot>()> running;
    std::function<std::shared_ptr<const std::vector<InUse>>()> watched;  ///< nullptr: they were not looked at yet
    std::string name;                                                    ///< as in audit lines
    std::string state_dir;
    SystemTime started;
};

/// Every two seconds.
NowSample sample(const LiveSource& source);

/// As in the overview. `id`: the instance of the inventory; empty: not known.
boost::json::object proxy_object(const LiveSource& source, std::string_view id);
boost::json::array captures_array(const LiveSource& source);
boost::json::array prewarm_array(const LiveSource& source);
/// Of a server that does not serve: host_down, or upstream_unverified where its certificate is
/// refused.
Warning warning_of(const Outages::Outage& outage);
std::vector<Warning> live_warnings(const LiveSource& source, SystemTime now);

/// /api/hosts.json, without its `generated`.
boost::json::object hosts_object(const LiveSource& source, SystemTime now);

}  // namespace proxy::dashboard
