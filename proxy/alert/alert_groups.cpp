#include "proxy/alert/alert_groups.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "proxy/record/event_json.hpp"

namespace proxy {
namespace {

bool names(const std::vector<std::string>& filter, const std::string& name) {
    return filter.empty() || name.empty() || std::find(filter.begin(), filter.end(), name) != filter.end();
}

}  // namespace

bool AlertGroups::notice(const Event& event, const config::Alert& settings, const std::string& proxy,
                         Clock::time_point now) {
    if (!names(settings.listeners, event.record.listener) || !names(settings.upstreams, event.record.upstream))
        return false;
    const bool had_changed = changed_;
    const Now noticed{.event = event, .settings = settings, .proxy = proxy, .time = now};
    for (const config::AlertKind kind : settings.on) {
        const Key key{.kind = kind, .upstream = event.record.upstream, .status = AlertStatus::firing};
        if (concerns(kind, event)) {
            if (is_told_by_another(kind, settings.on, event)) {
                go_on(key, noticed);
            } else {
                begin(key, noticed);
            }
        } else if (settings.send_resolved && firing_.size() > 0 && ends(kind, event)) {
            end(key, noticed);
        }
    }
    return changed_ && !had_changed;
}

void AlertGroups::begin(const Key& key, const Now& now) {
    go_on(key, now);
    const std::string line = alert_line(key.kind, now.event);
    AlertMessage& message = group(key, now).message;
    message.add(line, now.event.time, [&] { return to_json(now.event, now.proxy); });
    if (!can_end(key.kind)) return;
    Firing* const known = firing_.find(key);
    Firing& firing =
        known ? *known : firing_.put(key, {.began = now.time, .seen = now.time, .since = now.event.time, .last = {}});
    firing.seen = now.time;
    firing.last_at = now.event.time;
    ++firing.count;
    firing.last = line;
    message.since = firing.since;
}

/// Also where another word tells of it: what is going on has not ended.
void AlertGroups::go_on(const Key& key, const Now& now) {
    withdraw_end(key);
    if (Firing* const firing = firing_.find(key)) firing->seen = now.time;
}

void AlertGroups::end(const Key& key, const Now& now) {
    Firing* const firing = firing_.find(key);
    if (!firing) return;
    // Of several addresses one may serve and another not: not at the first success.
    const bool is_one_thing = key.kind == config::AlertKind::reload_failed;
    if (!is_one_thing && now.time - firing->seen < now.settings.group_interval) return;
    std::vector<AlertMessage::Shown> lines = told_of_end(*firing, now.time);
    Group& over = group({.kind = key.kind, .upstream = key.upstream, .status = AlertStatus::resolved}, now);
    over.message.count = firing->count;
    over.message.since = firing->since;
    over.message.first_at = over.message.last_at = now.event.time;
    over.message.shown = std::move(lines);
    over.over = std::move(*firing);
    firing_.erase(key);
    // What began is told before its end, and does not keep the end waiting.
    if (const auto begun = groups_.find(key); begun != groups_.end())
        begun->second.due = std::min(begun->second.due, over.due);
}

/// What it was, since when, and for how long: whoever reads it need not look for the beginning.
std::vector<AlertMessage::Shown> AlertGroups::told_of_end(const Firing& was, Clock::time_point now) {
    std::string when = "firing since " + tls::to_rfc3339(was.since) + ", for " + how_long(now - was.began);
    if (was.count > 1) {
        when += ": " + std::to_string(was.count) + " times, the last at " + tls::to_rfc3339(was.last_at);
    }
    return {{.line = "the last was: " + was.last}, {.line = std::move(when)}};
}

/// The one that grows, or another that begins.
AlertGroups::Group& AlertGroups::group(const Key& key, const Now& now) {
    auto group = groups_.find(key);
    if (group == groups_.end()) {
        AlertMessage message{.id = next_id_(), .kind = key.kind, .status = key.status, .upstream = key.upstream};
        auto due = now.time + now.settings.group_wait;
        if (const Clock::time_point* const sent = sent_.find(key))
            due = std::max(due, *sent + now.settings.group_interval);
        group = groups_.emplace(key, Group{.message = std::move(message), .due = due}).first;
    }
    group->second.changed = true;
    changed_ = true;
    return group->second;
}

/// It goes on: an end that nobody was told of was none.
void AlertGroups::withdraw_end(const Key& begun) {
    const auto end = groups_.find({.kind = begun.kind, .upstream = begun.upstream, .status = AlertStatus::resolved});
    if (end == groups_.end()) return;
    withdrawn_.reserve(withdrawn_.size() + 1);
    firing_.put(begun, std::move(end->second.over));
    withdrawn_.push_back(std::move(end->second.message.id));
    groups_.erase(end);
    changed_ = true;
}

/// What needs memory comes first: nothing is taken that could not be handed over.
AlertGroups::Taken AlertGroups::take(Clock::time_point now, std::size_t room, bool all) {
    Taken taken;
    taken.ready.reserve(std::min(room, groups_.size()));
    std::size_t ready = 0;
    // In the order of keys: of one thing the beginning before the end.
    for (auto& [key, group] : groups_) {
        group.taken = (all || group.due <= now) && ready < room;
        if (group.taken) {
            sent_.put(key, now);
            ++ready;
        } else if (group.changed) {
            taken.changed.push_back(group.message);
        }
    }
    for (auto at = groups_.begin(); at != groups_.end();) {
        at->second.changed = false;
        if (at->second.taken) taken.ready.push_back(std::move(at->second.message));
        at = at->second.taken ? groups_.erase(at) : std::next(at);
    }
    taken.withdrawn = std::exchange(withdrawn_, {});
    changed_ = false;
    return taken;
}

AlertGroups::Clock::time_point AlertGroups::due() const noexcept {
    auto first = Clock::time_point::max();
    for (const auto& [key, group] : groups_) first = std::min(first, group.due);
    return first;
}

}  // namespace proxy
