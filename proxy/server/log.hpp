// Sets spdlog's default logger up: stderr or a file, text or JSON lines, written by a thread of its
// own (LogWriter). Code logs through spdlog itself.
#pragma once

#include <memory>
#include <string>

#include "config/config.hpp"
#include "proxy/server/log_writer.hpp"

namespace proxy {

/// Throws CannotOpen.
void set_up_log(const config::Log& settings);
/// What change_log() needs, where a file that hangs holds up nobody; nullptr: what is open serves
/// both. Throws CannotOpen.
std::unique_ptr<LogWriter> prepare_log(const config::Log& before, const config::Log& settings);
/// Level, format and file from now on. Returns the writer that was replaced, whose last lines are
/// still to be waited for (end_within); nullptr: none was.
std::shared_ptr<LogWriter> change_log(const config::Log& settings, std::unique_ptr<LogWriter> prepared);
/// Opens the log file anew after it was renamed (SIGUSR1); on stderr nothing happens.
void reopen_log();
/// A line for whoever started us, and for no log.
void print_line(LogLine::To to, std::string text);
/// The last lines are written, unless that takes longer than a few seconds: then the process has to
/// end by std::_Exit (OwnThread).
void end_log();

}  // namespace proxy
