// Which certificates in use end soon, for `check --warn-days`: those of the configuration and those
// that its upstreams have shown.
#pragma once

#include <chrono>
#include <vector>

#include "proxy/command/check/judges.hpp"
#include "proxy/command/check/outcome.hpp"

namespace proxy::command {

/// Those that have ended, too. Of a bundle of trust anchors only those that a chain went through.
std::vector<EndsSoon> ends_soon(const Snapshot& snapshot, const std::vector<Judges>& upstreams,
                                const std::vector<AddressResult>& shown, std::chrono::system_clock::time_point until);

}  // namespace proxy::command
