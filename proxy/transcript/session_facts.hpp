// From a packet's comment or an audit event to what is known about a session. Whatever these hold,
// nothing is thrown.
#pragma once

#include <string_view>

#include "proxy/transcript/read_session.hpp"

namespace proxy::transcript {

/// What a conversation's first packet says of it beside its session.
struct ConversationMarks {
    bool records = false;  ///< raw TLS, not what it holds
    bool joined = false;   ///< the session had begun before the capture
};
/// nullopt: it is no comment of a first packet.
std::optional<ConversationMarks> take_comment(SessionFacts& facts, std::string_view comment);

/// An audit line.
struct AuditEvent {
    std::string event;
    std::string session;
    std::string message;
    std::string reason;
    std::string sqlstate;
    SessionFacts facts;
    std::optional<SessionFailure> failure;  ///< tls_failed, auth_failed, rejected, upstream_failed

    /// Nothing more happens to its session.
    bool ends_session() const noexcept;
};
/// nullopt: it is no event.
std::optional<AuditEvent> parse_event(std::string_view line);

/// What `from` knows and `facts` does not, and where both know, what `from` says.
void take_facts(SessionFacts& facts, const SessionFacts& from);

}  // namespace proxy::transcript
