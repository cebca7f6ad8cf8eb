#include "protocol/captured_stream.hpp"

namespace protocol {

void CapturedStream::begin(std::uint32_t sequence) noexcept {
    if (begun_) return;
    begun_ = true;
    next_ = sequence;
}

CapturedStream::Piece CapturedStream::segment(const CapturedSegment& segment) {
    if (segment.syn) {
        if (time_ > 0 && segment.time <= time_) return {};  // said before
        begun_ = true;
        next_ = segment.sequence + 1;
        time_ = segment.time;
        return {};
    }
    Bytes bytes = segment.payload;
    const bool says_where_it_is = !bytes.empty() || segment.fin;
    if (!says_where_it_is) return {};
    if (!begun_) next_ = segment.sequence;
    begun_ = true;

    const std::uint32_t ahead = segment.sequence - next_;
    std::uint64_t missing = ahead;
    if (ahead >= 0x80000000U) {
        // Behind, or more than 2 GiB ahead: a repetition is never later than the original.
        const std::uint32_t behind = next_ - segment.sequence;
        if (segment.time <= time_ || bytes.empty()) {
            if (behind >= bytes.size()) return {};
            bytes = bytes.subspan(behind);
            missing = 0;
        }
    }
    next_ += static_cast<std::uint32_t>(missing + bytes.size());
    time_ = segment.time;
    return {.missing = missing, .bytes = bytes};
}

}  // namespace protocol
