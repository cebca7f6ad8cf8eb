// Commands to the process itself: RELOAD, UPGRADE, DRAIN, SHUTDOWN, KILL. Each is written down,
// with who gave it, before it is obeyed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proxy/admin/console_commands.hpp"
#include "proxy/observation/event.hpp"
#include "proxy/session/live_sessions.hpp"
#include "proxy/session/phase.hpp"

namespace proxy {

struct ReloadOutcome {
    std::string why;                       ///< not; empty: it was reloaded
    std::vector<std::string> not_taken{};  ///< keys that have changed, and wait for a restart
};

/// What obeys. From any thread; each but `reload` and `upgrade` returns at once, before it has been
/// obeyed.
struct ProcessControl {
    std::function<ReloadOutcome()> reload;  ///< waits for it, for some seconds
    std::function<std::string()> upgrade;   ///< likewise, for a little more than a minute; empty, or why not
    std::function<void()> drain;            ///< as the first SIGTERM
    std::function<void()> shutdown;         ///< as the second
    std::function<void(const std::string& session)> kill;
    std::function<void(Event&& event)> record;
    std::function<Phase()> phase;
};

/// nullopt: the statement is no command to the process. `asker` may command.
std::optional<ConsoleAnswer> obey(const protocol::ConsoleStatement& statement, const ConsoleAsker& asker,
                                  const ProcessControl& control, const LiveSessions& sessions);

}  // namespace proxy
