// The manual page of a program, for man: pgairlock(1). Pure.
#pragma once

#include <string>
#include <string_view>

#include "config/usage/outline.hpp"

namespace usage {

/// As groff's man macros; every command and option is in it, in the words of --help. `version`:
/// "0.1.0"; `see_also`: other pages, "psql(1), pgbouncer(1)".
std::string manual(const Outline& program, std::string_view version, std::string_view see_also);

}  // namespace usage
