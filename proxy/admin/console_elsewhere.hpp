// After an upgrade, sessions that the former process still serves: no relation here lists them, and
// whoever asks for sessions is told so.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "protocol/bytes.hpp"

namespace proxy {

struct SessionsElsewhere {
    pid_t pid = 0;
    unsigned sessions = 0;
    std::string console{};  ///< the path of its own; empty: it has none, or it is elsewhere
};

/// Whether the statement reads one of the relations of sessions; said of some more that only spell
/// their names.
bool is_about_sessions(std::string_view sql);

/// A NoticeResponse for each that has sessions.
void append_notices(protocol::Buffer& out, const std::vector<SessionsElsewhere>& elsewhere);

}  // namespace proxy
