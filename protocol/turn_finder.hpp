// Where messages begin again, after bytes are missing in a capture. That bytes look like a message
// proves nothing, for they may be of a row. So it waits for a whole turn: the server's bytes end
// like a ReadyForQuery, what the client says next is whole requests and nothing else, and what the
// server says to that is whole messages up to the last ReadyForQuery that these requests are
// answered by. Whoever knows that the server has said ReadyForQuery needs no answer to believe the
// requests.
#pragma once

#include <vector>

#include "protocol/captured_messages.hpp"

namespace protocol {

class TurnFinder {
   public:
    struct Chunk {
        CapturedSide from = CapturedSide::client;
        std::uint64_t time = 0;
        std::vector<std::uint8_t> bytes;
    };

    /// `server_is_known`: its messages are followed elsewhere; ready() says when it waits.
    void begin(bool server_is_known) noexcept;
    /// What a packet carries. True: found, and chunks() are what to read anew, beginning with a
    /// message of each side.
    bool add(CapturedSide from, std::uint64_t time, Bytes bytes);
    /// Bytes are missing here, of either side.
    void missing() noexcept { forget(State::nothing); }
    /// The server has said ReadyForQuery.
    void ready() noexcept { forget(State::ready); }
    /// A turn may have begun with the last chunk.
    bool asks() const noexcept { return state_ == State::asked; }
    const std::vector<Chunk>& chunks() const noexcept { return chunks_; }

   private:
    enum class State : std::uint8_t {
        nothing,   // the server may be in the middle of something
        ready,     // it looks as if it waited
        asked,     // the client has said something since then
        answered,  // and whole requests were followed by something of the server
    };
    /// One side's bytes, whose messages are looked at once, however small the pieces are.
    struct Side {
        std::vector<std::uint8_t> bytes{};
        std::size_t seen = 0;  // of them: whole messages
        bool valid = true;     // as far as they go
        char last = '\0';      // type of the last one
        unsigned turns = 0;    // requests that are answered by a ReadyForQuery, or those

        bool whole() const noexcept { return valid && seen == bytes.size(); }
        void look(CapturedSide from);
    };

    void forget(State state) noexcept;
    void keep(CapturedSide from, std::uint64_t time, Bytes bytes);

    State state_ = State::nothing;
    bool server_is_known_ = false;
    std::vector<Chunk> chunks_;
    Side question_;
    Side answer_;
};

}  // namespace protocol
