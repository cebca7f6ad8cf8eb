#include "proxy/alert/alert_groups.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "proxy/record/event_json.hpp"

namespace proxy {
namespace {

/// More than a configuration has upstreams; they come and go with reloads.
constexpr std::size_t max_remembered = 1'000;

bool names(const std::vector<std::string>& filter, const std::string& name) {
    return filter.empty() || name.empty() || std::find(filter.begin(), filter.end(), name) != filter.end();
}

}  // namespace

bool AlertGroups::notice(const Event& event, const config::Alert& settings, const std::string& proxy,
                         Clock::time_point now) {
    if (!names(settings.listeners, event.record.listener) || !names(settings.upstreams, event.record.upstream))
        return false;
    const bool had_changed = changed_;
    for (const config::AlertKind kind : settings.on) {
        const bool begins = concerns(kind, event);
        const bool may_end = !begins && !firing_.empty() && settings.send_resolved && ends(kind, event);
        if (!begins && !may_end) continue;
        const Key key{.kind = kind, .upstream = event.record.upstream, .status = AlertStatus::firing};
        if (begins) {
            withdraw_end(key);
            add(key, event, settings, proxy, now);
            if (firing_.size() >= max_remembered) firing_.clear();
            if (can_end(kind)) firing_[key] = now;
        } else {
            const auto firing = firing_.find(key);
            if (firing == firing_.end()) continue;
            // Of several addresses one may serve and another not: not at the first success.
            const bool is_one_thing = kind == config::AlertKind::reload_failed;
            if (!is_one_thing && now - firing->second < settings.group_interval) continue;
            const Key end{.kind = kind, .upstream = key.upstream, .status = AlertStatus::resolved};
            add(end, event, settings, proxy, now);
            firing_.erase(firing);
            // What began is told before its end, and does not keep the end waiting.
            if (const auto begun = groups_.find(key); begun != groups_.end())
                begun->second.due = std::min(begun->second.due, groups_.at(end).due);
        }
    }
    return changed_ && !had_changed;
}

void AlertGroups::add(const Key& key, const Event& event, const config::Alert& settings, const std::string& proxy,
                      Clock::time_point now) {
    auto group = groups_.find(key);
    if (group == groups_.end()) {
        AlertMessage message{.id = next_id_(), .kind = key.kind, .status = key.status, .upstream = key.upstream};
        auto due = now + settings.group_wait;
        if (const auto sent = sent_.find(key); sent != sent_.end())
            due = std::max(due, sent->second + settings.group_interval);
        group = groups_.emplace(key, Group{.message = std::move(message), .due = due}).first;
    }
    const std::string line = key.status == AlertStatus::resolved ? std::string() : alert_line(key.kind, event);
    if (line.empty()) {
        group->second.message.last_at = event.time;
        if (group->second.message.count++ == 0) group->second.message.first_at = event.time;
    } else {
        group->second.message.add(line, event.time, [&] { return to_json(event, proxy); });
    }
    group->second.changed = true;
    changed_ = true;
}

/// It goes on: an end that nobody was told of was none.
void AlertGroups::withdraw_end(const Key& begun) {
    const auto end = groups_.find({.kind = begun.kind, .upstream = begun.upstream, .status = AlertStatus::resolved});
    if (end == groups_.end()) return;
    withdrawn_.push_back(end->second.message.id);
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
            if (sent_.size() >= max_remembered) sent_.clear();
            sent_[key] = now;
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
