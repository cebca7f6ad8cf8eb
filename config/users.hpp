// [auth] users_file: users and what proves them, in the format of PgBouncer's userlist.txt
// (PgBouncer docs, "Authentication file format").
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "protocol/scram.hpp"

namespace config {

using Users = std::map<std::string, protocol::ScramUser, std::less<>>;

/// Lines of `"user" "password"`, where a quote within is written twice; the password may be a SCRAM
/// secret as in pg_authid.rolpassword. What follows in a line is ignored, and so are empty lines
/// and those that begin with ";". Diagnostics point into `file`.
Users parse_users(std::string_view text, const File& file, std::vector<Diagnostic>& errors,
                  std::vector<Diagnostic>& warnings);

}  // namespace config
