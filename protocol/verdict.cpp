#include "protocol/verdict.hpp"

#include <algorithm>

namespace protocol {
namespace {

const Observation* find(const std::vector<Observation>& observations, Evidence evidence) {
    const auto found = std::find_if(observations.begin(), observations.end(),
                                    [&](const Observation& o) { return o.evidence == evidence && !o.possible; });
    return found == observations.end() ? nullptr : &*found;
}

/// Some drivers refuse without an alert. Seen often enough, that counts as the refusal with one.
Evidence counted(const Observation& o) { return amounts_to(o.evidence, o.count); }

bool refuses(const Observation& o) { return facts(counted(o)).side == Side::refused; }

bool completes_tls(const Observation& o) { return facts(o.evidence).side == Side::tls; }

/// When this evidence was last seen; 0: never.
std::int64_t latest(const std::vector<Observation>& observations, Evidence evidence) {
    std::int64_t when = 0;
    for (const Observation& o : observations) {
        if (!o.possible && counted(o) == evidence) when = std::max(when, o.last_seen);
    }
    return when;
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

Readiness Verdict::ready_for_rotation() const noexcept {
    if (beyond_doubt.max <= SslMode::require) return Readiness::yes;
    return candidate;
}

Verdict judge(std::vector<Observation> observations, std::int64_t unreadable) {
    Verdict verdict;
    // libpq's `prefer` with a root certificate refuses a certificate and goes on in clear: it
    // verifies, but does not insist.
    const bool fell_back = find(observations, Evidence::clear_startup_after_tls) ||
                           find(observations, Evidence::clear_startup_after_tls_login);
    const bool refused = std::any_of(observations.begin(), observations.end(),
                                     [](const Observation& o) { return !o.possible && refuses(o); });
    // Another program at that address may have been refused: of this one it is known once it was
    // seen with TLS itself.
    const bool uses_tls = std::any_of(observations.begin(), observations.end(),
                                      [](const Observation& o) { return !o.possible && completes_tls(o); });
    verdict.falls_back =
        find(observations, Evidence::clear_startup_after_tls_login) || (fell_back && (refused || uses_tls));

    // pgx's `prefer` does not go on in clear after 'N', but connects again for it.
    const bool came_again = find(observations, Evidence::clear_startup_after_declined);

    // Whoever accepted the real certificate trusts its issuer, so it was the name that it refused.
    const bool trusts_issuer =
        find(observations, Evidence::tls_startup) || find(observations, Evidence::wrong_name_accepted);

    // `allow` comes in clear, and with TLS only when that was refused. Without such a refusal, both
    // together are a client that was changed.
    const bool allow = find(observations, Evidence::tls_after_clear_refused);
    bool tls = false;
    bool clear = false;

    std::stable_sort(observations.begin(), observations.end(),
                     [](const Observation& a, const Observation& b) { return a.last_seen > b.last_seen; });
    for (const Observation& o : observations) {
        if (o.possible) continue;
        if (fell_back && refused && refuses(o)) continue;
        SslModeInterval claim = proves(counted(o));
        if (counted(o) == Evidence::wrong_name_refused && trusts_issuer) claim.min = SslMode::verify_full;
        if (o.evidence == Evidence::closed_after_no && came_again) claim.min = SslMode::allow;
        tls |= completes_tls(o);
        clear |= o.evidence == Evidence::clear_startup;
        const auto narrower = intersect(verdict.interval, claim);
        if (narrower && (allow || !(tls && clear))) {
            verdict.interval = *narrower;
            if (o.last_seen > unreadable) verdict.beyond_doubt = *narrower;
        } else {
            verdict.changed = true;
            break;
        }
    }
    const std::int64_t accepted = latest(observations, Evidence::candidate_accepted);
    const std::int64_t declined = latest(observations, Evidence::candidate_refused);
    if (declined > accepted) verdict.candidate = Readiness::no;
    if (accepted > std::max(declined, unreadable)) verdict.candidate = Readiness::yes;
    return verdict;
}

}  // namespace protocol
