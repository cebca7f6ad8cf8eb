// A whole Config seen through the key table: which files it names, and which of its changes have to
// wait for a restart.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace config {

/// Keys whose value in `loaded` is another than the process began with, and which only a restart
/// takes up: "runtime.threads".
std::vector<std::string> changes_for_restart(const Config& running, const Config& loaded);

/// The paths of all files that keys name, each once, sorted; without "system".
std::vector<std::string> files_of(const Config& config);

/// Whether both say the same of a server, wherever in their files.
bool is_same(const Upstream& a, const Upstream& b);

}  // namespace config
