// The tables of an inventory as plain data, whatever version they are of.
#pragma once

#include <cstdint>
#include <vector>

#include "proxy/inventory/inventory_reader.hpp"
#include "proxy/inventory/inventory_source.hpp"

namespace proxy {

/// One InventoryRows per proxy. `version`: of the tables, at most inventory_version. A proxy that
/// was not yet updated still writes older ones. Throws std::runtime_error, as `source` does, and
/// where a number is none.
std::vector<InventoryRows> read_tables(InventorySource& source, std::int64_t version);

}  // namespace proxy
