// UNIX-domain sockets of processes that were killed, which removed nothing.
#pragma once

#include <string>

namespace proxy {

/// Removes those at `prefix` and the number of a process, "/run/pgairlock/.s.PGSQL.6434." say, on
/// which nobody listens. What cannot be looked at stays.
void remove_left_sockets(const std::string& prefix) noexcept;

}  // namespace proxy
