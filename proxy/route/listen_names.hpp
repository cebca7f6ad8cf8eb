// Names in `listen`, and "*", as addresses to bind.
#pragma once

#include <vector>

#include "config/config.hpp"

namespace proxy {

/// Each name as all of its addresses that this host has, in the resolver's order; what is an
/// address stays as it is. Asks the system's resolver, and waits for as long as that does: not for
/// a thread that serves. Names that stand for nothing are errors.
std::vector<config::Address> resolve_listen(const std::vector<config::Address>& listen,
                                            std::vector<config::Diagnostic>& errors);

}  // namespace proxy
