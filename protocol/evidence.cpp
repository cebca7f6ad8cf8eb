#include "protocol/evidence.hpp"

#include <algorithm>

namespace protocol {
namespace {

constexpr SslModeInterval anything{};
constexpr SslModeInterval verifies{SslMode::verify_ca, SslMode::verify_full};
/// Whoever completes TLS is not `disable`; an accepted certificate says no more than that.
constexpr SslModeInterval uses_tls{SslMode::allow, SslMode::verify_full};
/// Nobody can have been given the issuer of that certificate.
constexpr SslModeInterval accepts_anything{SslMode::allow, SslMode::require};

/// One row each; without a `default`, so that the compiler asks for the row of a new enumerator.
constexpr Facts row(Evidence evidence) {
    using enum Evidence;
    using enum SslMode;
    constexpr auto untrusted = ProbeKind::untrusted;
    constexpr auto wrong_name = ProbeKind::wrong_name;
    constexpr auto candidate = ProbeKind::candidate;
    switch (evidence) {
        case clear_startup: return {"clear_startup", {disable, allow}, Side::clear};
        // Another program at that address may be meant: it may still never have asked for TLS.
        case clear_startup_after_tls: return {"clear_startup_after_tls", {disable, prefer}, Side::clear};
        case clear_startup_after_tls_login: return {"clear_startup_after_tls_login", {prefer, prefer}, Side::clear};
        // `disable` never sends SSLRequest; libpq's `allow` does once its clear attempt was
        // refused, and then accepts 'N' too.
        case clear_startup_after_no: return {"clear_startup_after_no", {allow, prefer}, Side::clear};
        case clear_startup_after_declined: return {"clear_startup_after_declined", {disable, prefer}, Side::clear};
        // Its process went on in clear. But a process may have two settings, one that verifies and
        // one without TLS: so it need not be `prefer`.
        case clear_startup_after_refusal: return {"clear_startup_after_refusal", {disable, prefer}, Side::clear};
        // But for pgx's `prefer`, which closes too and comes again in clear: judge() in verdict.hpp
        // then claims less.
        case closed_after_no: return {"closed_after_no", {require, verify_full}, Side::closed_earlier};
        case tls_startup: return {"tls_startup", uses_tls, Side::tls};
        // It accepted whatever the load balancer showed: that tells nothing of another certificate.
        case tls_at_front: return {"tls_at_front", uses_tls, Side::tls};
        case tls_perhaps_of_front: return {"tls_perhaps_of_front", anything, Side::tls};
        // How it came to be in clear is not seen: it may have asked for TLS, and gone on without.
        case clear_at_server: return {"clear_at_server", {disable, prefer}, Side::clear};
        case tls_at_server: return {"tls_at_server", uses_tls, Side::tls};
        case tls_startup_undistributed: return {"tls_startup_undistributed", accepts_anything, Side::tls};
        case tls_after_clear_refused: return {"tls_after_clear_refused", {allow, allow}, Side::tls_detail};
        case client_certificate: return {"client_certificate", anything, Side::tls_detail};
        // Behaviour, not spelling: libpq `prefer` with a root certificate refuses too, and counts
        // as one that verifies.
        case tls_refused:
            return {.label = "tls_refused",
                    .proves = verifies,
                    .side = Side::refused,
                    .broken_trust = true,
                    .perhaps_anothers = true};
        case tls_refused_silently:
            return {.label = "tls_refused_silently",
                    .proves = anything,
                    .side = Side::left_silently,
                    .when_repeated = tls_refused,
                    .perhaps_anothers = true};
        case tls_not_agreed:
            return {.label = "tls_not_agreed",
                    .proves = anything,
                    .side = Side::closed_earlier,
                    .broken_trust = true,
                    .perhaps_anothers = true};
        case no_client_hello:
            return {.label = "no_client_hello",
                    .proves = anything,
                    .side = Side::closed_earlier,
                    .broken_trust = true,
                    .perhaps_anothers = true};
        case untrusted_accepted: return {"untrusted_accepted", accepts_anything, Side::tls, untrusted};
        case untrusted_refused: return {"untrusted_refused", verifies, Side::refused, untrusted};
        case untrusted_refused_silently:
            return {"untrusted_refused_silently", anything, Side::left_silently, untrusted, untrusted_refused};
        case wrong_name_accepted: return {"wrong_name_accepted", {allow, verify_ca}, Side::tls, wrong_name};
        // By the name or by the issuer: judge() in verdict.hpp can tell once the client was seen to
        // accept the issuer.
        case wrong_name_refused: return {"wrong_name_refused", verifies, Side::refused, wrong_name};
        case wrong_name_refused_silently:
            return {"wrong_name_refused_silently", anything, Side::left_silently, wrong_name, wrong_name_refused};
        case candidate_accepted: return {"candidate_accepted", uses_tls, Side::tls, candidate};
        case candidate_refused: return {"candidate_refused", verifies, Side::refused, candidate};
        case candidate_refused_silently:
            return {"candidate_refused_silently", anything, Side::left_silently, candidate, candidate_refused};
    }
    return {};
}

constexpr auto table = [] {
    std::array<Facts, evidence_count> rows;
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = row(static_cast<Evidence>(i));
    return rows;
}();

static_assert(row(static_cast<Evidence>(evidence_count)).label.empty(), "evidence_count is that of the last one");

}  // namespace

const Facts& facts(Evidence evidence) noexcept { return table[static_cast<std::size_t>(evidence)]; }

std::optional<Evidence> parse_evidence(std::string_view label) noexcept {
    const auto found =
        std::find_if(table.begin(), table.end(), [&](const Facts& facts) { return facts.label == label; });
    if (found == table.end()) return std::nullopt;
    return static_cast<Evidence>(found - table.begin());
}

Evidence evidence_of(Reaction reaction, std::optional<ProbeKind> probe) noexcept {
    using enum Evidence;
    const auto by_reaction = [&](Evidence accepted, Evidence refused, Evidence left_silently) {
        switch (reaction) {
            case Reaction::accepts: return accepted;
            case Reaction::refuses: return refused;
            case Reaction::leaves_silently: break;
        }
        return left_silently;
    };
    if (!probe) return by_reaction(tls_startup, tls_refused, tls_refused_silently);
    switch (*probe) {
        case ProbeKind::untrusted:
            return by_reaction(untrusted_accepted, untrusted_refused, untrusted_refused_silently);
        case ProbeKind::wrong_name:
            return by_reaction(wrong_name_accepted, wrong_name_refused, wrong_name_refused_silently);
        case ProbeKind::candidate: break;
    }
    return by_reaction(candidate_accepted, candidate_refused, candidate_refused_silently);
}

Evidence amounts_to(Evidence evidence, std::uint64_t count) noexcept {
    return count < silent_refusals_that_count ? evidence : facts(evidence).when_repeated.value_or(evidence);
}

SslModeInterval proves(const std::vector<Evidence>& evidence) noexcept {
    SslModeInterval interval;
    for (const Evidence piece : evidence) {
        if (const auto narrower = intersect(interval, proves(piece))) interval = *narrower;
    }
    return interval;
}

}  // namespace protocol
