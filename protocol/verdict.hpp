// What all the evidence about one client comes to. It was seen over weeks, so it may contradict
// itself, be a coincidence, or be somebody else's (docs/verification.md, "Over time").
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/evidence.hpp"

namespace protocol {

/// One kind of evidence about a client.
struct Observation {
    Evidence evidence{};
    std::int64_t last_seen = 0;  ///< any unit; later is more
    std::uint64_t count = 1;
    bool possible = false;  ///< perhaps another client's: shown, proves nothing
};

/// Whether a client accepts the certificate that it will meet after the rotation.
enum class Readiness { no, yes, unknown };

std::string_view to_string(Readiness readiness) noexcept;

struct Verdict {
    SslModeInterval interval;
    /// The same without what is older than evidence that cannot be read. Good news about a client
    /// must follow from this one.
    SslModeInterval beyond_doubt;
    bool changed =
        false;  ///< older evidence contradicts the newer and was left out: the client changed, or two share one key
    bool falls_back = false;  ///< goes on in clear when TLS fails: a refused certificate costs it its encryption
    Readiness candidate = Readiness::unknown;

    /// A client is not ready when it verifies and refused the candidate; ready when it accepted it
    /// or would accept any.
    Readiness ready_for_rotation() const noexcept;
};

/// The newest evidence counts first; what contradicts it is left out.
///
/// `unreadable`: when evidence of a kind that only a newer version knows was last seen; 0: never.
/// It may contradict what is older.
Verdict judge(std::vector<Observation> observations, std::int64_t unreadable = 0);

}  // namespace protocol
