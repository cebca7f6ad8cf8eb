#include "proxy/observation/scram_habits.hpp"

#include <algorithm>
#include <vector>

namespace proxy {
namespace {

/// An old driver has to fail once to be known: at most once a day, and never while it keeps coming
/// back.
constexpr std::chrono::hours memory{24};
/// An application that was turned away comes back within that, and a driver without SCRAM need not
/// wait longer.
constexpr std::chrono::seconds second_chance{10};
constexpr std::size_t max_habits = 10'000;

}  // namespace

void ScramHabits::spoke(const Caller& caller, Time now) {
    const std::lock_guard lock(mutex_);
    remember(spoke_, caller, now);
    left_.erase(caller);
}

void ScramHabits::left_offer(const Caller& caller, Time now) {
    const std::lock_guard lock(mutex_);
    if (is_recent(spoke_, caller, now, memory)) return;
    const bool wants_scram =
        is_recent(left_password_, caller, now, second_chance) && !is_recent(gave_password_, caller, now, memory);
    if (wants_scram) return;
    remember(left_, caller, now);
}

void ScramHabits::left_switch(const Caller& caller, Time now) {
    const std::lock_guard lock(mutex_);
    remember(left_, caller, now);
}

void ScramHabits::left_password(const Caller& caller, Time now) {
    const std::lock_guard lock(mutex_);
    left_.erase(caller);
    remember(left_password_, caller, now);
}

void ScramHabits::gave_password(const Caller& caller, Time now) {
    const std::lock_guard lock(mutex_);
    remember(gave_password_, caller, now);
}

bool ScramHabits::wants_password(const Caller& caller, Time now) {
    const std::lock_guard lock(mutex_);
    const bool left = is_recent(left_, caller, now, memory);
    if (left) remember(left_, caller, now);
    return left;
}

/// Where there is no room, the older half is forgotten: whoever fills it up with names must not
/// keep others out for a day.
void ScramHabits::remember(Moments& moments, const Caller& caller, Time now) {
    if (moments.size() >= max_habits && !moments.contains(caller)) {
        std::vector<Time> times;
        for (const auto& entry : moments) times.push_back(entry.second);
        const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
        std::nth_element(times.begin(), middle, times.end());
        std::erase_if(moments, [&](const auto& entry) { return entry.second <= *middle; });
    }
    moments[caller] = now;
}

bool ScramHabits::is_recent(const Moments& moments, const Caller& caller, Time now, std::chrono::seconds memory) {
    const auto found = moments.find(caller);
    return found != moments.end() && now - found->second <= memory;
}

}  // namespace proxy
