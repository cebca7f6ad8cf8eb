// The files that `capture read` is given, as blocks: in the order of time, and as they grow.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proxy/transcript/reading.hpp"

namespace proxy::command {

/// SIGINT from here on is no end of the process: interrupted() says that it came.
void catch_interrupt();
bool interrupted() noexcept;

struct CaptureSource {
    std::vector<std::string> files;  ///< "-": standard input
    bool follow = false;
    /// All that is there was read, and the last file may grow: called once.
    std::function<void()> caught_up = [] {};
};

/// Hands everything to `reading`, up to its end. False: a file cannot be read, or not to its end.
/// Throws std::runtime_error with nothing read when a file is none of ours, or cannot be opened.
bool read_captures(CaptureSource source, transcript::Reading& reading);

}  // namespace proxy::command
