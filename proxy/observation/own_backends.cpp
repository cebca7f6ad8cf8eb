#include "proxy/observation/own_backends.hpp"

#include <algorithm>
#include <new>

namespace proxy {

OwnBackends::Place* OwnBackends::place(const std::string& address, std::uint32_t pid) noexcept {
    const auto [begin, end] = places_.equal_range(pid);
    for (auto it = begin; it != end; ++it) {
        if (it->second.address == address) return &it->second;
    }
    return nullptr;
}

void OwnBackends::began(const std::string& address, std::uint32_t pid, Time now) {
    const std::lock_guard lock(mutex_);
    Place* known = place(address, pid);
    if (!known) known = &places_.emplace(pid, Place{.address = address})->second;
    ++known->open;
    known->registered = now;
}

void OwnBackends::ended(const std::string& address, std::uint32_t pid, Time now) noexcept {
    const std::lock_guard lock(mutex_);
    Place* const known = place(address, pid);
    if (!known || known->open == 0) return;
    --known->open;
    known->ended = now;
    try {
        ended_.push_back({.when = now, .pid = pid, .address = address});
    } catch (const std::bad_alloc&) {
        forget({.when = now, .pid = pid, .address = {}});
    }
    while (!ended_.empty() && (ended_.size() > max_remembered || now - ended_.front().when > remembered)) {
        forget(ended_.front());
        ended_.pop_front();
    }
}

/// Unless another one of the same pid is there, or has ended since.
void OwnBackends::forget(const Ended& one) noexcept {
    const auto [begin, end] = places_.equal_range(one.pid);
    for (auto it = begin; it != end; ++it) {
        const Place& known = it->second;
        if (known.open > 0 || known.ended != one.when || (!one.address.empty() && known.address != one.address))
            continue;
        places_.erase(it);
        return;
    }
}

std::optional<OwnBackends::Known> OwnBackends::find(const std::set<std::string>& addresses, std::uint32_t pid) const {
    std::optional<Known> found;
    const std::lock_guard lock(mutex_);
    const auto [begin, end] = places_.equal_range(pid);
    for (auto it = begin; it != end; ++it) {
        const Place& known = it->second;
        if (!addresses.contains(known.address)) continue;
        if (!found) found.emplace();
        found->open = found->open || known.open > 0;
        found->registered = std::max(found->registered, known.registered);
    }
    return found;
}

}  // namespace proxy
