// Any number of bytes as CopyData messages of 8 KiB, out of one static buffer: lines of "x" that
// end with each message.
#pragma once

#include "protocol/bytes.hpp"

namespace bench {

/// One message, its header included: what PostgreSQL gives to TLS at a time (PQ_SEND_BUFFER_SIZE in
/// its src/backend/libpq/pqcomm.c), so that it fills one record.
inline constexpr std::size_t copy_message_size = 8 * 1024;
/// How many of them go out with one system call.
inline constexpr std::size_t copy_messages_at_once = 16;

class CopyData {
   public:
    /// `bytes`: of payload, the headers not counted.
    explicit CopyData(std::uint64_t bytes) noexcept : left_(bytes) {}

    /// The next messages, valid until the next call; empty: that was all.
    protocol::Bytes next();

   private:
    std::uint64_t left_;
    protocol::Buffer last_;  // the message that is shorter than the others
};

}  // namespace bench
