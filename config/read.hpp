// From the tree of what was written to a Config.
#pragma once

#include "config/load.hpp"
#include "config/node.hpp"

namespace config {

/// `root` is the table at the top of the file.
Loaded read(const Node& root, Reading reading);

}  // namespace config
