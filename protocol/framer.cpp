#include "protocol/framer.hpp"

#include <algorithm>

namespace protocol {

std::optional<Frame> Framer::next(Bytes& bytes) {
    if (!take_header(bytes)) return std::nullopt;
    const char type = static_cast<char>(header_[0]);
    const bool kept = type != 'd';
    const Bytes part = bytes.first(std::min(missing_, bytes.size()));
    bytes = bytes.subspan(part.size());
    missing_ -= part.size();
    const bool in_one_piece = part.size() == body_size_;
    if (kept && !in_one_piece) body_.insert(body_.end(), part.begin(), part.end());
    if (missing_ > 0) return std::nullopt;
    header_size_ = 0;
    return Frame{.type = type, .size = body_size_, .body = !kept ? Bytes() : in_one_piece ? part : Bytes(body_)};
}

/// True: the header is there, now or since an earlier call.
bool Framer::take_header(Bytes& bytes) {
    if (broken_) bytes = {};
    if (header_size_ == header_.size()) return !broken_;
    const Bytes part = bytes.first(std::min(header_.size() - header_size_, bytes.size()));
    std::copy(part.begin(), part.end(), header_.begin() + static_cast<std::ptrdiff_t>(header_size_));
    header_size_ += part.size();
    bytes = bytes.subspan(part.size());
    if (header_size_ < header_.size()) return false;

    const std::size_t length = Reader(Bytes(header_).subspan(1)).u32();
    const std::size_t limit = header_[0] == 'd' ? max_copy_data : max_framed_body;
    broken_ = length < 4 || length - 4 > limit;
    if (broken_) {
        bytes = {};
        return false;
    }
    body_size_ = missing_ = length - 4;
    body_.clear();
    return true;
}

}  // namespace protocol
