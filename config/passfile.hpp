// Passwords as libpq keeps them (PostgreSQL docs, "The Password File"): a line for each
// host:port:database:user. Pure but for read_passfile().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace config {

/// Whom a password is for.
struct PasswordFor {
    std::string host;  ///< as it is named; a folder for a UNIX-domain socket
    std::uint16_t port = 5432;
    std::string database;
    std::string user;
};

/// The beginning of the line that would name it: "host:port:database:user".
std::string line_for(const PasswordFor& wanted);

/// Of the first line of `file` that matches, its colons and backslashes unescaped; empty: there is
/// none.
std::string find_password(std::string_view file, const PasswordFor& wanted);

/// What the file says, or why it is not used.
struct Passfile {
    std::string text;
    std::string warning;
};
/// As libpq: a file that is not there is none, one that others may read or write is not used.
Passfile read_passfile(const std::string& path);

}  // namespace config
