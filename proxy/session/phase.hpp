// How far the process is: one answer for everybody whose work depends on it, such as sessions,
// signals, reload and prewarmed connections.
#pragma once

namespace proxy {

enum class Phase {
    starting,  ///< nothing is accepted yet
    serving,
    handed_over,  ///< another process accepts (an upgrade); logins and sessions go on for upgrade_timeout
    draining,     ///< nothing more is accepted; sessions go on for at most drain_timeout
    ending,       ///< what sessions are left are ended
};

}  // namespace proxy
