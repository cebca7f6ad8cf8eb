#include "bench/replay/message_reader.hpp"

#include <algorithm>

namespace bench::replay {
namespace {

/// MaxAllocSize of PostgreSQL (src/include/utils/memutils.h): no message is longer.
constexpr std::size_t max_message = 0x3fffffff;

}  // namespace

std::optional<char> MessageReader::next(protocol::Bytes& bytes) {
    if (broken_) {
        bytes = {};
        return std::nullopt;
    }
    if (header_size_ < header_.size()) {
        const protocol::Bytes part = bytes.first(std::min(header_.size() - header_size_, bytes.size()));
        std::copy(part.begin(), part.end(), header_.begin() + static_cast<std::ptrdiff_t>(header_size_));
        header_size_ += part.size();
        bytes = bytes.subspan(part.size());
        if (header_size_ < header_.size()) return std::nullopt;
        const std::size_t length = protocol::Reader(protocol::Bytes(header_).subspan(1)).u32();
        broken_ = header_[0] == 0 || length < 4 || length > max_message;
        if (broken_) return std::nullopt;
        missing_ = length - 4;
        body_.clear();
    }
    const char type = static_cast<char>(header_[0]);
    const protocol::Bytes part = bytes.first(std::min(missing_, bytes.size()));
    bytes = bytes.subspan(part.size());
    missing_ -= part.size();
    const protocol::Bytes kept = part.first(std::min(part.size(), max_kept_body - body_.size()));
    body_.insert(body_.end(), kept.begin(), kept.end());
    if (sink_ && !part.empty()) sink_(type, part);
    if (missing_ > 0) return std::nullopt;
    header_size_ = 0;
    return type;
}

}  // namespace bench::replay
