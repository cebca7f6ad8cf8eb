// How a captured session's connection is opened anew. Pure.
#pragma once

#include "bench/replay/session_run.hpp"

namespace bench::replay {

/// Startup parameters as captured; user, database and application_name as the target says, where it
/// does. Of openings also TLS as the captured client had it.
Opening opening_of(const ReplayTarget& target, const CapturedSession& session, const PlayRules& rules);

/// What its ClientHello had offered for the key exchange, as it is offered again. nullopt: that is
/// not in the capture, or not asked for.
std::optional<GroupsAgain> groups_of(const ReplayTarget& target, const CapturedSession& session,
                                     const PlayRules& rules);

/// Why it cannot be opened as it was; empty: it can.
std::string cannot_open(const ReplayTarget& target, const CapturedSession& session, const PlayRules& rules);

}  // namespace bench::replay
