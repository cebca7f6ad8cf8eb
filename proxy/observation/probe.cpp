#include "proxy/observation/probe.hpp"

#include <algorithm>

namespace proxy {
namespace {

using config::ProbeKind;

/// Sources beyond that are not probed.
constexpr std::size_t max_sources = 10'000;
/// More of one source are not told apart.
constexpr std::size_t max_clients_of_source = 100;
/// libpq's fallback follows at once; a source that comes in clear later does so for another reason.
constexpr std::chrono::seconds fallback_time{5};

bool in_window(const config::Probe& settings, Probes::Time now) {
    const auto& windows = settings.window;
    return windows.empty() ||
           std::any_of(windows.begin(), windows.end(), [&](const auto& w) { return now >= w.begin && now < w.end; });
}

}  // namespace

void Probes::restore(const ClientOrigin& source, ProbeKind kind, const History& history) {
    const std::lock_guard lock(mutex_);
    if (states_.size() >= max_sources && !states_.contains(source)) return;
    states_[source].kinds[kind] = history;
}

std::optional<ProbeKind> Probes::choose(const config::Probe& settings, const config::PerProbeKind<bool>& available,
                                        const ClientOrigin& source, Time now) {
    if (!settings.enabled || !in_window(settings, now)) return std::nullopt;
    const std::lock_guard lock(mutex_);
    State* const state = find(source);
    if (!state || !state->accepts_real || state->pending || state->falls_back || state->refuses_real ||
        is_ambiguous(source))
        return std::nullopt;
    for (const ProbeKind kind : protocol::probe_kinds) {
        History& history = state->kinds[kind];
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
std::optional<ProbeKind> Probes::wanted(const State& state, const config::PerProbeKind<bool>& available) {
    const auto known = [&](ProbeKind kind) { return state.kinds[kind].accepted > 0 || answered(state.kinds[kind]); };
    const auto open = [&](ProbeKind kind) { return available[kind] && !known(kind); };
    const bool all_accept =
        std::all_of(state.clients.begin(), state.clients.end(), [](const auto& client) { return client.second; });
    if (all_accept) return std::nullopt;
    if (available[ProbeKind::untrusted] && !answered(state.kinds[ProbeKind::untrusted])) return ProbeKind::untrusted;
    if (open(ProbeKind::candidate)) return ProbeKind::candidate;
    if (open(ProbeKind::wrong_name)) return ProbeKind::wrong_name;
    return std::nullopt;
}

/// A client of this host whose executable was not found may be any of those that are known by
/// theirs.
bool Probes::is_ambiguous(const ClientOrigin& source) const {
    const auto next = states_.upper_bound(source);
    return source.client_exe.empty() && next != states_.end() && next->first.upstream == source.upstream &&
           next->first.client_addr == source.client_addr;
}

bool Probes::within_budget(const ClientOrigin& source, const State& state, const config::Probe& settings,
                           Time now) const {
    unsigned refused = 0;
    Time last = last_refused(state);
    for (const ProbeKind kind : protocol::probe_kinds) refused += state.kinds[kind].refused;
    // What it lost before its executable was known.
    const auto nameless = states_.find({source.upstream, source.client_addr, {}});
    if (nameless != states_.end() && !source.client_exe.empty()) {
        last = std::max(last, last_refused(nameless->second));
        for (const ProbeKind kind : protocol::probe_kinds) {
            const History& history = nameless->second.kinds[kind];
            if (now - history.last_shown < settings.cooldown) refused += history.refused;
        }
    }
    return refused < settings.max_per_client && now - last >= settings.grace;
}

Probes::Time Probes::last_refused(const State& state) {
    Time last{};
    for (const ProbeKind kind : protocol::probe_kinds) last = std::max(last, state.kinds[kind].last_refused);
    return last;
}

void Probes::ended(const ClientOrigin& source, const Result& result, Time now) {
    const std::lock_guard lock(mutex_);
    State* const state = find(source);
    if (!state) return;
    const auto& [shown, outcome, client] = result;
    if (outcome == Outcome::accepted && client &&
        (state->clients.size() < max_clients_of_source || state->clients.contains(*client))) {
        state->clients[*client] |= shown == ProbeKind::untrusted;
    }
    if (!shown) {
        if (outcome == Outcome::accepted) state->accepts_real = true;
        if (outcome == Outcome::refused || outcome == Outcome::left) state->refuses_real = true;
        return;
    }
    state->pending = false;
    if (outcome == Outcome::neither) return;
    History& history = state->kinds[*shown];
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

void Probes::came_in_clear(const ClientOrigin& source, Time now) {
    const std::lock_guard lock(mutex_);
    // Its executable may not have been found out by now: then it may be any at that address.
    for (auto at = states_.lower_bound({source.upstream, source.client_addr, {}}); at != states_.end(); ++at) {
        auto& [other, state] = *at;
        if (other.upstream != source.upstream || other.client_addr != source.client_addr) break;
        const bool same =
            other.client_exe == source.client_exe || other.client_exe.empty() || source.client_exe.empty();
        if (same && (state.pending || now - last_refused(state) < fallback_time)) state.falls_back = true;
    }
}

Probes::State* Probes::find(const ClientOrigin& source) {
    const auto found = states_.find(source);
    if (found != states_.end()) return &found->second;
    return states_.size() < max_sources ? &states_[source] : nullptr;
}

}  // namespace proxy
