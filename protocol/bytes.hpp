// Wire bytes and cursors over them: network byte order, NUL-terminated strings. A Reader never
// reads past its end; a Writer only appends.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace protocol {

using Bytes = std::span<const std::uint8_t>;

/// Zeros that the compiler may not leave out, although nobody reads the memory again.
inline void wipe(std::span<std::uint8_t> bytes) noexcept {
    if (bytes.empty()) return;
    std::memset(bytes.data(), 0, bytes.size());
    __asm__ __volatile__("" : : "r"(bytes.data()) : "memory");  // as far as the compiler knows, this reads them
}

/// Overwrites memory before it is freed, also when a container grows out of it.
template <class T>
struct WipingAllocator : std::allocator<T> {
    WipingAllocator() = default;
    template <class U>
    WipingAllocator(const WipingAllocator<U>&) noexcept {}
    template <class U>
    struct rebind {
        using other = WipingAllocator<U>;
    };
    void deallocate(T* p, std::size_t n) noexcept {
        wipe({reinterpret_cast<std::uint8_t*>(p), n * sizeof(T)});
        std::allocator<T>().deallocate(p, n);
    }
};

/// Passwords, keys and tokens pass through any of them on their way, and must not stay behind.
using Buffer = std::vector<std::uint8_t, WipingAllocator<std::uint8_t>>;

inline std::string_view as_text(Bytes bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes as_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// Once a read does not fit, it and every later one give zero or nothing and ok() is false: check
/// once, at the end.
class Reader {
   public:
    explicit Reader(Bytes bytes) noexcept : rest_(bytes) {}

    bool ok() const noexcept { return ok_; }
    Bytes rest() const noexcept { return rest_; }

    std::uint8_t u8() noexcept {
        const Bytes b = take(1);
        return b.empty() ? std::uint8_t{0} : b[0];
    }
    std::uint16_t u16() noexcept {
        const Bytes b = take(2);
        return b.empty() ? std::uint16_t{0} : static_cast<std::uint16_t>(b[0] << 8 | b[1]);
    }
    std::uint32_t u32() noexcept {
        const Bytes b = take(4);
        if (b.empty()) return 0;
        return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | std::uint32_t{b[3]};
    }
    /// Up to the next NUL, which is consumed; not ok without one.
    std::string_view cstring() noexcept {
        const std::string_view text = as_text(rest_);
        const std::size_t end = text.find('\0');
        if (end == std::string_view::npos) {
            ok_ = false;
            rest_ = {};
            return {};
        }
        rest_ = rest_.subspan(end + 1);
        return text.substr(0, end);
    }
    Bytes take(std::size_t n) noexcept {
        if (n > rest_.size()) {
            ok_ = false;
            rest_ = {};
            return {};
        }
        const Bytes taken = rest_.first(n);
        rest_ = rest_.subspan(n);
        return taken;
    }

   private:
    Bytes rest_;
    bool ok_ = true;
};

/// Appends to a buffer that outlives it.
class Writer {
   public:
    explicit Writer(Buffer& out) noexcept : out_(out) {}

    void u8(std::uint8_t value) { out_.push_back(value); }
    void u32(std::uint32_t value) {
        for (int shift = 24; shift >= 0; shift -= 8) out_.push_back(static_cast<std::uint8_t>(value >> shift));
    }
    void cstring(std::string_view text) {
        bytes(as_bytes(text));
        u8(0);
    }
    void bytes(Bytes data) { out_.insert(out_.end(), data.begin(), data.end()); }

    /// Reserves a length field, to be filled by end_length: the length counts itself, as in every
    /// PostgreSQL message.
    std::size_t begin_length() {
        u32(0);
        return out_.size() - 4;
    }
    void end_length(std::size_t at) {
        const auto length = static_cast<std::uint32_t>(out_.size() - at);
        for (int i = 0; i < 4; ++i)
            out_[at + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(length >> (24 - 8 * i));
    }

   private:
    Buffer& out_;
};

}  // namespace protocol
