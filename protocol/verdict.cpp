#include "protocol/verdict.hpp"

#include <algorithm>

namespace protocol {
namespace {

/// A close without an alert looks like a crash: once is nothing, twice is a refusal.
constexpr std::uint64_t silent_refusals_that_count = 2;

const Observation* find(const std::vector<Observation>& observations, Evidence evidence) {
    const auto found = std::find_if(observations.begin(), observations.end(),
                                    [&](const Observation& o) { return o.evidence == evidence && !o.possible; });
    return found == observations.end() ? nullptr : &*found;
}

/// The alert that a driver sends, or does not send, by its nature: what both mean.
Evidence spoken(const Observation& o) {
    if (o.count < silent_refusals_that_count) return o.evidence;
    switch (o.evidence) {
        case Evidence::tls_refused_silently: return Evidence::tls_refused;
        case Evidence::untrusted_refused_silently: return Evidence::untrusted_refused;
        case Evidence::wrong_name_refused_silently: return Evidence::wrong_name_refused;
        case Evidence::candidate_refused_silently: return Evidence::candidate_refused;
        default: return o.evidence;
    }
}

bool refuses(const Observation& o) { return proves(spoken(o)).min >= SslMode::verify_ca; }

bool completes_tls(Evidence evidence) {
    switch (evidence) {
        case Evidence::tls_startup:
        case Evidence::tls_startup_undistributed:
        case Evidence::untrusted_accepted:
        case Evidence::wrong_name_accepted:
        case Evidence::candidate_accepted: return true;
        default: return false;
    }
}

/// The latest of two kinds of evidence decides; 0: neither was seen.
std::int64_t latest(const std::vector<Observation>& observations, Evidence evidence) {
    std::int64_t when = 0;
    for (const Observation& o : observations) {
        if (!o.possible && spoken(o) == evidence) when = std::max(when, o.last_seen);
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
    if (interval.max <= SslMode::require) return Readiness::yes;
    return candidate;
}

Verdict judge(std::vector<Observation> observations) {
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
                                      [](const Observation& o) { return !o.possible && completes_tls(o.evidence); });
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
        SslModeInterval claim = proves(spoken(o));
        if (spoken(o) == Evidence::wrong_name_refused && trusts_issuer) claim.min = SslMode::verify_full;
        if (o.evidence == Evidence::closed_after_no && came_again) claim.min = SslMode::allow;
        tls |= completes_tls(o.evidence);
        clear |= o.evidence == Evidence::clear_startup;
        const auto narrower = intersect(verdict.interval, claim);
        if (narrower && (allow || !(tls && clear))) {
            verdict.interval = *narrower;
        } else {
            verdict.changed = true;
            break;
        }
    }
    const std::int64_t accepted = latest(observations, Evidence::candidate_accepted);
    const std::int64_t declined = latest(observations, Evidence::candidate_refused);
    if (accepted != declined) verdict.candidate = accepted > declined ? Readiness::yes : Readiness::no;
    return verdict;
}

}  // namespace protocol
