// Whether text in a client_encoding can be read byte by byte: in some encodings a byte that looks
// like a backslash or a quote is the second half of a character.
#pragma once

#include <cstdint>
#include <string_view>

namespace protocol {

/// As PostgreSQL compares names: case, and what is no letter or digit, make no difference. False
/// for SJIS, SHIFT_JIS_2004, BIG5, GBK, GB18030, UHC, JOHAB and for names that nobody knows.
bool is_ascii_safe(std::string_view client_encoding) noexcept;

/// What a session has said of its client_encoding.
class EncodingTrust {
   public:
    /// "": nobody knows which.
    void named(std::string_view client_encoding) noexcept;
    /// False: from the first byte on that is no ASCII, its text cannot be read. A session that once
    /// named such an encoding stays so: what it says next may have been written before the change.
    bool is_ascii_safe() const noexcept { return state_ == State::safe; }

   private:
    enum class State : std::uint8_t { unknown, safe, unsafe };
    State state_ = State::unknown;
};

}  // namespace protocol
