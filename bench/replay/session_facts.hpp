// Who a captured session was, how it opened, and what became of it: out of its first packet's
// comment and the audit events that stand in the capture. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/pcapng_reader.hpp"

namespace bench::replay {

struct SessionFacts {
    std::string session;
    std::string user;
    std::string database;
    std::string application_name;
    std::string client_addr;
    std::optional<bool> ssl;  ///< on the client leg
    std::string version;      ///< "TLSv1.3"
    std::string negotiation;  ///< as in the audit: plain, sslrequest, direct ...; empty: not known
    std::optional<std::string> sni;
    std::optional<std::string> alpn;
    std::uint32_t backend_pid = 0;
    std::string failed;    ///< the event: tls_failed, auth_failed, rejected, upstream_failed
    std::string sqlstate;  ///< of that
    std::string reason;    ///< of tls_failed: tls_abandoned (by the client) or tls_failed (by the proxy)
    std::string error;     ///< of tls_failed, in words: "alert unknown_ca (48)"
    bool alert = false;    ///< the client sent one that was fatal
    bool certificate_shown = false;
    bool joined = false;   ///< the session was open before its capture began
    bool records = false;  ///< of a conversation: it holds the records of TLS
};

/// Takes what `comment` says. False: it is about something else.
bool take_comment(SessionFacts& facts, std::string_view comment);
/// nullopt: no audit event of a session.
std::optional<SessionFacts> facts_of(const protocol::pcapng::JournalBlock& entry);
/// What `from` knows is taken over.
void merge(SessionFacts& into, const SessionFacts& from);

}  // namespace bench::replay
