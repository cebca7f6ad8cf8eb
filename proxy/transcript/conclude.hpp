// The last things about a session: what its packets say of its end, and why it failed where no
// audit event does.
#pragma once

#include "protocol/pcapng_reader.hpp"
#include "proxy/transcript/read_session.hpp"
#include "proxy/transcript/session_facts.hpp"

namespace proxy::transcript {

/// Of one of its conversations in clear, or of raw records.
void take_transcript(ReadSession& session, protocol::Transcript& transcript);
/// Once all is known.
void conclude(ReadSession& session);
/// Of an audit event that is about no session.
std::string event_text(const AuditEvent& event);
/// ns since 1970; 0: it does not say.
std::uint64_t journal_time(const protocol::pcapng::JournalBlock& entry);

}  // namespace proxy::transcript
