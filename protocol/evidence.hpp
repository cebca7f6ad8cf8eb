// How a client that reached us was seen to behave, and what each kind of behaviour means: the rows
// of docs/verification.md as a pure function.
//
// A wrong claim is worse than "unknown": each row claims only what holds for every driver that was
// measured.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "protocol/probe_kind.hpp"
#include "protocol/sslmode.hpp"

namespace protocol {

/// One label each, listed in the audit's `evidence`. "Real" is the certificate that clients are to
/// accept; probes show another one ([audit.probe]).
enum class Evidence {
    clear_startup,                  // StartupMessage in clear and SSLRequest never sent
    clear_startup_after_tls,        // the same, shortly after TLS from the same address came to no login, and perhaps
                                    // of the same client: perhaps `prefer` falling back
    clear_startup_after_tls_login,  // the same, at once after the same user was refused over TLS: `prefer` falling back
    clear_startup_after_no,         // SSLRequest, our 'N', StartupMessage in clear
    closed_after_no,                // SSLRequest, our 'N', close
    tls_startup,  // StartupMessage through TLS; the certificate may be one that the client was given the CA of
    tls_startup_undistributed,  // StartupMessage through TLS; nobody could have verified the certificate
    tls_after_clear_refused,    // clear StartupMessage refused by us, or its login denied, then TLS from the same
                                // address and user at once: `allow`
    tls_refused,                // the client refused the real certificate, by alert
    tls_refused_silently,       // ...or by closing without an alert: the same as a crash, so it proves nothing alone
    no_client_hello,            // closed after our 'S' before any ClientHello: misconfigured
    client_certificate,         // it showed one: says nothing about what the client verifies
    // By the kind of probe (protocol/probe_kind.hpp) and what the client did.
    untrusted_accepted,
    untrusted_refused,
    untrusted_refused_silently,
    wrong_name_accepted,
    wrong_name_refused,
    wrong_name_refused_silently,
    candidate_accepted,
    candidate_refused,
    candidate_refused_silently,
    clear_startup_after_declined,  // the same as clear_startup, shortly after our 'N' to the same address: perhaps the
                                   // same client, again
    clear_startup_after_refusal,   // the same as clear_startup, shortly after the same process of this host refused a
                                   // certificate of ours: it goes on in clear
    tls_not_agreed,                // TLS was begun and came to no certificate: no version or cipher in common, say
    tls_at_front,                  // StartupMessage through TLS that ended at a load balancer, which says so: not
                                   // one byte of that TLS was ours to see, nor what it accepted
    tls_perhaps_of_front,          // StartupMessage through direct TLS, of which the load balancer saw none: passed
                                   // through as it is, or put around clear text there
    clear_at_server,               // listed by a server as in clear, and not a session of ours: nobody saw how it began
    tls_at_server,                 // listed by a server as with TLS, and not a session of ours: nor what it accepted
};

inline constexpr std::size_t evidence_count = static_cast<std::size_t>(Evidence::tls_at_server) + 1;

/// What a client did.
enum class Side {
    clear,           // sent its StartupMessage in clear
    tls,             // sent it through TLS, so it accepted what it was shown: one of these for each such connection
    tls_detail,      // something else about such a connection, said beside one of those
    refused,         // left because of the certificate, and said so by an alert
    left_silently,   // left when it had the certificate, without an alert: a refusal, or a crash
    closed_earlier,  // left before there was a certificate
};

/// All that one piece of evidence says. Whoever wants to know what an enumerator means asks this,
/// and keeps no list of enumerators.
struct Facts {
    std::string_view label;
    /// The modes that it alone leaves open.
    SslModeInterval proves;
    Side side{};
    /// The certificate that was shown was this probe's; nullopt: the real one, or none.
    std::optional<ProbeKind> probe{};
    /// What it counts as once it was seen `silent_refusals_that_count` times.
    std::optional<Evidence> when_repeated{};
    /// The client cannot connect over TLS today: it refused the real certificate, or had nothing to
    /// verify it with.
    bool broken_trust = false;
    /// Comes from a handshake without names, and is not believed of a client that accepted the same
    /// certificate before: then another program at its address did it.
    bool perhaps_anothers = false;

    /// Refused a certificate, or may have.
    bool is_refusal() const noexcept { return side == Side::refused || side == Side::left_silently; }
};

const Facts& facts(Evidence evidence) noexcept;

inline std::string_view label(Evidence evidence) noexcept { return facts(evidence).label; }
/// nullopt: no label of ours.
std::optional<Evidence> parse_evidence(std::string_view label) noexcept;

/// What a client does with a certificate that it is shown.
enum class Reaction { accepts, refuses, leaves_silently };

/// The evidence that a reaction is. `probe`: nullopt for the real certificate.
Evidence evidence_of(Reaction reaction, std::optional<ProbeKind> probe) noexcept;

/// A close without an alert looks like a crash: once is nothing, twice is a refusal.
inline constexpr std::uint64_t silent_refusals_that_count = 2;

/// What evidence that was seen `count` times amounts to: itself, or the refusal that a silent one
/// is when it is repeated.
Evidence amounts_to(Evidence evidence, std::uint64_t count) noexcept;

/// The interval that `evidence` alone leaves open.
inline SslModeInterval proves(Evidence evidence) noexcept { return facts(evidence).proves; }

/// All of one connection's evidence together. Contradictions cannot arise within one connection.
SslModeInterval proves(const std::vector<Evidence>& evidence) noexcept;

}  // namespace protocol
