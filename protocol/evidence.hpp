// What one observation proves about a client's sslmode: the rows of docs/verification.md as a pure
// function.
//
// A wrong claim is worse than "unknown": each row claims only what holds for every driver that was
// measured.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "protocol/sslmode.hpp"

namespace protocol {

/// How a client that reached us was seen to behave. One label each, listed in the audit's
/// `evidence`.
enum class Evidence {
    clear_startup,            // StartupMessage in clear and SSLRequest never sent
    clear_startup_after_tls,  // the same, shortly after TLS from the same address was refused: perhaps `prefer` falling
                              // back
    clear_startup_after_tls_login,  // the same, at once after the same user was refused over TLS: `prefer` falling back
    clear_startup_after_no,         // SSLRequest, our 'N', StartupMessage in clear
    closed_after_no,                // SSLRequest, our 'N', close
    tls_startup,  // StartupMessage through TLS; the certificate may be one that the client was given the CA of
    tls_startup_undistributed,  // StartupMessage through TLS; nobody could have verified the certificate
    tls_after_clear_refused,    // clear StartupMessage refused by us, then TLS from the same address and user at once:
                                // `allow`
    tls_refused,                // the client refused our certificate, by alert
    tls_refused_silently,       // ...or by closing without an alert: the same as a crash, so it proves nothing alone
    no_client_hello,            // closed after our 'S' before any ClientHello: misconfigured
    client_certificate,         // says nothing about what the client verifies
    // Probes: another certificate than the real one was shown ([audit.probe]).
    untrusted_accepted,  // its issuer is known to nobody
    untrusted_refused,
    untrusted_refused_silently,
    wrong_name_accepted,  // the real issuer, a name that nobody asks for
    wrong_name_refused,
    wrong_name_refused_silently,
    candidate_accepted,  // what clients will meet after the rotation
    candidate_refused,
    candidate_refused_silently,
    clear_startup_after_declined,  // the same as clear_startup, shortly after our 'N' to the same address: perhaps the
                                   // same client, again
};

std::string_view label(Evidence evidence) noexcept;
/// nullopt: no label of ours.
std::optional<Evidence> parse_evidence(std::string_view label) noexcept;

/// The interval that `evidence` alone leaves open.
SslModeInterval proves(Evidence evidence) noexcept;

/// All of one connection's evidence together. Contradictions cannot arise within one connection.
SslModeInterval proves(const std::vector<Evidence>& evidence) noexcept;

}  // namespace protocol
