#include "proxy/alert/alert_groups.hpp"

#include <algorithm>

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
            add(key, event, settings, proxy, now);
            if (firing_.size() >= max_remembered) firing_.clear();
            if (can_end(kind)) firing_[key] = now;
        } else {
            const auto firing = firing_.find(key);
            if (firing == firing_.end()) continue;
            // Of several addresses one may serve and another not: not at the first success.
            const bool is_one_thing = kind == config::AlertKind::reload_failed;
            if (!is_one_thing && now - firing->second < settings.group_interval) continue;
            firing_.erase(firing);
            add({.kind = kind, .upstream = key.upstream, .status = AlertStatus::resolved}, event, settings, proxy, now);
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

AlertGroups::Taken AlertGroups::take(Clock::time_point now, std::size_t room, bool all) {
    Taken taken;
    for (auto at = groups_.begin(); at != groups_.end();) {
        auto& [key, group] = *at;
        if ((all || group.due <= now) && taken.ready.size() < room) {
            if (sent_.size() >= max_remembered) sent_.clear();
            sent_[key] = now;
            taken.ready.push_back(std::move(group.message));
            at = groups_.erase(at);
            continue;
        }
        if (std::exchange(group.changed, false)) taken.changed.push_back(group.message);
        ++at;
    }
    changed_ = false;
    return taken;
}

AlertGroups::Clock::time_point AlertGroups::due() const noexcept {
    auto first = Clock::time_point::max();
    for (const auto& [key, group] : groups_) first = std::min(first, group.due);
    return first;
}

}  // namespace proxy
