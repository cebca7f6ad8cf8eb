// A capture that is written by the command that ordered it: into a file, or down a pipe.
#pragma once

#include <functional>
#include <string>

#include "proxy/command/console_client.hpp"

namespace proxy::command {

/// Writes what `sql` is answered with to `file`, which must not exist, or to standard output ("-"),
/// until it ends, its reader has gone, or SIGINT or SIGTERM ends it. `begun` is called once there
/// is a capture. The number of bytes. Throws ConsoleError, or std::runtime_error about the file.
std::size_t stream_capture(ConsoleClient& console, const std::string& sql, const std::string& file,
                           const std::function<void()>& begun);

}  // namespace proxy::command
