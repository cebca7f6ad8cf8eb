// The records of TLS that stand in a capture beside the conversations in clear: what their clients
// offered. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "bench/replay/session_facts.hpp"
#include "bench/replay/tls_offer.hpp"
#include "protocol/captured_leg.hpp"
#include "protocol/captured_stream.hpp"

namespace bench::replay {

class HandshakeRecords {
   public:
    /// `facts`: what the packet's comments say. False: it is of a conversation in clear.
    bool take(const protocol::TcpPacket& tcp, std::uint64_t time, const protocol::CapturedEnds& ends,
              const SessionFacts& facts);
    /// nullopt: it is not in the capture.
    std::optional<TlsOffer> offer_of(const std::string& session) const;
    /// Of memory, about, since the beginning.
    std::size_t bytes() const noexcept { return bytes_; }

   private:
    struct Conversation {
        std::string session;
        protocol::CapturedStream client;
        HelloReader hello;
        bool over = false;  // nothing more can be found in it
    };

    std::map<std::string, Conversation> conversations_;  // by both ends
    std::map<std::string, TlsOffer> offers_;             // by session
    std::size_t bytes_ = 0;
};

}  // namespace bench::replay
