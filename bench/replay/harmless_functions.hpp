// The functions of pg_catalog that only compute or tell: what a replay without --writes may call.
#pragma once

#include <string_view>

namespace bench::replay {

/// `name` as PostgreSQL has it, without its schema.
bool is_harmless_function(std::string_view name);

}  // namespace bench::replay
