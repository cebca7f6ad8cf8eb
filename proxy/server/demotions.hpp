// on_demotion = "close": which servers sessions are to leave, because they were chosen for taking
// writes and take none any more. Says so again and again, for a session goes once it is idle.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proxy/route/snapshot.hpp"
#include "proxy/upstream/host_monitor.hpp"
#include "proxy/upstream/host_roles.hpp"

namespace proxy {

/// Upstream and address.
using DemotedHost = std::pair<std::string, std::string>;

/// Those of this upstream whose sessions are to go. Only what a server itself has said counts, to a
/// login or to the monitor, and only as long as nothing casts a doubt on it. `monitored`: of any
/// upstream.
std::set<DemotedHost> demoted_hosts(const config::Upstream& upstream,
                                    const std::map<std::string, HostRoles::Known>& addresses,
                                    const std::vector<MonitoredHost>& monitored);

/// All on one thread.
class Demotions {
   public:
    using Clock = std::chrono::steady_clock;
    using Leave = std::function<void(const std::string& upstream, const std::string& address)>;

    /// How often it is looked, and for so long sessions are looked for as often.
    static constexpr std::chrono::milliseconds look_interval{250};
    static constexpr std::chrono::seconds busy_time{60};
    /// And after that: for logins that were under way, and for transactions that take long.
    static constexpr std::chrono::seconds quiet_interval{5};

    /// `leave`: ends sessions there that are idle.
    Demotions(tls::Executor executor, const HostRoles& roles, const HostMonitor& monitor, Leave leave);

    /// From now on for those of them that want it.
    void serve(const std::vector<std::shared_ptr<const UpstreamRoute>>& upstreams);
    tls::Awaitable<> run();

   private:
    struct Since {
        Clock::time_point began;
        Clock::time_point told;
    };

    void look(Clock::time_point now);

    tls::Timer pause_;
    const HostRoles& roles_;
    const HostMonitor& monitor_;
    const Leave leave_;
    std::vector<std::shared_ptr<const UpstreamRoute>> upstreams_;
    std::map<DemotedHost, Since> demoted_;
};

}  // namespace proxy
