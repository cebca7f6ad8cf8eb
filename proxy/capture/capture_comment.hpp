// What stands in a capture beside the packets, for people and for `capture read`. Pure.
#pragma once

#include <string>
#include <string_view>

#include "protocol/redactor.hpp"
#include "proxy/observation/event.hpp"
#include "tls/stream.hpp"

namespace proxy {

struct ConversationFacts {
    tls::Leg leg{};
    std::string to;          ///< the true address of its server's end
    bool records = false;    ///< raw TLS records instead of what they hold
    bool joined = false;     ///< the session was open before
    bool prewarmed = false;  ///< the connection to the server was open, and in TLS, before the session
};

/// Of a conversation's first packet: "session=... user=... ssl=true ..."; what is not known is left
/// out.
std::string opening_comment(const SessionRecord& record, const ConversationFacts& facts);

/// As a capture of this payload may tell it: below `full` without the server's own words, which may
/// quote anything.
Event as_captured(Event event, protocol::Payload payload);

/// Of the last packet before a failure: which event, why, and what an alert means.
std::string failure_comment(const Event& event);

}  // namespace proxy
