// What the dashboard's thread sees of the running proxy, which may end before it.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "proxy/dashboard/clients_json.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/upstream/outages.hpp"

namespace proxy::dashboard {

class RunningProxy {
   public:
    RunningProxy(const LiveSessions& sessions, const Outages& outages) : sessions_(&sessions), outages_(&outages) {}

    void use(std::shared_ptr<const Snapshot> snapshot);
    std::shared_ptr<const Snapshot> snapshot() const;
    /// Nothing once it has ended.
    OpenSessions sessions() const;
    /// Servers that do not serve now. Nothing once it has ended.
    std::vector<Outages::Outage> outages() const;
    /// From now on the sessions and servers are not looked at any more.
    void end();

   private:
    mutable std::mutex mutex_;
    const LiveSessions* sessions_;
    const Outages* outages_;
    std::shared_ptr<const Snapshot> snapshot_;
};

}  // namespace proxy::dashboard
