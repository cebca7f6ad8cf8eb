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
    std::uint64_t digest = 0;  ///< of all that is different: equal where two targets differ in the same way
    std::string left_out;      ///< why it was not played to this target

    bool same() const { return failure.empty() && different == 0 && left_out.empty(); }
    void differs(Difference difference);
    /// Another one of the same session.
    void add(const Outcome& other);
};

/// Adds what the answer to `unit` came to.
void compare(const Unit& unit, const Answer& answer, bool rows, Outcome& outcome);

/// What is to be opened was captured as `plan`; it came to `sqlstate` and `error`, which are empty
/// for success.
void compare_login(const SessionPlan& plan, const std::string& captured_failure, const std::string& sqlstate,
                   const std::string& error, Outcome& outcome);

}  // namespace bench::replay
