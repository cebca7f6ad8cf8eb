#include "proxy/observation/recent_clients.hpp"

#include <algorithm>
#include <utility>

namespace proxy {
namespace {

using namespace std::chrono_literals;
using Attempt = RecentClients::Attempt;
using Before = RecentClients::Before;

/// A fallback follows its refusal within milliseconds on a LAN; an address shared by many programs
/// makes longer memories ambiguous.
constexpr std::chrono::milliseconds attempt_memory = 5s;
constexpr std::chrono::milliseconds caller_memory = 2s;
/// The client closes its TLS connection before it comes again, but another thread may read the
/// close, and later. One that ends later than that had not failed when the clear text came.
constexpr std::chrono::milliseconds other_thread = 1s;

/// Bounds of the memory, and of what one login compares itself with.
constexpr std::size_t max_attempts = 10'000;
constexpr std::size_t max_attempts_of_address = 256;
constexpr std::size_t max_rejected = 10'000;
/// Looking for room is not done again at once when there was none.
constexpr std::chrono::milliseconds sweep_interval = 1s;

bool is_over(const Attempt& attempt, RecentClients::Time now) {
    return attempt.end != TlsEnd::none && now - attempt.ended > attempt_memory;
}

/// Whether the attempt was of the process that arrived. Whoever began later did not make it: it is
/// another psql, say, whose predecessor was gone before it was found.
SameProcess is_of(const Attempt& attempt, const RecentClients::Process& process) {
    const SameProcess same = same_process(attempt.process, process);
    if (same != SameProcess::perhaps || !process) return same;
    return process->get(0ms).started > attempt.began ? SameProcess::no : same;
}

/// What the attempt says about the client that arrived.
Before says(const Attempt& attempt, const RecentClients::Arrival& arrival) {
    if (attempt.end == TlsEnd::none || attempt.end == TlsEnd::success) return Before::nothing;
    if (attempt.began > arrival.time || attempt.ended > arrival.time + other_thread ||
        arrival.time - attempt.ended > attempt_memory)
        return Before::nothing;
    const SameProcess same = is_of(attempt, arrival.process);
    if (same == SameProcess::no) return Before::nothing;
    if (attempt.declined) return Before::declined;
    // A fallback comes with the same names. Attempts that came to none may be anybody's.
    const ClientNames& names = arrival.caller;
    if (attempt.caller && static_cast<const ClientNames&>(*attempt.caller) != names) return Before::nothing;
    if (attempt.end == TlsEnd::denial && attempt.caller == arrival.caller &&
        arrival.time - attempt.ended <= caller_memory)
        return Before::denied;
    if (attempt.end == TlsEnd::refusal && same == SameProcess::yes) return Before::refused;
    return Before::perhaps_failed;
}

}  // namespace

SameProcess same_process(const RecentClients::Process& one, const RecentClients::Process& other) {
    if (!one || !other) return SameProcess::perhaps;
    const Process a = one->get(0ms);
    const Process b = other->get(0ms);
    if (a.uid != b.uid) return SameProcess::no;
    if (a.pid != 0 && b.pid != 0 && a.pid != b.pid) return SameProcess::no;
    // A child holds its parent's connections from fork to exec, and may be taken for their owner.
    if (a.pid != 0 && a.pid == b.pid && a.exe == b.exe) return SameProcess::yes;
    return SameProcess::perhaps;
}

RecentClients::AttemptPtr RecentClients::tls_began(const std::string& address, Process process, Time now) {
    auto attempt = std::make_shared<Attempt>(Attempt{.address = address, .process = std::move(process), .began = now});
    const std::lock_guard lock(mutex_);
    note(attempt, now);
    return attempt;
}

void RecentClients::tls_ended(const AttemptPtr& attempt, Ending ending, Time now) {
    const std::lock_guard lock(mutex_);
    attempt->end = ending.end;
    attempt->ended = now;
    attempt->caller = std::move(ending.caller);
    attempt->certificate = std::move(ending.certificate);
    if (ending.end == TlsEnd::success) return forget(attempt);
    if (attempt->noted) return;
    const auto address = addresses_.find(attempt->address);
    (address != addresses_.end() ? address->second.unnoted_until : unnoted_until_) = now + attempt_memory;
}

void RecentClients::tls_declined(const std::string& address, Process process, Time now) {
    const AttemptPtr attempt = tls_began(address, std::move(process), now);
    attempt->declined = true;
    tls_ended(attempt, {.end = TlsEnd::failure}, now);
}

void RecentClients::rejected_in_clear(const Caller& caller, Process process, Time now) {
    const std::lock_guard lock(mutex_);
    if (rejected_in_clear_.size() >= max_rejected && !rejected_in_clear_.contains(caller)) {
        std::erase_if(rejected_in_clear_, [&](const auto& entry) { return now - entry.second.time > caller_memory; });
        if (rejected_in_clear_.size() >= max_rejected) return;  // it claims something, so less is safe
    }
    rejected_in_clear_[caller] = {std::move(process), now};
}

RecentClients::Suspects RecentClients::before(const std::string& address, Time now) const {
    const std::lock_guard lock(mutex_);
    Suspects suspects{.unnoted = now < unnoted_until_};
    const auto found = addresses_.find(address);
    if (found == addresses_.end()) return suspects;
    suspects.unnoted |= now < found->second.unnoted_until;
    for (const AttemptPtr& attempt : found->second.attempts) {
        if (!is_over(*attempt, now)) suspects.attempts.push_back(attempt);
    }
    return suspects;
}

RecentClients::Judgement RecentClients::judge(const Suspects& suspects, const Arrival& arrival) const {
    const std::lock_guard lock(mutex_);
    Judgement judgement{.before = suspects.unnoted ? Before::perhaps_failed : Before::nothing};
    std::string perhaps_its;
    bool has_accepted = false;  // these names came through TLS just before
    for (const auto& attempt : suspects.attempts) {
        const Before before = says(*attempt, arrival);
        judgement.before = std::max(judgement.before, before);
        if (before < Before::perhaps_failed) continue;
        has_accepted = has_accepted || attempt->caller;
        if (attempt->end != TlsEnd::refusal || attempt->certificate.empty()) continue;
        (before == Before::refused ? judgement.certificate : perhaps_its) = attempt->certificate;
    }
    if (judgement.certificate.empty() && !has_accepted) judgement.certificate = perhaps_its;
    return judgement;
}

bool RecentClients::is_open(const Suspects& suspects, const Arrival& arrival) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(suspects.attempts.begin(), suspects.attempts.end(), [&](const auto& attempt) {
        return attempt->end == TlsEnd::none && is_of(*attempt, arrival.process) != SameProcess::no;
    });
}

