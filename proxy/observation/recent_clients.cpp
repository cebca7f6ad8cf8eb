#include "proxy/observation/recent_clients.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;

/// A fallback follows its refusal within milliseconds on a LAN; an address shared by many programs
/// makes longer memories ambiguous, so the one that is not tied to a user serves only to claim
/// less.
constexpr std::chrono::milliseconds address_memory = 5s;
constexpr std::chrono::milliseconds caller_memory = 2s;
constexpr std::size_t max_recent = 10'000;

}  // namespace

void RecentClients::tls_began(const std::string& address) {
    const std::lock_guard lock(mutex_);
    ++tls_open_[address];
}

void RecentClients::tls_succeeded(const std::string& address) {
    const std::lock_guard lock(mutex_);
    close_tls(address);
}

void RecentClients::tls_failed(const std::string& address, Time now) {
    const std::lock_guard lock(mutex_);
    close_tls(address);
    note(tls_failed_, address, now);
}

void RecentClients::tls_declined(const std::string& address, Time now) {
    const std::lock_guard lock(mutex_);
    note(tls_declined_, address, now);
}

void RecentClients::login_denied_over_tls(const Caller& caller, Time now) {
    const std::lock_guard lock(mutex_);
    note(login_denied_, caller, now, caller_memory);
}

void RecentClients::rejected_in_clear(const Caller& caller, Time now) {
    const std::lock_guard lock(mutex_);
    note(rejected_in_clear_, caller, now, caller_memory);
}

bool RecentClients::may_have_failed_tls(const std::string& address, Time now) const {
    const std::lock_guard lock(mutex_);
    return tls_open_.contains(address) || is_recent(tls_failed_, address, now);
}

bool RecentClients::was_declined_tls(const std::string& address, Time now) const {
    const std::lock_guard lock(mutex_);
    return is_recent(tls_declined_, address, now);
}

bool RecentClients::was_denied_over_tls(const Caller& caller, Time now) const {
    const std::lock_guard lock(mutex_);
    return is_recent(login_denied_, caller, now);
}

bool RecentClients::was_rejected_in_clear(const Caller& caller, Time now) const {
    const std::lock_guard lock(mutex_);
    return is_recent(rejected_in_clear_, caller, now);
}

/// False: there is no room.
template <class Key>
bool RecentClients::note(Moments<Key>& moments, const Key& key, Time now, std::chrono::milliseconds memory) {
    if (moments.size() >= max_recent && !moments.contains(key)) {
        std::erase_if(moments, [&](const auto& entry) { return now - entry.second > memory; });
        if (moments.size() >= max_recent) return false;
    }
    moments[key] = now;
    return true;
}

void RecentClients::note(Addresses& addresses, const std::string& address, Time now) {
    if (!note(addresses.moments, address, now, address_memory)) addresses.flooded_until = now + address_memory;
}

bool RecentClients::is_recent(const Addresses& addresses, const std::string& address, Time now) {
    const auto found = addresses.moments.find(address);
    return now < addresses.flooded_until || (found != addresses.moments.end() && now - found->second <= address_memory);
}

bool RecentClients::is_recent(const Moments<Caller>& moments, const Caller& caller, Time now) {
    const auto found = moments.find(caller);
    return found != moments.end() && now - found->second <= caller_memory;
}

void RecentClients::close_tls(const std::string& address) {
    const auto open = tls_open_.find(address);
    if (open != tls_open_.end() && --open->second == 0) tls_open_.erase(open);
}

}  // namespace proxy
