// One direction of a captured conversation: what its packets carry, in the order of the sequence
// numbers, and how many bytes are not there. Packets stand in a capture in the order in which they
// were written, so nothing is kept to wait for what comes late: it counts as missing.
#pragma once

#include "protocol/bytes.hpp"

namespace protocol {

/// Who said something.
enum class CapturedSide : std::uint8_t { client, server };

/// A packet of TCP, as far as a reader cares.
struct CapturedSegment {
    CapturedSide from = CapturedSide::client;
    std::uint64_t time = 0;  ///< ns since 1970
    std::uint32_t sequence = 0;
    bool syn = false;
    bool fin = false;
    bool rst = false;
    Bytes payload;
};

class CapturedStream {
   public:
    struct Piece {
        std::uint64_t missing = 0;  ///< bytes before these
        Bytes bytes;
    };
    /// The first byte has this sequence number, unless it has begun already.
    void begin(std::uint32_t sequence) noexcept;
    /// What is new in it: what came before already, as of a file that is read twice, is left out.
    Piece segment(const CapturedSegment& segment);
    /// Anything was seen of it.
    bool begun() const noexcept { return begun_; }

   private:
    bool begun_ = false;
    std::uint32_t next_ = 0;  // sequence number
    std::uint64_t time_ = 0;  // of the last segment with something new
};

}  // namespace protocol
