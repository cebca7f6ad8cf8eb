// Whether the files that pgairlock would write to can be opened, for `pgairlock check`.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace proxy::command {

/// Looks at log.file and audit.file, and where capture.windows are to come at capture.dir, without
/// making or opening anything. What may only be this
/// user's lack of permission is a warning: the service may have another one.
void look_at_written_files(const config::Config& config, const std::string& state_dir,
                           std::vector<config::Diagnostic>& errors, std::vector<config::Diagnostic>& warnings);

}  // namespace proxy::command
