// What goes wrong with a statement on the console, as its client is told.
#pragma once

#include <string>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/messages.hpp"

namespace proxy {

/// `hint`: what to do about it. `position`: in the query's text, as in ErrorResponse; 0: none.
inline protocol::ErrorResponse console_error(const char* sqlstate, std::string message, std::string hint = {},
                                             std::size_t position = 0) {
    return {.severity = "ERROR",
            .sqlstate = sqlstate,
            .message = std::move(message),
            .detail = {},
            .hint = std::move(hint),
            .position = position};
}

/// A NoticeResponse is an ErrorResponse with another type.
inline void append_notice(protocol::Buffer& out, const protocol::ErrorResponse& notice) {
    const std::size_t at = out.size();
    protocol::append(out, notice);
    out[at] = 'N';
}

}  // namespace proxy
