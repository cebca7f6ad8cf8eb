// Commands to the process itself: RELOAD, UPGRADE, DRAIN, SHUTDOWN, KILL. Each is written down,
// with who gave it, before it is obeyed.
#pragma once

#include <functional>
#include <string>

#include "proxy/admin/console_commands.hpp"
#include "proxy/observation/event.hpp"
#include "proxy/session/live_sessions.hpp"
#include "proxy/session/phase.hpp"

namespace proxy {

/// What obeys. From any thread; each but `reload` and `upgrade` returns at once, before it has been
/// obeyed.
struct ProcessControl {
    std::function<std::string()> reload;   ///< waits for the outcome, for some seconds; empty, or why not
    std::function<std::string()> upgrade;  ///< likewise, for a little more than a minute
    std::function<void()> drain;           ///< as the first SIGTERM
    std::function<void()> shutdown;        ///< as the second
    std::function<void(const std::string& session)> kill;
    std::function<void(Event&& event)> record;
    std::function<Phase()> phase;
};

/// nullopt: the statement is no command to the process. `asker` may command.
std::optional<ConsoleAnswer> obey(const protocol::ConsoleStatement& statement, const ConsoleAsker& asker,
                                  const ProcessControl& control, const LiveSessions& sessions);

}  // namespace proxy
