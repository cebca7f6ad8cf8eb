// Rules about the sockets of a configuration: which exclude each other, which nobody reaches, and
// which everybody does.
#pragma once

#include "config/node.hpp"

namespace config {

/// No two listeners of one name; no two sockets, of listeners or of [admin], on one address; and no
/// listener whose upstream is itself.
void check_sockets(const Config& config, Reading& reading);

/// Of one listener: whether those that are meant to come can, and what they risk. `table` says
/// whether `allow` was given.
void check_doors(const Node& table, const Listener& listener, Reading& reading);

}  // namespace config
