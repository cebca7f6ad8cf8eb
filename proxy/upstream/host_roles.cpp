#include "proxy/upstream/host_roles.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <new>

namespace proxy {

using protocol::HostRole;

namespace {

using SystemClock = std::chrono::system_clock;

void log_change(const HostRoles::Change& change) {
    const HostRoles::Server& server = change.server;
    if (change.doubtful) {
        spdlog::debug("upstream \"{}\": {} was a {} and may be another by now ({})", server.upstream, server.address,
                      protocol::to_string(change.now), to_string(change.source));
    } else if (change.before != HostRole::unknown) {
        spdlog::info("upstream \"{}\": {} is a {} now, and was a {} ({})", server.upstream, server.address,
                     protocol::to_string(change.now), protocol::to_string(change.before), to_string(change.source));
    }
}

}  // namespace

/// Its mutex is held during a call, so that nobody leaves meanwhile.
struct HostRoles::Subscriber {
    explicit Subscriber(std::function<void(const Change&)> t) : told(std::move(t)) {}

    std::mutex calling;
    bool left = false;
    std::function<void(const Change&)> told;
};

std::string_view to_string(RoleSource source) noexcept {
    switch (source) {
        case RoleSource::login: return "login";
        case RoleSource::monitor: return "monitor";
        case RoleSource::certificate: return "certificate";
        case RoleSource::ending: return "ending";
        case RoleSource::outage: return "outage";
    }
    return "";
}

void HostRoles::learn(const Server& server, HostRole role, RoleSource source, TimePoint now) {
    std::vector<Change> changes;
    {
        const std::lock_guard lock(mutex_);
        Entry& entry = addresses_[{server.upstream, server.address}];
        entry.server = server;
        if (auto change = note(entry, role, source, now)) changes.push_back(std::move(*change));
        if (server.host != server.address) {
            Entry& host = hosts_[{server.upstream, server.host}];
            host.server = server;
            note(host, role, source, now);
        }
        const bool is_new_primary = !changes.empty() && role == HostRole::primary;
        for (auto& [key, other] : addresses_) {
            if (&other == &entry || other.known.doubtful || role == HostRole::unknown) continue;
            const bool is_deposed =
                is_new_primary && key.first == server.upstream && other.known.role == HostRole::primary;
            const bool is_outdated = key.second == server.address && other.known.role != role;
            if (is_deposed || is_outdated) doubt(other, source, changes);
        }
        make_room();
    }
    tell(changes);
}

void HostRoles::learn_read_only(const Server& server, const Login& login, bool read_only, TimePoint now) {
    if (login.may_choose_read_only) return;
    const std::lock_guard lock(mutex_);
    read_only_[{server.upstream, server.address, login.user, login.database}] = {.value = read_only, .learnt = now};
    make_room();
}

void HostRoles::doubt(const Server& server, RoleSource why) {
    std::vector<Change> changes;
    {
        const std::lock_guard lock(mutex_);
        for (auto& [key, entry] : addresses_) {
            if (key.second == server.address) doubt(entry, why, changes);
        }
    }
    tell(changes);
}

/// Of an outage everybody hears who tries: they must not all look again for it.
void HostRoles::doubt(Entry& entry, RoleSource why, std::vector<Change>& changes) {
    const auto host = hosts_.find({entry.server.upstream, entry.server.host});
    if (host != hosts_.end() && host->second.server.address == entry.server.address) host->second.known.doubtful = true;
    const bool was_doubtful = std::exchange(entry.known.doubtful, true);
    if (!was_doubtful || why != RoleSource::outage) entry.asked = {};
    entry.certain_since = {};
    const HostRole role = entry.known.role;
    if (was_doubtful || role == HostRole::unknown) return;
    changes.push_back({.server = entry.server, .before = role, .now = role, .doubtful = true, .source = why});
}

void HostRoles::shown(const Server& server, const std::string& subject) {
    std::vector<Server> doubted;
    {
        const std::lock_guard lock(mutex_);
        const auto note_subject = [&](std::map<Key, Entry>& entries, const std::string& key) {
            const auto found = entries.find({server.upstream, key});
            if (found == entries.end()) return;
            const std::string before = std::exchange(found->second.subject, subject);
            if (!before.empty() && before != subject) doubted.push_back(found->second.server);
        };
        note_subject(addresses_, server.address);
        if (server.host != server.address) note_subject(hosts_, server.host);
    }
    for (const Server& one : doubted) doubt(one, RoleSource::certificate);
}

HostRoles::Known HostRoles::of(const std::string& upstream, const std::string& key) const {
    const std::lock_guard lock(mutex_);
    for (const auto* entries : {&addresses_, &hosts_}) {
        const auto found = entries->find({upstream, key});
        if (found == entries->end()) continue;
        if (SystemClock::now() - found->second.known.seen > memory) return {};
        return found->second.known;
    }
    return {};
}

std::optional<bool> HostRoles::read_only(const std::string& upstream, const std::string& address, const Login& login,
                                         TimePoint now) const {
    if (login.may_choose_read_only) return std::nullopt;
    const std::lock_guard lock(mutex_);
    const auto found = read_only_.find({upstream, address, login.user, login.database});
    if (found == read_only_.end() || now - found->second.learnt > login_memory) return std::nullopt;
    return found->second.value;
}

std::optional<HostRoles::Look> HostRoles::look(const std::string& upstream, const std::string& address,
                                               const std::string& source, TimePoint now,
                                               std::chrono::milliseconds since) {
    const std::lock_guard lock(mutex_);
    auto found = addresses_.find({upstream, address});
    if (found == addresses_.end() && addresses_.size() >= max_remembered) return Look(nullptr, {}, 0);
    if (found == addresses_.end()) {
        const Server server{.upstream = upstream, .host = {}, .address = address};
        found = addresses_.emplace(Key{upstream, address}, Entry{.server = server, .known = {}}).first;
    }
    Entry& entry = found->second;
    if (now - entry.learnt < since) return std::nullopt;
    if (entry.asked != TimePoint{} && now - entry.asked < certain) return std::nullopt;
    look_in_vain(entry, entry.asked + certain);
    // What was long ago counts for nothing any more.
    std::erase_if(entry.passed_over, [now](const auto& one) { return one.second.until + longest_passing_over <= now; });
    const auto passed_over = entry.passed_over.find(source);
    if (passed_over != entry.passed_over.end() && now < passed_over->second.until) return std::nullopt;
    if (entry.vain >= vain_looks && !is_trusted(upstream, source, now)) {
        if (now - entry.stranger_looked < strangers_interval) return std::nullopt;
        entry.stranger_looked = now;
    }
    entry.asked = now;
    entry.looking = true;
    entry.looker = source;
    return Look(this, found->first, ++entry.looks);
}

/// They look one after the other, and of strangers there are few after the first looks in vain.
void HostRoles::look_in_vain(Entry& entry, TimePoint ended) {
    if (!std::exchange(entry.looking, false) || entry.asked == TimePoint{}) return;
    entry.vain = std::min(entry.vain + 1, vain_looks);
    PassedOver& looker = entry.passed_over[entry.looker];
    const TimePoint::duration longest = longest_passing_over;
    const bool trusted = is_trusted(entry.server.upstream, entry.looker, ended);
    looker.time = std::max(ended - entry.asked, trusted ? looker.time.zero() : std::min(2 * looker.time, longest));
    looker.until = ended + looker.time;
    if (entry.passed_over.size() <= max_trusted) return;
    const auto earlier = [](const auto& x, const auto& y) { return x.second.until < y.second.until; };
    entry.passed_over.erase(std::min_element(entry.passed_over.begin(), entry.passed_over.end(), earlier));
}

bool HostRoles::is_trusted(const std::string& upstream, const std::string& source, TimePoint now) const {
    const auto found = trusted_.find({upstream, source});
    return found != trusted_.end() && now - found->second < trust;
}

void HostRoles::trust_source(const std::string& upstream, const std::string& source, TimePoint now) {
    const std::lock_guard lock(mutex_);
    trusted_[{upstream, source}] = now;
    if (trusted_.size() <= max_trusted) return;
    const auto earlier = [](const auto& x, const auto& y) { return x.second < y.second; };
    trusted_.erase(std::min_element(trusted_.begin(), trusted_.end(), earlier));
}

void HostRoles::end_look(const Key& key, std::uint64_t number, TimePoint now) {
    const std::lock_guard lock(mutex_);
    const auto found = addresses_.find(key);
    if (found == addresses_.end() || !found->second.looking || found->second.looks != number) return;
    look_in_vain(found->second, std::min(now, found->second.asked + certain));
    found->second.asked = {};
}

void HostRoles::Look::end(TimePoint now) noexcept {
    HostRoles* const roles = std::exchange(roles_, nullptr);
    if (roles == nullptr) return;
    try {
        roles->end_look(key_, number_, now);
    } catch (const std::bad_alloc&) {
        // It counts for what it could have been, `certain`.
    }
}

std::chrono::system_clock::time_point HostRoles::certain_since(const std::string& upstream, HostRole role) const {
    SystemClock::time_point last{};
    const std::lock_guard lock(mutex_);
    for (auto one = addresses_.lower_bound({upstream, ""}); one != addresses_.end(); ++one) {
        if (one->first.first != upstream) break;
        const Entry& entry = one->second;
        if (entry.known.role == role && !entry.known.doubtful) last = std::max(last, entry.certain_since);
    }
    return last;
}

std::map<std::string, HostRoles::Known> HostRoles::addresses(const std::string& upstream) const {
    std::map<std::string, Known> all;
    const auto now = SystemClock::now();
    const std::lock_guard lock(mutex_);
    for (auto one = addresses_.lower_bound({upstream, ""}); one != addresses_.end(); ++one) {
        if (one->first.first != upstream) break;
        if (now - one->second.known.seen <= memory) all.emplace(one->first.second, one->second.known);
    }
    return all;
}

std::vector<std::pair<HostRoles::Server, HostRoles::Known>> HostRoles::all() const {
    std::vector<std::pair<Server, Known>> all;
    const auto now = SystemClock::now();
    const std::lock_guard lock(mutex_);
    for (const auto* entries : {&addresses_, &hosts_}) {
        for (const auto& [key, entry] : *entries) {
            if (entry.known.role != HostRole::unknown && now - entry.known.seen <= memory)
                all.emplace_back(entry.server, entry.known);
        }
    }
    return all;
}

HostRoles::Subscription HostRoles::subscribe(std::function<void(const Change&)> told) {
    const auto subscriber = std::make_shared<Subscriber>(std::move(told));
    const std::lock_guard lock(telling_);
    std::erase_if(subscribers_, [](const auto& one) { return one.expired(); });
    subscribers_.push_back(subscriber);
    return Subscription(nullptr, [subscriber](const void*) {
        const std::lock_guard calling(subscriber->calling);
        subscriber->left = true;
    });
}

/// A value: it is in another role than it was.
std::optional<HostRoles::Change> HostRoles::note(Entry& entry, HostRole role, RoleSource source, TimePoint now) {
    Known& known = entry.known;
    known.seen = SystemClock::now();
    entry.learnt = now;
    if (role == HostRole::unknown) return std::nullopt;
    entry.asked = now;
    entry.looking = false;
    entry.passed_over.clear();
    entry.vain = 0;
    const HostRole before = std::exchange(known.role, role);
    const bool was_doubtful = std::exchange(known.doubtful, false);
    if (was_doubtful || before != role) entry.certain_since = known.seen;
    known.source = source;
    if (before == role) return std::nullopt;
    known.since = known.seen;
    return Change{.server = entry.server, .before = before, .now = role, .source = source};
}

void HostRoles::make_room() {
    const auto earlier = [](const auto& a, const auto& b) { return a.second.learnt < b.second.learnt; };
    for (auto* entries : {&addresses_, &hosts_}) {
        if (entries->size() > max_remembered)
            entries->erase(std::min_element(entries->begin(), entries->end(), earlier));
    }
    if (read_only_.size() > max_remembered)
        read_only_.erase(std::min_element(read_only_.begin(), read_only_.end(), earlier));
}

/// Whoever has found it out has no part in what others make of it, nor in their want of memory.
void HostRoles::tell(const std::vector<Change>& changes) noexcept {
    if (changes.empty()) return;
    std::vector<std::shared_ptr<Subscriber>> subscribers;
    try {
        const std::lock_guard lock(telling_);
        subscribers.reserve(subscribers_.size());
        for (const auto& one : subscribers_) {
            if (auto subscriber = one.lock()) subscribers.push_back(std::move(subscriber));
        }
    } catch (const std::bad_alloc& error) {
        spdlog::error("a change of a server's role was told nobody: {}", error.what());
        return;
    }
    for (const Change& change : changes) {
        log_change(change);
        for (const auto& subscriber : subscribers) tell(*subscriber, change);
    }
}

void HostRoles::tell(Subscriber& subscriber, const Change& change) noexcept {
    const std::lock_guard calling(subscriber.calling);
    if (subscriber.left) return;
    try {
        subscriber.told(change);
    } catch (const std::exception& error) {
        spdlog::error("a change of a server's role was not told everywhere: {}", error.what());
    }
}

}  // namespace proxy
