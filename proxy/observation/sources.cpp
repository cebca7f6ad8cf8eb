#include "proxy/observation/sources.hpp"

#include <algorithm>
#include <vector>

namespace proxy {
namespace {

using namespace std::chrono_literals;

/// A fallback follows its refusal within milliseconds on a LAN; an address shared by many programs
/// makes longer memories ambiguous, so the one that is not tied to a user serves only to claim
/// less.
constexpr std::chrono::milliseconds address_memory = 5s;
constexpr std::chrono::milliseconds identity_memory = 2s;
/// An old driver has to fail once to be known: at most once a day, and never while it keeps coming
/// back.
constexpr std::chrono::milliseconds scram_memory = 24h;
constexpr std::size_t max_entries = 10'000;

}  // namespace

void Sources::tls_began(const std::string& address) {
    const std::lock_guard lock(mutex_);
    ++tls_open_[address];
}

void Sources::tls_ended(const std::string& address, bool refused, Time now) {
    const std::lock_guard lock(mutex_);
    const auto open = tls_open_.find(address);
    if (open != tls_open_.end() && --open->second == 0) tls_open_.erase(open);
    if (!refused) return;
    if (!note(tls_refused_, address, now, address_memory)) flooded_until_ = now + address_memory;
}

void Sources::tls_declined(const std::string& address, Time now) {
    const std::lock_guard lock(mutex_);
    if (!note(tls_declined_, address, now, address_memory)) declined_flooded_until_ = now + address_memory;
}

void Sources::login_refused_over_tls(const Identity& identity, Time now) {
    const std::lock_guard lock(mutex_);
    note(login_refused_, identity, now, identity_memory);
}

void Sources::clear_refused(const Identity& identity, Time now) {
    const std::lock_guard lock(mutex_);
    note(clear_refused_, identity, now, identity_memory);
}

void Sources::scram_spoken(const Identity& identity, Time now) {
    const std::lock_guard lock(mutex_);
    remember(scram_spoken_, identity, now);
}

void Sources::scram_declined(const Identity& identity, Time now) {
    const std::lock_guard lock(mutex_);
    if (recent(scram_spoken_, identity, now, scram_memory)) return;
    remember(scram_declined_, identity, now);
}

void Sources::switch_declined(const Identity& identity, Time now) {
    const std::lock_guard lock(mutex_);
    remember(scram_declined_, identity, now);
}

void Sources::password_declined(const Identity& identity) {
    const std::lock_guard lock(mutex_);
    scram_declined_.erase(identity);
}

bool Sources::scram_was_declined(const Identity& identity, Time now) {
    const std::lock_guard lock(mutex_);
    const bool declined = recent(scram_declined_, identity, now, scram_memory);
    if (declined) remember(scram_declined_, identity, now);
    return declined;
}

bool Sources::tls_was_refused(const std::string& address, Time now) const {
    const std::lock_guard lock(mutex_);
    return tls_open_.contains(address) || now < flooded_until_ || recent(tls_refused_, address, now, address_memory);
}

bool Sources::tls_was_declined(const std::string& address, Time now) const {
    const std::lock_guard lock(mutex_);
    return now < declined_flooded_until_ || recent(tls_declined_, address, now, address_memory);
}

bool Sources::login_was_refused_over_tls(const Identity& identity, Time now) const {
    const std::lock_guard lock(mutex_);
    return recent(login_refused_, identity, now, identity_memory);
}

bool Sources::clear_was_refused(const Identity& identity, Time now) const {
    const std::lock_guard lock(mutex_);
    return recent(clear_refused_, identity, now, identity_memory);
}

/// False: there is no room.
template <class Key>
bool Sources::note(Moments<Key>& moments, const Key& key, Time now, std::chrono::milliseconds memory) {
    if (moments.size() >= max_entries && !moments.contains(key)) {
        std::erase_if(moments, [&](const auto& entry) { return now - entry.second > memory; });
        if (moments.size() >= max_entries) return false;
    }
    moments[key] = now;
    return true;
}

/// Where there is no room, the older half is forgotten: whoever fills it up with names must not
/// keep others out for a day.
void Sources::remember(Moments<Identity>& moments, const Identity& identity, Time now) {
    if (moments.size() >= max_entries && !moments.contains(identity)) {
        std::vector<Time> times;
        for (const auto& entry : moments) times.push_back(entry.second);
        const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
        std::nth_element(times.begin(), middle, times.end());
        std::erase_if(moments, [&](const auto& entry) { return entry.second <= *middle; });
    }
    moments[identity] = now;
}

template <class Key>
bool Sources::recent(const Moments<Key>& moments, const Key& key, Time now, std::chrono::milliseconds memory) {
    const auto found = moments.find(key);
    return found != moments.end() && now - found->second <= memory;
}

}  // namespace proxy
