// Who listens on an address that is taken, as far as this user may see: for messages, and to tell
// socket activation from a stranger.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace proxy {

struct PortHolder {
    pid_t pid = 0;
    std::string name;  ///< of its program, as in ps

    /// It listens for others, to whom it hands its sockets (sd_listen_fds(3)).
    bool is_service_manager() const noexcept { return pid == 1 && name == "systemd"; }
};

/// Of a TCP address that a listener of ours could not take: all who listen there, on all addresses,
/// or where that listener would be on all, as processes may have one socket together. A service
/// manager is among them only where nobody else has all that it has. Empty: nobody is seen.
std::vector<PortHolder> holders_of(const config::Address& address);
/// Of a connected UNIX-domain socket: who listens at its other end.
std::optional<PortHolder> listener_behind(int connected);

/// ", by postgres (process 4711)", for the end of an error; empty: nobody is seen.
std::string by_whom(const std::optional<PortHolder>& holder);

}  // namespace proxy
