// Finds the messages of one direction in pieces of any size, whatever they carry and however long
// they are: the beginning of a body is kept, and all of it handed on as it comes.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "protocol/messages.hpp"

namespace bench::replay {

/// Of a body, in bytes, as much as is kept: command tags, errors and keys are shorter.
inline constexpr std::size_t max_kept_body = 16 * 1024;

class MessageReader {
   public:
    /// Called with each piece of a body, before next() returns its message.
    using Sink = std::function<void(char type, protocol::Bytes part)>;
    explicit MessageReader(Sink sink = {}) : sink_(std::move(sink)) {}

    /// The type of the next message that ends in `bytes`, whose front is taken off as far as it was
    /// looked at. nullopt: all of it was.
    std::optional<char> next(protocol::Bytes& bytes);
    /// Of that message, its beginning; until the next call.
    protocol::Bytes body() const noexcept { return body_; }
    /// A length that no message has: nothing more can be read.
    bool broken() const noexcept { return broken_; }

   private:
    Sink sink_;
    std::array<std::uint8_t, protocol::message_header_size> header_{};
    std::size_t header_size_ = 0;  // of it; whole: within the body
    std::size_t missing_ = 0;      // of the body
    std::vector<std::uint8_t> body_;
    bool broken_ = false;
};

}  // namespace bench::replay