std::optional<RecentClients::Process> RecentClients::was_rejected_in_clear(const Caller& caller, Time now) const {
    const std::lock_guard lock(mutex_);
    const auto found = rejected_in_clear_.find(caller);
    if (found == rejected_in_clear_.end() || now - found->second.time > caller_memory) return std::nullopt;
    return found->second.process;
}

/// Where there is no room for more of them, the one that was longest quiet is forgotten: to be told
/// twice is better than not at all.
bool RecentClients::is_first_fallback(const ClientOrigin& source) {
    const std::lock_guard lock(mutex_);
    if (fell_back_.find(source)) return false;
    fell_back_.put(source, true);
    return true;
}

void RecentClients::note(const AttemptPtr& attempt, Time now) {
    if (noted_ >= max_attempts) make_room(now);
    if (noted_ >= max_attempts) return;
    Address& address = addresses_[attempt->address];
    if (address.attempts.size() >= max_attempts_of_address) {
        noted_ -= std::erase_if(address.attempts, [&](const AttemptPtr& other) { return is_over(*other, now); });
        if (address.attempts.size() >= max_attempts_of_address) return;
    }
    address.attempts.push_back(attempt);
    attempt->noted = true;
    ++noted_;
}

void RecentClients::forget(const AttemptPtr& attempt) {
    const auto address = addresses_.find(attempt->address);
    if (!attempt->noted || address == addresses_.end()) return;
    noted_ -= std::erase(address->second.attempts, attempt);
    if (address->second.attempts.empty() && address->second.unnoted_until == Time()) addresses_.erase(address);
}

void RecentClients::make_room(Time now) {
    if (now < next_sweep_) return;
    next_sweep_ = now + sweep_interval;
    for (auto at = addresses_.begin(); at != addresses_.end();) {
        Address& address = at->second;
        noted_ -= std::erase_if(address.attempts, [&](const AttemptPtr& attempt) { return is_over(*attempt, now); });
        const bool idle = address.attempts.empty() && now >= address.unnoted_until;
        at = idle ? addresses_.erase(at) : std::next(at);
    }
}

}  // namespace proxy
