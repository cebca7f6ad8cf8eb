// Why a client that came through TLS was not shown a probe's certificate, for the inventory and for
// people (docs/verification.md, "Probes").
#pragma once

#include <cstddef>
#include <string_view>

namespace proxy {

enum class NotProbed {
    off,                    // [audit.probe] is not enabled
    no_inventory,           // what was done before is not known, or could not be written down
    no_certificate,         // of a kind whose answer is not known
    outside_window,         // now, in none of the configured times
    first_connection,       // nobody has come from there through TLS yet
    process_unknown,        // whose budget it would be
    open_sessions,          // whose cancel requests it might meet
    refuses_real,           // one that cannot be told apart from it, or itself, does not accept the real certificate
    falls_back,             // went on in clear after a refusal
    another_is_out,         // one at a time
    nothing_left,           // to learn
    budget_used_up,         // of the client
    grace,                  // it has just lost a connection
    hourly_budget_used_up,  // of all clients together
    fraction,               // its turn has not come
    tls_of_front,           // whoever would notice is not the client
};

inline constexpr std::size_t not_probed_count = static_cast<std::size_t>(NotProbed::tls_of_front) + 1;

/// As the inventory and the audit have it.
std::string_view label(NotProbed reason) noexcept;
/// For people, behind "not probed: ".
std::string_view sentence(NotProbed reason) noexcept;
/// The sentence of that label; a label of a newer version as it is.
std::string_view not_probed_text(std::string_view label) noexcept;

/// What a connection was to the probe whose certificate it was shown.
enum class ProbeEnd {
    accepted,  // a StartupMessage or CancelRequest came through TLS
    lost,      // it ended before, however it did
};

}  // namespace proxy
