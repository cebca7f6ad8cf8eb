// The messages of one direction of a captured session, as far as its bytes are there. Of a long
// message the beginning is kept, of rows and of COPY's data nothing, so that it needs no more
// memory than its longest statement. Where bytes are missing it goes on only when it is known where
// the next message begins: within a body whose length was read.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "protocol/captured_stream.hpp"
#include "protocol/messages.hpp"

namespace protocol {

/// Of a body: as much as is kept. A StartupMessage always fits.
inline constexpr std::size_t max_captured_body = 16 * 1024;

struct CapturedMessage {
    char type = '\0';           ///< '\0': one of the opening's, which have none; the body begins with its length then
    std::size_t size = 0;       ///< of the body on the wire
    Bytes body;                 ///< its beginning; ends with the next call
    std::uint64_t missing = 0;  ///< bytes of it that are not in the capture: what is behind them is not in `body`
};

/// Whether that side may send such a message at all.
bool is_captured_type(CapturedSide from, char type, std::size_t body_size) noexcept;

class CapturedMessages {
   public:
    explicit CapturedMessages(CapturedSide from) noexcept : from_(from) {}

    /// What comes next has no type byte: SSLRequest, StartupMessage and their kin.
    void expect_opening() noexcept { opening_ = true; }
    /// The next message that ends in `bytes`, whose front is taken off as far as it was looked at.
    /// nullopt: all of it was.
    std::optional<CapturedMessage> next(Bytes& bytes);
    /// So many bytes are not in the capture.
    void missing(std::uint64_t bytes);

    /// Where the next message begins is not known.
    bool lost() const noexcept { return lost_; }
    void lose() noexcept { lost_ = true; }
    /// A message begins here.
    void begin_anew() noexcept;
    /// It is between two messages.
    bool between() const noexcept { return !lost_ && header_size_ == 0; }

   private:
    bool take_header(Bytes& bytes);
    CapturedMessage end_message();

    CapturedSide from_;
    bool opening_ = false;
    bool lost_ = false;
    std::array<std::uint8_t, message_header_size> header_{};
    std::size_t header_size_ = 0;  // of it; whole: within the body
    std::size_t size_ = 0;
    std::uint64_t to_come_ = 0;  // of the body
    std::uint64_t gap_ = 0;      // of the body: missing
    std::vector<std::uint8_t> body_;
};

}  // namespace protocol
