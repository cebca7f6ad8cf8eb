// No text of PostgreSQL can have a NUL, and one in a row would keep all rows out of a fleet.
#pragma once

#include <string>

namespace proxy {

/// The same JSON, with every \u0000 in its strings as the four characters \x00, as
/// protocol::as_distinct_utf8() writes it.
std::string json_without_nul(std::string json);

}  // namespace proxy
