#include "proxy/session/cancel_misses.hpp"

#include <utility>

namespace proxy {

bool CancelMisses::may_ask(const AddressGroup& address, Time now) {
    const std::lock_guard lock(mutex_);
    const auto found = addresses_.find(address);
    if (found != addresses_.end()) return found->second.one_free(now);
    return addresses_.size() < max_addresses || others_.one_free(now);
}

bool CancelMisses::missed(const AddressGroup& address, Time now) {
    const std::lock_guard lock(mutex_);
    Misses& misses = of(address, now);
    if (misses.all_free <= now) misses = {.all_free = now};
    misses.all_free += time_per_miss;
    return !misses.one_free(now) && !std::exchange(misses.told, true);
}

CancelMisses::Misses& CancelMisses::of(const AddressGroup& address, Time now) {
    const auto found = addresses_.find(address);
    if (found != addresses_.end()) return found->second;
    if (addresses_.size() >= max_addresses) forget_old(now);
    return addresses_.size() < max_addresses ? addresses_[address] : others_;
}

/// Those that have all their misses free are as good as new. Looked for once a second at most: a
/// flood from many addresses must not pay for a search each time.
void CancelMisses::forget_old(Time now) {
    if (now < next_forgetting_) return;
    next_forgetting_ = now + std::chrono::seconds(1);
    std::erase_if(addresses_, [now](const auto& entry) { return entry.second.all_free <= now; });
}

}  // namespace proxy
