#include "proxy/observation/probe.hpp"

#include <algorithm>

namespace proxy {
namespace {

using config::ProbeKind;

/// Sources beyond that are not probed.
constexpr std::size_t max_sources = 10'000;
/// More of one source are not told apart.
constexpr std::size_t max_clients = 100;
/// libpq's fallback follows at once; a source that comes in clear later does so for another reason.
constexpr std::chrono::seconds fallback_time{5};

constexpr std::size_t index(ProbeKind kind) { return static_cast<std::size_t>(kind); }

bool in_window(const config::Probe& settings, Probes::Time now) {
    const auto& windows = settings.window;
    return windows.empty() ||
           std::any_of(windows.begin(), windows.end(), [&](const auto& w) { return now >= w.begin && now < w.end; });
}

}  // namespace

void Probes::restore(const Source& source, ProbeKind kind, const History& history) {
    const std::lock_guard lock(mutex_);
    if (states_.size() >= max_sources && !states_.contains(source)) return;
    states_[source].kinds[index(kind)] = history;
}

std::optional<ProbeKind> Probes::choose(const config::Probe& settings, const std::array<bool, 3>& available,
                                        const Source& source, Time now) {
    if (!settings.enabled || !in_window(settings, now)) return std::nullopt;
    const std::lock_guard lock(mutex_);
    State* const state = find(source);
    if (!state || !state->accepts_real || state->pending || state->falls_back || state->refuses_real ||
        is_ambiguous(source))
        return std::nullopt;
    for (History& history : state->kinds) {
        if (now - history.last_shown >= settings.cooldown) history = {};  // a new round: the client may have changed
    }
    const auto kind = wanted(*state, available);
    if (!kind || !within_budget(source, *state, settings, now)) return std::nullopt;
    if (std::uniform_real_distribution<double>(0, 1)(random_) >= settings.fraction) return std::nullopt;
    state->pending = true;
    return kind;
}

/// A close without an alert may be a coincidence: once is no answer (judge() in
/// protocol/verdict.cpp counts the same way).
bool Probes::answered(const History& history) { return history.by_alert || history.refused >= 2; }

/// The next thing that is not known about a source. Several clients may share it, and which of them
/// comes is not known yet: so a stranger's certificate is shown until all of them have accepted it,
/// or one has refused it.
std::optional<ProbeKind> Probes::wanted(const State& state, const std::array<bool, 3>& available) {
    const auto known = [&](ProbeKind kind) {
        return state.kinds[index(kind)].accepted > 0 || answered(state.kinds[index(kind)]);
    };
    const auto open = [&](ProbeKind kind) { return available[index(kind)] && !known(kind); };
    const bool all_accept =
        std::all_of(state.clients.begin(), state.clients.end(), [](const auto& client) { return client.second; });
    if (all_accept) return std::nullopt;
    if (available[index(ProbeKind::untrusted)] && !answered(state.kinds[index(ProbeKind::untrusted)]))
        return ProbeKind::untrusted;
    if (open(ProbeKind::candidate)) return ProbeKind::candidate;
    if (open(ProbeKind::wrong_name)) return ProbeKind::wrong_name;
    return std::nullopt;
}

/// A client of this host whose executable was not found may be any of those that are known by
/// theirs.
bool Probes::is_ambiguous(const Source& source) const {
    const auto next = states_.upper_bound(source);
    return source.exe.empty() && next != states_.end() && next->first.upstream == source.upstream &&
           next->first.address == source.address;
}

bool Probes::within_budget(const Source& source, const State& state, const config::Probe& settings, Time now) const {
    unsigned refused = 0;
    Time last = last_refused(state);
    for (const History& history : state.kinds) refused += history.refused;
    // What it lost before its executable was known.
    const auto nameless = states_.find({source.upstream, source.address, {}});
    if (nameless != states_.end() && !source.exe.empty()) {
        last = std::max(last, last_refused(nameless->second));
        for (const History& history : nameless->second.kinds) {
            if (now - history.last_shown < settings.cooldown) refused += history.refused;
        }
    }
    return refused < settings.max_per_client && now - last >= settings.grace;
}

Probes::Time Probes::last_refused(const State& state) {
    return std::max({state.kinds[0].last_refused, state.kinds[1].last_refused, state.kinds[2].last_refused});
}

void Probes::ended(const Source& source, std::optional<ProbeKind> shown, Outcome outcome, const std::string& client,
                   Time now) {
    const std::lock_guard lock(mutex_);
    State* const state = find(source);
    if (!state) return;
    if (outcome == Outcome::accepted && !client.empty() &&
        (state->clients.size() < max_clients || state->clients.contains(client))) {
        state->clients[client] |= shown == ProbeKind::untrusted;
    }
    if (!shown) {
        if (outcome == Outcome::accepted) state->accepts_real = true;
        if (outcome == Outcome::refused || outcome == Outcome::left) state->refuses_real = true;
        return;
    }
    state->pending = false;
    if (outcome == Outcome::neither) return;
    History& history = state->kinds[index(*shown)];
    ++history.shown;
    history.last_shown = now;
    if (outcome == Outcome::accepted) {
        ++history.accepted;
        return;
    }
    ++history.refused;
    history.by_alert |= outcome == Outcome::refused;
    history.last_refused = now;
}

void Probes::came_in_clear(const Source& source, Time now) {
    const std::lock_guard lock(mutex_);
    // Its executable may not have been found out by now: then it may be any at that address.
    for (auto at = states_.lower_bound({source.upstream, source.address, {}}); at != states_.end(); ++at) {
        auto& [other, state] = *at;
        if (other.upstream != source.upstream || other.address != source.address) break;
        const bool same = other.exe == source.exe || other.exe.empty() || source.exe.empty();
        if (same && (state.pending || now - last_refused(state) < fallback_time)) state.falls_back = true;
    }
}

Probes::State* Probes::find(const Source& source) {
    const auto found = states_.find(source);
    if (found != states_.end()) return &found->second;
    return states_.size() < max_sources ? &states_[source] : nullptr;
}

}  // namespace proxy
