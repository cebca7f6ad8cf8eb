#include "protocol/record_blanker.hpp"

#include <algorithm>
#include <utility>

namespace protocol {
namespace {

// RFC 8446, 5.1 and 5.2; TLS 1.2 allows 2048 bytes of expansion (RFC 5246, 6.2.3).
constexpr std::uint8_t first_type = 20, last_type = 24;
constexpr std::uint8_t change_cipher_spec = 20, alert = 21, handshake = 22;
constexpr std::uint8_t last_handshake_message = 24;  // KeyUpdate
constexpr std::uint8_t major_version = 3;
constexpr std::size_t max_record = 16'384 + 2'048;

}  // namespace

/// As far as its header has come: a byte that can be none is no more shown than a whole header.
bool RecordBlanker::is_record() const noexcept {
    if (header_[0] < first_type || header_[0] > last_type) return false;
    if (header_length_ > 1 && header_[1] != major_version) return false;
    return header_length_ < header_size || (std::size_t{header_[3]} << 8 | header_[4]) <= max_record;
}

/// What is encrypted may begin as a message does; text may not.
std::size_t RecordBlanker::shown_of_body(std::uint8_t first) const noexcept {
    switch (header_[0]) {
        case change_cipher_spec: return 1;
        case alert: return 2;
        case handshake: return first <= last_handshake_message ? missing_ : 0;
        default: return 0;
    }
}

void RecordBlanker::blank(std::span<std::uint8_t> bytes, bool keylog) noexcept {
    while (!bytes.empty() && !lost_) {
        if (missing_ > 0) {
            const std::size_t here = std::min(missing_, bytes.size());
            if (!std::exchange(in_body_, true)) shown_ = keylog ? missing_ : shown_of_body(bytes[0]);
            const std::size_t shown = std::min(shown_, here);
            std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(shown), here - shown, std::uint8_t{0});
            shown_ -= shown;
            missing_ -= here;
            bytes = bytes.subspan(here);
            continue;
        }
        header_[header_length_++] = bytes[0];
        lost_ = !is_record();
        if (lost_) break;
        if (header_length_ == header_size) {
            missing_ = std::size_t{header_[3]} << 8 | header_[4];
            header_length_ = 0;
            in_body_ = false;
        }
        bytes = bytes.subspan(1);
    }
    if (lost_) std::fill(bytes.begin(), bytes.end(), std::uint8_t{0});
}

}  // namespace protocol
