// A PostgreSQL session without a database behind it, as a pure state machine: bytes of the client
// in, bytes for the client out.
//
// It is what a proxy is measured against, so an answer costs next to nothing. Any simple query gets
// one row, `1`. Two forms of COPY are understood, in any case and with a semicolon or without:
//   COPY n BYTES TO STDOUT     n bytes, as CopyData messages of 8 KiB
//   COPY ... FROM STDIN ...    takes everything and keeps nothing; the command tag is `COPY n`,
//                              with the number of bytes
// The extended protocol is refused, as PostgreSQL refuses what it does not know: with an
// ErrorResponse, then skipping to Sync.
#pragma once

#include <optional>

#include "protocol/framer.hpp"

namespace bench {

/// What a query asks for.
struct Query {
    enum class Kind { row, copy_out, copy_in, wrong_copy };
    Kind kind = Kind::row;
    std::uint64_t bytes = 0;  ///< copy_out
};

Query parse_query(std::string_view text);

class NullBackend {
   public:
    /// AuthenticationOk to ReadyForQuery. `pid`: for BackendKeyData, whose key cancels nothing.
    static void append_welcome(protocol::Buffer& out, std::uint32_t pid);

    /// Answers the messages of `bytes`, whose front is taken off; what is left when it stops waits
    /// behind a COPY TO STDOUT or is of no interest.
    void answer(protocol::Bytes& bytes, protocol::Buffer& out);
    /// Set: send so many bytes as CopyData, then call copied_out.
    std::optional<std::uint64_t> copy_out() const noexcept { return copy_out_; }
    void copied_out(protocol::Buffer& out);
    /// The connection is to be closed once `out` has been sent.
    bool over() const noexcept { return over_; }

   private:
    enum class State { ready, copy_in, skip_to_sync };

    void answer(const protocol::Frame& frame, protocol::Buffer& out);
    void answer_query(std::string_view text, protocol::Buffer& out);
    void answer_in_copy(const protocol::Frame& frame, protocol::Buffer& out);
    void give_up(protocol::Buffer& out);

    protocol::Framer framer_;
    State state_ = State::ready;
    std::optional<std::uint64_t> copy_out_;
    std::uint64_t copied_in_ = 0;
    bool over_ = false;
};

}  // namespace bench
