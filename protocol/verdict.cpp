#include "protocol/verdict.hpp"

#include <algorithm>
#include <optional>

namespace protocol {
namespace {

using Observations = std::vector<Observation>;

/// Some drivers refuse without an alert. Seen often enough, that counts as the refusal with one.
Evidence counted(const Observation& o) { return amounts_to(o.evidence, o.count); }

bool refuses(const Observation& o) { return facts(counted(o)).side == Side::refused; }

bool completes_tls(const Observation& o) { return facts(o.evidence).side == Side::tls; }

bool has(const Observations& all, Evidence evidence) {
    return std::any_of(all.begin(), all.end(), [&](const Observation& o) { return o.evidence == evidence; });
}

/// From the first to the last of that kind; nullopt: none.
std::optional<Observation> span(const Observations& all, Evidence evidence) {
    std::optional<Observation> span;
    for (const Observation& o : all) {
        if (counted(o) != evidence) continue;
        if (!span) {
            span = o;
        } else {
            span->first_seen = std::min(span->first_seen, o.first_seen);
            span->last_seen = std::max(span->last_seen, o.last_seen);
        }
    }
    return span;
}

/// libpq's `prefer` with a root certificate refuses a certificate and goes on in clear: it
/// verifies, but does not insist. A refusal that came later than all its clear text was another
/// matter.
bool falls_back(const Observations& all) {
    if (has(all, Evidence::clear_startup_after_tls_login) || has(all, Evidence::clear_startup_after_refusal))
        return true;
    const auto clear = span(all, Evidence::clear_startup_after_tls);
    return clear && std::any_of(all.begin(), all.end(),
                                [&](const Observation& o) { return refuses(o) && o.first_seen <= clear->last_seen; });
}

/// What several pieces of evidence say about each other.
struct Context {
    bool falls_back = false;
    /// Whoever accepted the real certificate trusts its issuer, so it was the name that it refused.
    bool trusts_issuer = false;
    /// pgx's `prefer` does not go on in clear after 'N', but connects again for it.
    bool came_again = false;
    /// `allow` comes in clear, and with TLS only when that was refused. Without such a refusal,
    /// both together are two programs, or one that was changed.
    bool allow = false;
};

Context context(const Observations& all) {
    return {.falls_back = falls_back(all),
            .trusts_issuer = has(all, Evidence::tls_startup) || has(all, Evidence::wrong_name_accepted),
            .came_again = has(all, Evidence::clear_startup_after_declined),
            .allow = has(all, Evidence::tls_after_clear_refused)};
}

SslModeInterval claim(const Observation& o, const Context& context) {
    SslModeInterval claim = proves(counted(o));
    if (counted(o) == Evidence::wrong_name_refused && context.trusts_issuer) claim.min = SslMode::verify_full;
    if (o.evidence == Evidence::closed_after_no && context.came_again) claim.min = SslMode::allow;
    return claim;
}

/// Evidence that one client with one setting may have left.
struct Behaviour {
    SslModeInterval interval{};
    bool tls = false;
    bool clear = false;
    std::int64_t last_seen = 0;
    std::vector<Observation> pieces{};

