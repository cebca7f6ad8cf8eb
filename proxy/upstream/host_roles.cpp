#include "proxy/upstream/host_roles.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

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
        const bool promoted = !changes.empty() && changes[0].before == HostRole::standby;
        for (auto& [key, other] : addresses_) {
            if (!promoted || role != HostRole::primary || key.first != server.upstream || &other == &entry) continue;
            if (other.known.role != HostRole::primary || other.known.doubtful) continue;
            other.known.doubtful = true;
            changes.push_back({.server = other.server,
                               .before = HostRole::primary,
                               .now = HostRole::primary,
                               .doubtful = true,
                               .source = source});
        }
        make_room();
    }
    tell(changes);
}

void HostRoles::learn_read_only(const Server& server, const Login& login, bool read_only, TimePoint now) {
    const std::lock_guard lock(mutex_);
    read_only_[{server.upstream, server.address, login.user, login.database}] = {.value = read_only, .learnt = now};
    make_room();
}

void HostRoles::doubt(const Server& server, RoleSource why) {
    std::vector<Change> changes;
    {
        const std::lock_guard lock(mutex_);
        const auto found = addresses_.find({server.upstream, server.address});
        if (found == addresses_.end()) return;
        Entry& entry = found->second;
        const auto host = hosts_.find({server.upstream, entry.server.host});
        if (host != hosts_.end() && host->second.server.address == server.address) host->second.known.doubtful = true;
        entry.asked = {};
        const HostRole role = entry.known.role;
        if (std::exchange(entry.known.doubtful, true) || role == HostRole::unknown) return;
        changes.push_back({.server = entry.server, .before = role, .now = role, .doubtful = true, .source = why});
    }
    tell(changes);
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
    const std::lock_guard lock(mutex_);
    const auto found = read_only_.find({upstream, address, login.user, login.database});
    if (found == read_only_.end() || now - found->second.learnt > login_memory) return std::nullopt;
    return found->second.value;
}

bool HostRoles::may_ask(const std::string& upstream, const std::string& address, TimePoint now) {
    const std::lock_guard lock(mutex_);
    const auto found = addresses_.find({upstream, address});
    if (found == addresses_.end()) return true;
    if (found->second.asked != TimePoint{} && now - found->second.asked < certain) return false;
    found->second.asked = now;
    return true;
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
    const HostRole before = std::exchange(known.role, role);
    known.doubtful = false;
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

void HostRoles::tell(const std::vector<Change>& changes) {
    if (changes.empty()) return;
    std::vector<std::shared_ptr<Subscriber>> subscribers;
    {
        const std::lock_guard lock(telling_);
        for (const auto& one : subscribers_) {
            if (auto subscriber = one.lock()) subscribers.push_back(std::move(subscriber));
        }
    }
    for (const Change& change : changes) {
        log_change(change);
        for (const auto& subscriber : subscribers) {
            const std::lock_guard calling(subscriber->calling);
            if (!subscriber->left) subscriber->told(change);
        }
    }
}

}  // namespace proxy
