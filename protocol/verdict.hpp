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
    std::int64_t first_seen = 0;
    std::int64_t last_seen = 0;  ///< any unit; later is more
    std::uint64_t count = 1;
    bool possible = false;  ///< perhaps another client's: shown, proves nothing
};

/// Whether a client accepts the certificate that it will meet after the rotation.
enum class Readiness { no, yes, unknown };

std::string_view to_string(Readiness readiness) noexcept;

struct Verdict {
    /// The modes that the evidence leaves open; where it is mixed, the narrowest that hold all of
    /// it.
    SslModeInterval interval;
    /// The modes of what was seen last and does not contradict itself.
    SslModeInterval newest;
    /// Where the evidence is mixed, the worst of it.
    Verifies verifies = Verifies::unknown;
    /// Some of it contradicts the rest, so two programs or two settings share one name, or the
    /// client was changed not long ago.
    bool mixed = false;
    /// Evidence until then contradicted all that was seen since, for so long that the client was
    /// changed, and is left out. 0: no such evidence.
    std::int64_t changed_at = 0;
    bool falls_back = false;  ///< goes on in clear when TLS fails: a refused certificate costs it its encryption
    /// no: it verifies, and refused the candidate; yes: it accepted it, or would accept any.
    Readiness ready_for_rotation = Readiness::unknown;
};

struct VerdictRules {
    /// When evidence of a kind that only a newer version knows was last seen; 0: never. It may
    /// contradict what is older, so that no good news follows from that.
    std::int64_t unreadable = 0;
    /// A client that was seen otherwise for so long was changed; 0: that is never believed.
    std::int64_t consistent_after = 0;
};

/// Never better than the worst that the evidence leaves possible.
Verdict judge(std::vector<Observation> observations, const VerdictRules& rules = {});

}  // namespace protocol
