// Whether `run` could use an inventory that is a file: looked at, and neither changed nor given
// files beside it.
#pragma once

#include <chrono>
#include <string>

namespace proxy::command {

struct InventoryLook {
    std::string fault{};       ///< why it could not be used; empty: nothing is known against it
    std::string not_looked{};  ///< why nothing can be said; empty: it was looked at to its end
};

/// `path`: what there need not be yet. Takes no longer than `patience`, but for a file system that
/// does not answer.
InventoryLook look_into_inventory(const std::string& path, std::chrono::milliseconds patience);

}  // namespace proxy::command
