// Passwords as libpq keeps them, for a target of a replay.
#pragma once

#include <string>
#include <string_view>

#include "bench/target/conninfo.hpp"
#include "config/passfile.hpp"

namespace bench::replay {

using config::find_password;
using config::line_for;
using config::Passfile;
using config::PasswordFor;
using config::read_passfile;

PasswordFor password_for(const Target& target, std::string_view database, std::string_view user);

}  // namespace bench::replay
