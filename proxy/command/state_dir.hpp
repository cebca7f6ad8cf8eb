// Where the proxy keeps what outlives it: generated certificates and the audit.
#pragma once

#include <string>

namespace proxy::command {

/// `configured` when given; else $STATE_DIRECTORY (systemd), else /var/lib/pgairlock for root, else
/// $XDG_STATE_HOME/pgairlock or
/// ~/.local/state/pgairlock.
std::string state_dir(const std::string& configured);

/// Creates it, with its parents, 0750. Throws std::runtime_error naming it and the reason.
void create_state_dir(const std::string& path);

}  // namespace proxy::command
