// Asks the servers of an upstream what they are, before a client needs to know (monitor_user): one
// session of our own to each address, for the whole process, on a thread that serves nobody. What
// it hears goes to HostRoles. A server that is silent keeps nobody else from being asked.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "protocol/host_state.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/upstream/host_roles.hpp"
#include "proxy/upstream/outages.hpp"
#include "proxy/upstream/resolver.hpp"
#include "proxy/upstream/session_sampler.hpp"

namespace proxy {

/// What one address answered last.
struct MonitoredHost {
    using Time = std::chrono::system_clock::time_point;

    std::string upstream;
    std::string host;     ///< as configured, or found, "db.internal:5432"
    std::string address;  ///< "10.0.0.1:5432"
    Time answered{};      ///< the epoch: it never has
    std::string error{};  ///< what its last question ended with; empty: with an answer
    std::optional<protocol::HostState> state{};
    bool discovered = false;                          ///< `host` is not configured, but found
    std::string instance{};                           ///< its own name in Aurora; empty: it is none, or does not say
    std::optional<double> replica_lag_ms{};           ///< of Aurora
    std::vector<protocol::AuroraInstance> cluster{};  ///< as it tells of its neighbours
};

class HostMonitor {
   public:
    /// Questions come so fast for so long after a role has changed, or a server has gone or come.
    static constexpr std::chrono::milliseconds fast_interval = config::shortest_monitor_interval;
    static constexpr std::chrono::seconds fast_time{60};
    /// A server that refuses us is not asked more often: each time is a line in its log.
    static constexpr std::chrono::seconds refused_interval{30};
    /// Of all upstreams together, each with a connection. Those beyond it are not asked.
    static constexpr std::size_t max_addresses = 256;
    /// Those of hosts that were found leave room for those that are configured.
    static constexpr std::size_t max_addresses_with_found = 128;
    /// Some names lead to one of their servers at a time, and to each of them within a minute or
    /// so, such as Aurora's reader endpoint: a server that answers goes on being asked for so long
    /// after its name led to it last. With too many addresses those leave first.
    static constexpr std::chrono::minutes keep_time{5};

    HostMonitor(Resolver& resolver, Outages& outages, HostRoles& roles);
    ~HostMonitor();

    /// Each server's own list of its sessions is looked at as well, every sample_interval. Before
    /// serve().
    void sample(SamplingUses uses) { sampling_ = std::move(uses); }
    /// From now on the servers of those of them that have a monitor_user are asked, and no others.
    /// A route that stays keeps its sessions. The thread is made for the first one.
    void serve(const std::vector<std::shared_ptr<const UpstreamRoute>>& upstreams);
    /// This process listens there, and nowhere else: hosts that are found and lead there are not
    /// used. "0.0.0.0:5432" is each address of the machine.
    void listening(std::set<std::string> addresses);
    /// Sessions are told, and the thread ends.
    void close();

    /// From any thread, without a wait for anything but a copy.
    std::vector<MonitoredHost> hosts() const;
    std::optional<MonitoredHost> of(const std::string& upstream, const std::string& address) const;

   private:
    struct Upstream;
    class Thread;
    using Key = std::pair<std::string, std::string>;  // upstream, address

    void note(MonitoredHost host);
    void forget(const Key& key);

    Resolver& resolver_;
    Outages& outages_;
    HostRoles& roles_;
    SamplingUses sampling_;
    std::set<std::string> listening_;
    mutable std::mutex mutex_;
    std::map<Key, MonitoredHost> hosts_;
    std::unique_ptr<Thread> thread_;
};

}  // namespace proxy
