// Whether what pgairlock would write to, make and listen on can be, for `pgairlock check`.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace proxy::command {

/// Looks at log.file and audit.file, the inventory, the private CA, the folders of UNIX-domain
/// sockets, and where capture.windows are to come at capture.dir, without making or changing
/// anything. What may only be this user's lack of permission is a warning: the service may have
/// another one. So is what pgairlock can run without.
void look_at_written_files(const config::Config& config, const std::string& state_dir,
                           std::vector<config::Diagnostic>& errors, std::vector<config::Diagnostic>& warnings);

}  // namespace proxy::command
