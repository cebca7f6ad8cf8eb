#include "proxy/inventory/client_news.hpp"

#include <algorithm>
#include <utility>

namespace proxy {
namespace {

std::string to_text(const protocol::SslModeInterval& interval) {
    const std::string min(to_string(interval.min));
    return interval.min == interval.max ? min : min + ".." + std::string(to_string(interval.max));
}

std::vector<protocol::Observation> with_new(std::vector<protocol::Observation> stored, const ClientChange& change) {
    for (const auto& [which, seen] : change.evidence) {
        stored.push_back(
            {.evidence = which.first, .first_seen = seen.first, .last_seen = seen.last, .count = seen.count});
    }
    return stored;
}

Event event_about(EventKind kind, const ClientIdentity& key, const ClientChange& change) {
    Event event{.kind = kind};
    event.record.session = change.seen.session;
    event.record.listener = change.listener;
    event.record.upstream = key.upstream;
    event.record.client_addr = key.client_addr;
    event.record.process = change.process;
    event.record.usename = key.usename;
    event.record.datname = key.datname;
    event.record.application_name = key.application_name;
    event.record.client_tls.version = change.version;
    event.record.ssl = !change.version.empty();
    return event;
}

/// What was known before: the evidence stored, or when all of it is new, all but the newest.
protocol::Verdict former(std::vector<protocol::Observation> stored, std::vector<protocol::Observation> all) {
    if (!stored.empty()) return protocol::judge(std::move(stored));
    const auto newest = std::max_element(all.begin(), all.end(),
                                         [](const auto& a, const auto& b) { return a.last_seen < b.last_seen; });
    if (newest != all.end()) all.erase(newest);
    return protocol::judge(std::move(all));
}

bool does_not_verify(std::vector<protocol::Observation> evidence) {
    return protocol::judge(std::move(evidence)).verifies == protocol::Verifies::no;
}

}  // namespace

std::optional<Event> weak_news(const KnownClient& known, const ClientIdentity& who, const ClientChange& change) {
    if (change.connections == 0 || known.logged_in_weak) return std::nullopt;
    if (!known.evidence.empty() && does_not_verify(known.evidence)) return std::nullopt;
    const bool is_weak = change.plain > 0 || change.weak_tls > 0;
    if (!is_weak && !does_not_verify(with_new(known.evidence, change))) return std::nullopt;
    Event event = event_about(EventKind::new_weak_client, who, change);
    for (const auto& [which, seen] : change.evidence) event.record.evidence.push_back(which.first);
    return event;
}

std::optional<Event> changed_news(std::vector<protocol::Observation> known, const ClientIdentity& who,
                                  const ClientChange& change) {
    std::vector<protocol::Observation> all = with_new(known, change);
    const protocol::Verdict now = protocol::judge(all);
    if (!now.mixed) return std::nullopt;
    const protocol::Verdict before = former(std::move(known), std::move(all));
    if (before.mixed && intersect(before.newest, now.newest)) return std::nullopt;
    Event event = event_about(EventKind::client_changed, who, change);
    event.weaker = now.newest.max < before.newest.max;
    for (const auto& [which, seen] : change.evidence) {
        if (intersect(protocol::proves(which.first), now.newest)) event.record.evidence.push_back(which.first);
    }
    event.message = "sslmode was " + to_text(before.newest) + ", is " + to_text(now.newest);
    return event;
}

}  // namespace proxy
