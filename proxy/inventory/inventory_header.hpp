// Whether a file can be an inventory, by its first bytes: SQLite's header ("Database File Format",
// 1.3). Pure.
#pragma once

#include <string>

#include "protocol/bytes.hpp"

namespace proxy {

inline constexpr std::size_t inventory_header_size = 100;

/// Why it cannot be one that this version knows; empty: it can, as far as its beginning says. An
/// empty file is one that is about to be made.
std::string inventory_header_fault(protocol::Bytes beginning);

}  // namespace proxy
