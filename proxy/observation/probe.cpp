#include "proxy/observation/probe.hpp"

#include <algorithm>
#include <functional>
#include <string>

#include "proxy/observation/same_source.hpp"

namespace proxy {
namespace {

using config::ProbeKind;

/// Beyond that the one that was not seen longest is forgotten, with what is left of its budget: the
/// inventory has it, and max_per_hour bounds what many new ones can lose.
constexpr std::size_t max_sources = 10'000;
/// More of one source are not told apart.
constexpr std::size_t max_clients_of_source = 100;
constexpr std::size_t max_refusals_of_source = 16;
/// A client that refuses the real certificate is probed once it has not done so for that long: it
/// was repaired, or is gone.
constexpr std::chrono::hours refusal_memory{24};
/// libpq's fallback follows at once; a source that comes in clear later does so for another reason.
constexpr std::chrono::seconds fallback_time{5};
constexpr std::chrono::hours budget_time{1};
/// What two looks at two clocks, and what NTP corrects without a jump, may differ by.
constexpr std::chrono::seconds smallest_jump{2};
/// Of one source and kind, when they are read back: more are not in one hour's budget.
constexpr unsigned max_restored_losses = 100;

std::uint64_t hash_of(const std::string& text) noexcept { return std::hash<std::string>{}(text); }

/// Names hold no NUL (PostgreSQL's protocol ends them with one).
std::uint64_t hash_of(const ClientNames& names) {
    return hash_of(names.usename + '\0' + names.datname + '\0' + names.application_name);
}

Probes::Available every_kind() noexcept {
    Probes::Available all;
    for (const ProbeKind kind : protocol::probe_kinds) all[kind] = true;
    return all;
}

/// nullopt: it is open. Otherwise when the next one opens; Time(): never.
std::optional<Probes::Time> opens(const config::Probe& settings, Probes::Time now) {
    if (settings.window.empty()) return std::nullopt;
    Probes::Time next{};
    for (const auto& window : settings.window) {
        if (now >= window.begin && now < window.end) return std::nullopt;
        if (window.begin > now && (next == Probes::Time() || window.begin < next)) next = window.begin;
    }
    return next;
}

}  // namespace

std::uint64_t fingerprint_of(const std::string& ja4, const std::string& sni) noexcept {
    return hash_of(ja4) * 31 + hash_of(sni);
}

void Probes::restore(const ClientOrigin& source, ProbeKind kind, const History& history) {
    const std::lock_guard lock(mutex_);
    auto found = states_.find(source);
    if (found == states_.end()) {
        if (states_.size() >= max_sources) return;
        found = states_.emplace(source, State()).first;
        found->second.order = order_.insert(order_.begin(), &found->first);  // each is older than the one before
    }
    found->second.kinds[kind] = history;
    for (unsigned i = 0; i < std::min(history.refused, max_restored_losses); ++i) losses_.insert(history.last_refused);
}

void Probes::repaired(const ClientOrigin& source, Time when) {
    const std::lock_guard lock(mutex_);
    const auto found = states_.find(source);
    if (found == states_.end() || found->second.repaired == when) return;
    State& state = found->second;
    state.repaired = when;
    if (last_refused(state) <= when) state.falls_back = false;
    for (const ProbeKind kind : protocol::probe_kinds) {
        if (state.kinds[kind].last_shown <= when) state.kinds[kind] = {};
    }
    for (Client& client : state.clients) client.accepts_any = false;
}

void Probes::clocks_are(Time now, Steady steady) {
    const std::chrono::nanoseconds lead = now.time_since_epoch() - steady.time_since_epoch();
    const std::lock_guard lock(mutex_);
    const auto by = lead - lead_;
    if (std::chrono::abs(by) < smallest_jump) return;
    move_times(by);
    lead_ = lead;
}

/// But for `repaired`, which is as somebody wrote it down: it tells one repair from another.
void Probes::move_times(std::chrono::nanoseconds by) {
    const auto move = [&](Time& time) {
        if (time != Time()) time += by;
    };
    std::multiset<Time> losses;  // first, because there may be no memory for it
    for (const Time loss : losses_) losses.insert(losses.end(), loss + by);
    losses_.swap(losses);
    for (auto& [source, state] : states_) {
        for (Refusal& refusal : state.refuses_real) move(refusal.last);
        for (const ProbeKind kind : protocol::probe_kinds) {
            move(state.kinds[kind].last_shown);
            move(state.kinds[kind].last_refused);
        }
    }
}

Probes::Choice Probes::choose(const config::Probe& settings, const Available& available, const Visitor& visitor,
                              Time now) {
    const std::lock_guard lock(mutex_);
    if (const auto why = obstacle(settings, available, visitor, now)) return {.kind = {}, .why_not = *why};
    if (std::uniform_real_distribution<double>(0, 1)(random_) >= settings.fraction)
        return {.kind = {}, .why_not = {NotProbed::fraction}};
    State& state = states_.at(visitor.source);
    state.pending = true;
    ++out_;
    return {.kind = wanted(state, available)};
}

std::optional<Probes::WhyNot> Probes::why_not(const config::Probe& settings, const Available& available,
                                              const Visitor& visitor, Time now) {
    const std::lock_guard lock(mutex_);
    return obstacle(settings, available, visitor, now);
}

void Probes::hold_back(bool held) {
    const std::lock_guard lock(mutex_);
    held_back_ = held;
}

void Probes::rest(bool resting) {
    const std::lock_guard lock(mutex_);
    resting_ = resting;
}

/// The lasting reasons first: who reads them wants to know what to change.
std::optional<Probes::WhyNot> Probes::obstacle(const config::Probe& settings, const Available& available,
                                               const Visitor& visitor, Time now) {
    if (!settings.enabled) return WhyNot{NotProbed::off};
    if (resting_) return WhyNot{NotProbed::off};
    if (held_back_) return WhyNot{NotProbed::no_inventory};
    if (available == Available()) return WhyNot{NotProbed::no_certificate};
    const auto found = states_.find(visitor.source);
    if (found != states_.end()) {
        State& state = found->second;
        order_.splice(order_.end(), order_, state.order);
        for (const ProbeKind kind : protocol::probe_kinds) {
            History& history = state.kinds[kind];
            if (now - history.last_shown >= settings.cooldown) history = {};  // a new round: it may have changed
        }
    }
    if (visitor.searching || is_ambiguous(visitor.source)) return WhyNot{NotProbed::process_unknown};
    if (found == states_.end() || !found->second.accepts_real) return WhyNot{NotProbed::first_connection};
    const State& state = found->second;
    if (const auto why = obstacle_of(state, visitor, now)) return why;
    if (!wanted(state, available)) {
        const bool left = wanted(state, every_kind()).has_value();
        return WhyNot{left ? NotProbed::no_certificate : NotProbed::nothing_left};
    }
    if (const auto why = beyond_budget(visitor.source, settings, now)) return why;
    if (const auto opening = opens(settings, now)) return WhyNot{NotProbed::outside_window, *opening};
    if (const auto why = beyond_hour(settings, now)) return why;
    if (state.pending) return WhyNot{NotProbed::another_is_out};
    return std::nullopt;
}

std::optional<Probes::WhyNot> Probes::obstacle_of(const State& state, const Visitor& visitor, Time now) {
    if (state.falls_back) return WhyNot{NotProbed::falls_back};
    for (const Refusal& refusal : state.refuses_real) {
        if (refusal.fingerprint == visitor.fingerprint && now - refusal.last < refusal_memory)
            return WhyNot{NotProbed::refuses_real, refusal.last + refusal_memory};
    }
    if (open_sessions_.has(visitor.source)) return WhyNot{NotProbed::open_sessions};
    return std::nullopt;
}

/// A close without an alert may be a coincidence: once is no answer (judge() in
/// protocol/verdict.cpp counts the same way). Other losses answer nothing.
bool Probes::answered(const History& history) { return history.by_alert || history.left >= 2; }

/// The next thing that is not known about a source. Several clients may share it, and which of them
/// comes is not known yet: so a stranger's certificate is shown until all of them have accepted it,
/// or one has refused it.
std::optional<ProbeKind> Probes::wanted(const State& state, const Available& available) {
    const auto known = [&](ProbeKind kind) { return state.kinds[kind].accepted > 0 || answered(state.kinds[kind]); };
    const auto open = [&](ProbeKind kind) { return available[kind] && !known(kind); };
    const bool all_accept = std::all_of(state.clients.begin(), state.clients.end(),
                                        [](const Client& client) { return client.accepts_any; });
    if (all_accept) return std::nullopt;
    if (available[ProbeKind::untrusted] && !answered(state.kinds[ProbeKind::untrusted])) return ProbeKind::untrusted;
    if (open(ProbeKind::candidate)) return ProbeKind::candidate;
    if (open(ProbeKind::wrong_name)) return ProbeKind::wrong_name;
    return std::nullopt;
}

/// A client of this host whose executable was not found may be any of those that are known by
/// theirs.
bool Probes::is_ambiguous(const ClientOrigin& source) const {
    if (!source.client_exe.empty()) return false;
    for (auto at = states_.lower_bound(first_at_address(source)); at != states_.end(); ++at) {
        if (!same_address(at->first, source)) return false;
        if (!at->first.client_exe.empty()) return true;
    }
    return false;
}

/// What it lost before its executable or its user was known counts as well.
std::optional<Probes::WhyNot> Probes::beyond_budget(const ClientOrigin& source, const config::Probe& settings,
                                                    Time now) const {
    unsigned lost = 0;
    Time last{};
    Time renewed = Time::max();
    for (auto at = states_.lower_bound(first_at_address(source)); at != states_.end(); ++at) {
        const auto& [other, state] = *at;
        if (!same_address(other, source)) break;
        const bool not_told_apart = other.client_exe.empty() || (other.client_uid < 0 && may_be_same(other, source));
        if (other != source && !not_told_apart) continue;
        for (const ProbeKind kind : protocol::probe_kinds) {
            const History& history = state.kinds[kind];
            if (history.refused == 0 || now - history.last_shown >= settings.cooldown) continue;
            lost += history.refused;
            last = std::max(last, history.last_refused);
            renewed = std::min(renewed, history.last_shown + settings.cooldown);
        }
    }
    if (lost >= settings.max_per_client) return WhyNot{NotProbed::budget_used_up, renewed};
    if (now - last < settings.grace) return WhyNot{NotProbed::grace, last + settings.grace};
    return std::nullopt;
}

/// Those that are out may yet be lost.
std::optional<Probes::WhyNot> Probes::beyond_hour(const config::Probe& settings, Time now) {
    losses_.erase(losses_.begin(), losses_.upper_bound(now - budget_time));
    if (settings.max_per_hour == 0 || losses_.size() + out_ < settings.max_per_hour) return std::nullopt;
    return WhyNot{NotProbed::hourly_budget_used_up, losses_.empty() ? Time() : *losses_.begin() + budget_time};
}

Probes::Time Probes::last_refused(const State& state) {
    Time last{};
    for (const ProbeKind kind : protocol::probe_kinds) last = std::max(last, state.kinds[kind].last_refused);
    return last;
}

void Probes::ended(const Visitor& visitor, const Result& result, Time now) {
    const std::lock_guard lock(mutex_);
    auto found = states_.find(visitor.source);
    const bool completed = result.outcome == Outcome::accepted && result.client;
    if (found == states_.end() && !completed) return;
    State& state = found == states_.end() ? made(visitor.source) : found->second;
    order_.splice(order_.end(), order_, state.order);
    if (completed) note_client(state, result);
    if (result.shown) return note_probe(state, result, now);
    if (result.outcome == Outcome::accepted) state.accepts_real = true;
    if (result.outcome == Outcome::refused || result.outcome == Outcome::left)
        note_refusal(state, visitor.fingerprint, now);
}

void Probes::note_client(State& state, const Result& result) {
    const std::uint64_t names = hash_of(*result.client);
    auto client = std::find_if(state.clients.begin(), state.clients.end(),
                               [&](const Client& other) { return other.names == names; });
    if (client == state.clients.end()) {
        if (state.clients.size() >= max_clients_of_source) return;
        client = state.clients.insert(client, {.names = names});
    }
    client->accepts_any |= result.shown == ProbeKind::untrusted;
}

void Probes::note_refusal(State& state, std::uint64_t fingerprint, Time now) {
    std::vector<Refusal>& refusals = state.refuses_real;
    auto refusal = std::find_if(refusals.begin(), refusals.end(),
                                [&](const Refusal& other) { return other.fingerprint == fingerprint; });
    if (refusal == refusals.end()) {
        if (refusals.size() < max_refusals_of_source) {
            refusals.push_back({fingerprint, now});
            return;
        }
        refusal = std::min_element(refusals.begin(), refusals.end(),
                                   [](const Refusal& a, const Refusal& b) { return a.last < b.last; });
    }
    *refusal = {fingerprint, now};
}

void Probes::note_probe(State& state, const Result& result, Time now) {
    if (state.pending) --out_;
    state.pending = false;
    if (result.outcome == Outcome::neither) return;
    History& history = state.kinds[*result.shown];
    ++history.shown;
    history.last_shown = now;
    if (result.outcome == Outcome::accepted) {
        ++history.accepted;
    } else {
        note_loss(state, *result.shown, result.outcome, now);
    }
}

void Probes::note_loss(State& state, ProbeKind kind, Outcome outcome, Time now) {
    History& history = state.kinds[kind];
    ++history.refused;
    if (outcome == Outcome::left) ++history.left;
    history.by_alert |= outcome == Outcome::refused;
    history.last_refused = now;
    losses_.erase(losses_.begin(), losses_.upper_bound(now - budget_time));
    losses_.insert(now);
}

void Probes::came_in_clear(const ClientOrigin& source, Time now) {
    const std::lock_guard lock(mutex_);
    for (auto at = states_.lower_bound(first_at_address(source)); at != states_.end(); ++at) {
        auto& [other, state] = *at;
        if (!same_address(other, source)) break;
        if (may_be_same(other, source) && (state.pending || now - last_refused(state) < fallback_time))
            state.falls_back = true;
    }
}

Probes::State& Probes::made(const ClientOrigin& source) {
    if (states_.size() >= max_sources) forget_oldest();
    const auto made = states_.emplace(source, State()).first;
    made->second.order = order_.insert(order_.end(), &made->first);
    return made->second;
}

/// But none whose probe is out: it has to be settled.
void Probes::forget_oldest() {
    const auto oldest = std::find_if(order_.begin(), order_.end(),
                                     [&](const ClientOrigin* source) { return !states_.at(*source).pending; });
    if (oldest == order_.end()) return;
    const auto state = states_.find(**oldest);
    order_.erase(oldest);
    states_.erase(state);
}

}  // namespace proxy
