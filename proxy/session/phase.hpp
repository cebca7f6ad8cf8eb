// How far the process is: one answer for everybody whose work depends on it, such as sessions,
// signals, reload and prewarmed connections.
#pragma once

namespace proxy {

enum class Phase {
    starting,  ///< nothing is accepted yet
    serving,
    draining,  ///< nothing more is accepted; sessions go on for at most drain_timeout
    ending,    ///< what sessions are left are ended
};

}  // namespace proxy
