// From a packet's comment or an audit event to what is known about a session. Whatever these hold,
// nothing is thrown.
#pragma once

#include <string_view>

#include "protocol/absent_sessions.hpp"
#include "proxy/transcript/read_session.hpp"

namespace proxy::transcript {

using protocol::AbsentCount;

/// What a conversation's first packet says of it beside its session.
struct ConversationMarks {
    bool records = false;    ///< raw TLS, not what it holds
    bool joined = false;     ///< the session had begun before the capture
    bool prewarmed = false;  ///< the server's connection was there before the session
};
/// nullopt: it is no comment of a first packet.
std::optional<ConversationMarks> take_comment(SessionFacts& facts, std::string_view comment);

/// An audit line, or one of the capture's own (proxy/capture/capture_entry.hpp).
struct AuditEvent {
    std::string event;
    std::string session;
    std::string message;
    std::string reason;
    std::string sqlstate;
    SessionFacts facts;
    std::optional<SessionFailure> failure;       ///< tls_failed, auth_failed, rejected, upstream_failed
    std::optional<std::uint64_t> capture{};      ///< capture_started, capture_stopped: its number
    std::optional<protocol::Absence> absence{};  ///< capture_absence: why its session is not in the capture
    std::string unknown_absence{};               ///< the same, in a word that is not known here
    std::optional<AbsentCount> absent{};         ///< capture_absence of no session: how many there are so far
    bool has_servers_words = false;              ///< which the packets may have blanked

    /// Nothing more happens to its session.
    bool ends_session() const noexcept;
};
/// nullopt: it is no event.
std::optional<AuditEvent> parse_event(std::string_view line);

/// What `from` knows and `facts` does not, and where both know, what `from` says.
void take_facts(SessionFacts& facts, const SessionFacts& from);

}  // namespace proxy::transcript
