// Finds the messages in one direction of a session. What COPY carries is counted and never kept, so
// that gigabytes pass at memory speed.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "protocol/messages.hpp"

namespace protocol {

/// Of the messages whose body is kept, in bytes: for peers whose queries and answers are short.
inline constexpr std::size_t max_framed_body = 64 * 1024;
/// PQ_LARGE_MESSAGE_LIMIT of PostgreSQL (src/include/libpq/libpq.h).
inline constexpr std::size_t max_copy_data = 0x3fffffff;

/// One whole message. `body` ends with the bytes that it was found in, or with the next call; it is
/// empty for CopyData.
struct Frame {
    char type = 0;
    std::size_t size = 0;  ///< of the body
    Bytes body;
};

class Framer {
   public:
    /// The next message that ends in `bytes`, whose front is taken off as far as it was looked at.
    /// nullopt: all of it was.
    std::optional<Frame> next(Bytes& bytes);
    /// A message has a length that none may have: no message follows.
    bool broken() const noexcept { return broken_; }

   private:
    bool take_header(protocol::Bytes& bytes);

    std::array<std::uint8_t, message_header_size> header_{};
    std::size_t header_size_ = 0;  // of it; in the body once all is there
    std::size_t body_size_ = 0;
    std::size_t missing_ = 0;
    std::vector<std::uint8_t> body_;  // its beginning, when it did not come in one piece
    bool broken_ = false;
};

}  // namespace protocol
