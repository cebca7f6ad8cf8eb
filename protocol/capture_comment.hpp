// Comments in a capture, as they are written into it: what a conversation's first packet says of
// its session, and what a section says of its capture. Whatever these hold, nothing is thrown.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace protocol {

/// `key=value key="value with spaces"`; within quotes \" and \\ are one character. Words without a
/// value are left out, values are cut at 512 bytes, and the first of a key counts.
std::map<std::string, std::string> parse_comment(std::string_view comment);

/// A conversation, out of its first packet's comment. Empty: it does not say.
struct ConversationComment {
    std::string session;
    std::string user;
    std::string database;
    std::string application_name;
    std::string client_addr;
    std::optional<bool> ssl;  ///< of the client leg
    std::string version;      ///< "TLSv1.3", of the client leg
    std::string sslmode_min;
    std::string sslmode_max;
    std::string verifies;
    std::string listener;
    std::string upstream_addr;  ///< of a server leg
    std::string upstream_version;
    bool records = false;    ///< raw TLS, not what it holds
    bool joined = false;     ///< the session had begun before the capture
    bool prewarmed = false;  ///< the server's connection was there before the session
};
/// nullopt: it is no comment of a first packet.
std::optional<ConversationComment> parse_conversation_comment(std::string_view comment);

/// "full", "redacted", "headers": of a section's comment; empty: it does not say.
std::string payload_of(std::string_view comment);
/// "user=app database=orders": of a section's comment, which sessions were wanted; empty: all.
std::string filter_of(std::string_view comment);

}  // namespace protocol
