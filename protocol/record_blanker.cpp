#include "protocol/record_blanker.hpp"

#include <algorithm>

namespace protocol {
namespace {

// RFC 8446, 5.1 and 5.2; TLS 1.2 allows 2048 bytes of expansion (RFC 5246, 6.2.3).
constexpr std::uint8_t first_type = 20, last_type = 24;
constexpr std::uint8_t major_version = 3;
constexpr std::size_t max_record = 16'384 + 2'048;

}  // namespace

/// As far as its header has come: a byte that can be none is no more shown than a whole header.
bool RecordBlanker::is_record() const noexcept {
    if (header_[0] < first_type || header_[0] > last_type) return false;
    if (header_length_ > 1 && header_[1] != major_version) return false;
    return header_length_ < header_size || (std::size_t{header_[3]} << 8 | header_[4]) <= max_record;
}

void RecordBlanker::blank(std::span<std::uint8_t> bytes) noexcept {
    while (!bytes.empty() && !lost_) {
        if (missing_ > 0) {
            const std::size_t here = std::min(missing_, bytes.size());
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
        }
        bytes = bytes.subspan(1);
    }
    if (lost_) std::fill(bytes.begin(), bytes.end(), std::uint8_t{0});
}

}  // namespace protocol
