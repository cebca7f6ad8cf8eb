// Where the proxy keeps what outlives it: generated certificates and the audit.
#pragma once

#include <string>

#include "config/config.hpp"

namespace proxy::command {

/// `configured` when given; else $STATE_DIRECTORY (systemd), else /var/lib/pgairlock for root, else
/// $XDG_STATE_HOME/pgairlock or
/// ~/.local/state/pgairlock.
std::string state_dir(const std::string& configured);

/// Whether anything is kept there: `of_use` is what the proxy can serve without; `welcome`: what
/// nobody asked for.
enum class Need { none, welcome, of_use, needed };
Need need_of_state_dir(const config::Config& config);

/// Creates it, with its parents, 0750. Throws std::runtime_error naming it and the reason.
void create_state_dir(const std::string& path);

}  // namespace proxy::command
