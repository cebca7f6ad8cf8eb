// Raw TLS records for a capture, of one direction: what is no record is blanked where it is, and
// everything behind it. Of records stays what a handshake says in clear; their headers prove
// nothing, and the rest is of no use to whoever has no keys. Whoever says in clear what belongs
// inside TLS has it in no file.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace protocol {

class RecordBlanker {
   public:
    /// `bytes`: what came next, in pieces of any size. `keylog`: the capture has the keys too, so
    /// that whole records stay.
    void blank(std::span<std::uint8_t> bytes, bool keylog) noexcept;
    /// No record began where one had to.
    bool lost() const noexcept { return lost_; }

   private:
    static constexpr std::size_t header_size = 5;
    bool is_record() const noexcept;
    std::size_t shown_of_body(std::uint8_t first) const noexcept;

    std::array<std::uint8_t, header_size> header_{};
    std::size_t header_length_ = 0;  // as much of the header as has come
    std::size_t missing_ = 0;        // of the record that has begun
    bool in_body_ = false;           // its first byte has come
    std::size_t shown_ = 0;          // so much of what is missing stays
    bool lost_ = false;
};

}  // namespace protocol
