// Whether a server answered as the captured one did. Pure.
#pragma once

#include "bench/replay/plan.hpp"

namespace bench::replay {

struct Difference {
    std::uint32_t statement = 0;  ///< in its session, from 1
    std::string sql;              ///< its beginning
    std::string was;
    std::string is;
};

/// Of one session that was played once to one target.
struct Outcome {
    std::string failure;             ///< why it did not come to its end; empty: it did
    std::uint32_t played = 0;        ///< statements that were answered
    std::uint32_t not_played = 0;    ///< because of the failure
    std::uint32_t different = 0;     ///< of those that were answered
    std::uint32_t rows_unknown = 0;  ///< their rows could not be compared: the capture has blanked some
    std::uint32_t cancels_failed = 0;
    std::optional<Difference> first;
    std::uint64_t digest = 0;    ///< of all that is different: equal where two targets differ in the same way
    std::string left_out;        ///< why it was not played to this target, or cannot be compared
    std::string not_played_as;   ///< it could not be opened: why in words, the same for all of a kind
    std::string why_not_played;  ///< and what was said to this one
    std::vector<std::string> tls_left_out;  ///< of the key exchange that it had offered: tls_offer.hpp
    bool own_groups = false;                ///< what it had offered is not in the capture

    bool same() const { return failure.empty() && different == 0 && left_out.empty() && not_played_as.empty(); }
    void differs(Difference difference);
    /// Another one of the same session.
    void add(const Outcome& other);
};

/// Adds what the answer to `unit` came to.
void compare(const Unit& unit, const Answer& answer, bool rows, Outcome& outcome);

}  // namespace bench::replay
