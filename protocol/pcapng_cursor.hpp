// A cursor over a pcapng block, whose numbers are in its section's byte order.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/bytes.hpp"
#include "protocol/pcapng_format.hpp"

namespace protocol::pcapng {

/// Once a read does not fit, it and every later one give zero or nothing and ok() is false.
class Cursor {
   public:
    Cursor(Bytes bytes, bool big_endian) noexcept : rest_(bytes), big_endian_(big_endian) {}

    bool ok() const noexcept { return ok_; }
    Bytes rest() const noexcept { return rest_; }
    void fail() noexcept {
        ok_ = false;
        rest_ = {};
    }

    std::uint8_t u8() noexcept { return static_cast<std::uint8_t>(number(1)); }
    std::uint16_t u16() noexcept { return static_cast<std::uint16_t>(number(2)); }
    std::uint32_t u32() noexcept { return static_cast<std::uint32_t>(number(4)); }
    std::uint64_t u64() noexcept { return number(8); }
    /// The high half stands first in either byte order.
    std::uint64_t time() noexcept {
        const std::uint64_t high = u32();
        return high << 32 | u32();
    }
    Bytes take(std::size_t n) noexcept {
        if (n > rest_.size()) {
            fail();
            return {};
        }
        const Bytes taken = rest_.first(n);
        rest_ = rest_.subspan(n);
        return taken;
    }
    /// `n` bytes and what fills them up to a multiple of 4.
    Bytes padded(std::size_t n) noexcept {
        const Bytes taken = take(n);
        take((4 - n % 4) % 4);
        return taken;
    }
    std::string text() { return std::string(as_text(take(rest_.size()))); }

    /// Calls `each(code, value)`, whose value is a Cursor, for the options that stand here.
    template <class Each>
    void options(const Each& each) {
        while (!rest_.empty()) {
            const std::uint16_t code = u16();
            const Bytes bytes = padded(u16());
            if (!ok_ || code == option::end) return;
            Cursor value(bytes, big_endian_);
            each(code, value);
            if (!value.ok()) fail();
        }
    }

   private:
    std::uint64_t number(std::size_t size) noexcept {
        std::uint64_t value = 0;
        const Bytes bytes = take(size);
        for (std::size_t i = 0; i < bytes.size(); ++i)
            value |= std::uint64_t{bytes[i]} << 8 * (big_endian_ ? bytes.size() - 1 - i : i);
        return value;
    }

    Bytes rest_;
    bool big_endian_;
    bool ok_ = true;
};

}  // namespace protocol::pcapng
