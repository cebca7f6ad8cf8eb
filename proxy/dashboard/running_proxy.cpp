#include "proxy/dashboard/running_proxy.hpp"

namespace proxy::dashboard {

void RunningProxy::use(std::shared_ptr<const Snapshot> snapshot) {
    const std::lock_guard lock(mutex_);
    snapshot_ = std::move(snapshot);
}

std::shared_ptr<const Snapshot> RunningProxy::snapshot() const {
    const std::lock_guard lock(mutex_);
    return snapshot_;
}

OpenSessions RunningProxy::sessions() const {
    const std::lock_guard lock(mutex_);
    return sessions_ ? sessions_->open() : OpenSessions{};
}

std::vector<Outages::Outage> RunningProxy::outages() const {
    const std::lock_guard lock(mutex_);
    return outages_ ? outages_->all() : std::vector<Outages::Outage>{};
}

void RunningProxy::end() {
    const std::lock_guard lock(mutex_);
    sessions_ = nullptr;
    outages_ = nullptr;
}

}  // namespace proxy::dashboard
