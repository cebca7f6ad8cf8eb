// Writes what people said about clients into an inventory that is there: one proxy's SQLite file,
// which the proxy may be writing too, or a fleet's PostgreSQL.
#pragma once

#include <string>
#include <vector>

#include "proxy/inventory/inventory_reader.hpp"

namespace proxy {

/// All of them or none. Rows take the place of older ones of the same client. `where`: as for
/// read_inventories(). Throws std::runtime_error that says where they could not be written, and
/// why.
void write_marks(const std::string& where, const std::vector<MarkRow>& marks);

}  // namespace proxy