    /// Since when it was seen, after that.
    std::int64_t seen_since(std::int64_t then) const {
        std::int64_t since = last_seen;
        for (const Observation& o : pieces) {
            if (o.last_seen > then) since = std::min(since, std::max(o.first_seen, then));
        }
        return since;
    }
};

/// Takes the newest first.
std::vector<Behaviour> behaviours(const Observations& newest_first, const Context& context) {
    std::vector<Behaviour> out;
    for (const Observation& o : newest_first) {
        if (context.falls_back && refuses(o)) continue;
        const SslModeInterval says = claim(o, context);
        const bool tls = completes_tls(o);
        const bool clear = o.evidence == Evidence::clear_startup || o.evidence == Evidence::clear_at_server;
        const auto fits = [&](const Behaviour& b) {
            return intersect(b.interval, says) && (context.allow || !((b.tls || tls) && (b.clear || clear)));
        };
        auto found = std::find_if(out.begin(), out.end(), fits);
        if (found == out.end()) found = out.insert(out.end(), Behaviour{.last_seen = o.last_seen});
        found->interval = *intersect(found->interval, says);
        found->tls |= tls;
        found->clear |= clear;
        found->pieces.push_back(o);
    }
    return out;
}

/// Until when evidence contradicts all that was seen since, for long enough; 0: none does.
std::int64_t outlived(const std::vector<Behaviour>& all, std::int64_t consistent_after) {
    std::int64_t until = 0;
    if (consistent_after == 0 || all.empty()) return until;
    const Behaviour& newest = all.front();
    for (auto other = all.begin() + 1; other != all.end(); ++other) {
        const std::int64_t then = other->last_seen;
        if (newest.last_seen - newest.seen_since(then) >= consistent_after) until = std::max(until, then);
    }
    return until;
}

SslModeInterval hull(const std::vector<Behaviour>& all) {
    if (all.empty()) return {};
    SslModeInterval hull = all.front().interval;
    for (const Behaviour& b : all) {
        hull.min = std::min(hull.min, b.interval.min);
        hull.max = std::max(hull.max, b.interval.max);
    }
    return hull;
}

/// The worst of them; `unknown` is worse than `yes`.
Verifies worst(const std::vector<Behaviour>& all) {
    if (all.empty()) return Verifies::unknown;
    Verifies worst = Verifies::yes;
    for (const Behaviour& b : all) {
        const Verifies one = b.interval.verifies();
        if (one == Verifies::no) return Verifies::no;
        if (one == Verifies::unknown) worst = Verifies::unknown;
    }
    return worst;
}

/// That it goes on in clear where no TLS is offered is no answer: ts-postgres's `prefer` verifies
/// wherever there is a certificate. Of what servers list nobody knows whether TLS was offered.
bool accepts_any_certificate(const Behaviour& behaviour) {
    return std::any_of(behaviour.pieces.begin(), behaviour.pieces.end(), [](const Observation& o) {
        const bool no_tls_there = o.evidence == Evidence::clear_startup_after_no ||
                                  o.evidence == Evidence::clear_startup_after_declined ||
                                  o.evidence == Evidence::clear_at_server;
        return !no_tls_there && proves(counted(o)).max <= SslMode::require;
    });
}

/// Refused and then accepted is a client that was repaired, or two behind one address of which one
/// is not ready: time tells, or people.
Readiness readiness(const Observations& all, const std::vector<Behaviour>& now, const VerdictRules& rules) {
    if (!now.empty() && std::all_of(now.begin(), now.end(), accepts_any_certificate)) return Readiness::yes;
    const auto accepted = span(all, Evidence::candidate_accepted);
    const auto refused = span(all, Evidence::candidate_refused);
    if (refused) {
        if (!accepted || accepted->first_seen <= refused->last_seen) return Readiness::no;
        if (rules.consistent_after == 0 || accepted->last_seen - accepted->first_seen < rules.consistent_after)
            return Readiness::unknown;
    }
    if (!accepted || accepted->last_seen <= rules.unreadable) return Readiness::unknown;
    // Of several programs with one name only one may have accepted it.
    const auto may_verify =
        std::count_if(now.begin(), now.end(), [](const Behaviour& b) { return b.interval.max > SslMode::require; });
    return may_verify > 1 ? Readiness::unknown : Readiness::yes;
}

}  // namespace

std::string_view to_string(Readiness readiness) noexcept {
    switch (readiness) {
        case Readiness::no: return "no";
        case Readiness::yes: return "yes";
        case Readiness::unknown: return "unknown";
    }
    return "";
}

Verdict judge(std::vector<Observation> observations, const VerdictRules& rules) {
    std::erase_if(observations, [](const Observation& o) { return o.possible; });
    std::stable_sort(observations.begin(), observations.end(),
                     [](const Observation& a, const Observation& b) { return a.last_seen > b.last_seen; });
    Verdict verdict;
    auto all = behaviours(observations, context(observations));
    verdict.changed_at = outlived(all, rules.consistent_after);
    if (verdict.changed_at > 0) {
        std::erase_if(observations, [&](const Observation& o) { return o.last_seen <= verdict.changed_at; });
        all = behaviours(observations, context(observations));
    }
    // What follows from readable evidence alone is good news only where it is newer than the rest.
    const Context about = context(observations);
    Observations beyond_doubt = observations;
    std::erase_if(beyond_doubt, [&](const Observation& o) { return o.last_seen <= rules.unreadable; });
    const auto certain = behaviours(beyond_doubt, about);

    verdict.mixed = all.size() > 1;
    verdict.falls_back = about.falls_back;
    verdict.interval = {.min = std::min(hull(certain).min, hull(all).min), .max = hull(all).max};
    if (!all.empty()) verdict.newest = all.front().interval;
    verdict.verifies = worst(all);
    if (verdict.verifies == Verifies::yes && worst(certain) != Verifies::yes) verdict.verifies = Verifies::unknown;
    verdict.ready_for_rotation = readiness(observations, certain, rules);
    return verdict;
}

}  // namespace protocol
