// What Reading keeps of a session as long as more of it may come. Its own alone.
#pragma once

#include "proxy/transcript/reading.hpp"

namespace proxy::transcript {

struct Reading::Live {
    std::uint64_t number = 0;
    std::size_t capture = 0;
    ReadSession session;
    std::size_t kept = 0;
    bool closed = false;  // its connection
    bool last_event = false;
    bool closing = false;  // it is in closing_
    std::uint64_t closing_since = 0;
    std::vector<Key> conversations;
    std::string client;  // its name in by_client_
};

struct Reading::Conversation {
    LivePointer live;
    bool server_leg = false;
    std::unique_ptr<protocol::Transcript> transcript;  // of the client leg
};

/// Among the clients that are known.
inline std::string client_name(const std::string& address, int port) { return address + " " + std::to_string(port); }

}  // namespace proxy::transcript
