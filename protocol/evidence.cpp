#include "protocol/evidence.hpp"

namespace protocol {

std::string_view label(Evidence evidence) noexcept {
    switch (evidence) {
        case Evidence::clear_startup: return "clear_startup";
        case Evidence::clear_startup_after_tls: return "clear_startup_after_tls";
        case Evidence::clear_startup_after_tls_login: return "clear_startup_after_tls_login";
        case Evidence::clear_startup_after_no: return "clear_startup_after_no";
        case Evidence::closed_after_no: return "closed_after_no";
        case Evidence::tls_startup: return "tls_startup";
        case Evidence::tls_startup_undistributed: return "tls_startup_undistributed";
        case Evidence::tls_after_clear_refused: return "tls_after_clear_refused";
        case Evidence::tls_refused: return "tls_refused";
        case Evidence::tls_refused_silently: return "tls_refused_silently";
        case Evidence::no_client_hello: return "no_client_hello";
        case Evidence::client_certificate: return "client_certificate";
        case Evidence::untrusted_accepted: return "untrusted_accepted";
        case Evidence::untrusted_refused: return "untrusted_refused";
        case Evidence::untrusted_refused_silently: return "untrusted_refused_silently";
        case Evidence::wrong_name_accepted: return "wrong_name_accepted";
        case Evidence::wrong_name_refused: return "wrong_name_refused";
        case Evidence::wrong_name_refused_silently: return "wrong_name_refused_silently";
        case Evidence::candidate_accepted: return "candidate_accepted";
        case Evidence::candidate_refused: return "candidate_refused";
        case Evidence::candidate_refused_silently: return "candidate_refused_silently";
        case Evidence::clear_startup_after_declined: return "clear_startup_after_declined";
    }
    return "";
}

std::optional<Evidence> parse_evidence(std::string_view text) noexcept {
    for (auto evidence = Evidence{}; !label(evidence).empty();
         evidence = static_cast<Evidence>(static_cast<int>(evidence) + 1)) {
        if (label(evidence) == text) return evidence;
    }
    return std::nullopt;
}

SslModeInterval proves(Evidence evidence) noexcept {
    constexpr SslModeInterval anything{};
    switch (evidence) {
        case Evidence::clear_startup: return {SslMode::disable, SslMode::allow};
        // Another program at that address may be meant: it may still never have asked for TLS.
        case Evidence::clear_startup_after_tls: return {SslMode::disable, SslMode::prefer};
        case Evidence::clear_startup_after_tls_login: return {SslMode::prefer, SslMode::prefer};
        // `disable` never sends SSLRequest; libpq's `allow` does once its clear attempt was
        // refused, and then accepts 'N' too.
        case Evidence::clear_startup_after_no: return {SslMode::allow, SslMode::prefer};
        // But for pgx's `prefer`, which closes too and comes again in clear: judge() in verdict.hpp
        // then claims less.
        case Evidence::closed_after_no: return {SslMode::require, SslMode::verify_full};
        // Whoever completes TLS is not `disable`; an accepted certificate says no more than that.
        case Evidence::tls_startup: return {SslMode::allow, SslMode::verify_full};
        case Evidence::tls_startup_undistributed: return {SslMode::allow, SslMode::require};
        case Evidence::tls_after_clear_refused: return {SslMode::allow, SslMode::allow};
        // Behaviour, not spelling: libpq `prefer` with a root certificate refuses too, and counts
        // as one that verifies.
        case Evidence::tls_refused: return {SslMode::verify_ca, SslMode::verify_full};
        case Evidence::tls_refused_silently: return anything;
        case Evidence::no_client_hello: return anything;
        case Evidence::client_certificate: return anything;
        // Nobody can have been given the issuer of that certificate.
        case Evidence::untrusted_accepted: return {SslMode::allow, SslMode::require};
        case Evidence::untrusted_refused: return {SslMode::verify_ca, SslMode::verify_full};
        case Evidence::untrusted_refused_silently: return anything;
        case Evidence::wrong_name_accepted: return {SslMode::allow, SslMode::verify_ca};
        // By the name or by the issuer: judge() in verdict.hpp can tell once the client was seen to
        // accept the issuer.
        case Evidence::wrong_name_refused: return {SslMode::verify_ca, SslMode::verify_full};
        case Evidence::wrong_name_refused_silently: return anything;
        case Evidence::candidate_accepted: return {SslMode::allow, SslMode::verify_full};
        case Evidence::candidate_refused: return {SslMode::verify_ca, SslMode::verify_full};
        case Evidence::candidate_refused_silently: return anything;
        case Evidence::clear_startup_after_declined: return {SslMode::disable, SslMode::prefer};
    }
    return anything;
}

SslModeInterval proves(const std::vector<Evidence>& evidence) noexcept {
    SslModeInterval interval;
    for (const Evidence piece : evidence) {
        if (const auto narrower = intersect(interval, proves(piece))) interval = *narrower;
    }
    return interval;
}

}  // namespace protocol
