// Sets spdlog's default logger up: stderr or a file, text or JSON lines. Code logs through spdlog
// itself.
#pragma once

#include "config/config.hpp"

namespace proxy {

/// Throws std::runtime_error when the file cannot be opened.
void set_up_log(const config::Log& settings);
/// Level, format and file from now on. Throws std::runtime_error when the file cannot be opened;
/// then the log goes on as it was.
void change_log(const config::Log& settings);
/// Opens the log file anew after it was renamed (SIGUSR1); on stderr nothing happens.
void reopen_log();

}  // namespace proxy
