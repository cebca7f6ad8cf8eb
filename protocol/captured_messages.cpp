#include "protocol/captured_messages.hpp"

#include <algorithm>

#include "protocol/framer.hpp"
#include "protocol/startup.hpp"

namespace protocol {

bool is_captured_type(CapturedSide from, char type, std::size_t body_size) noexcept {
    const auto one_of = [&](std::string_view types) { return types.find(type) != std::string_view::npos; };
    if (body_size > max_copy_data) return false;
    if (from == CapturedSide::client) return one_of("SHXc") ? body_size == 0 : one_of("QPBEDCFpdf");
    if (type == 'Z') return body_size == 1;
    return one_of("123nsIc") ? body_size == 0 : one_of("RKSTDCENAtGHWdVv");
}

void CapturedMessages::begin_anew() noexcept {
    lost_ = opening_ = false;
    header_size_ = 0;
    to_come_ = 0;
}

std::optional<CapturedMessage> CapturedMessages::next(Bytes& bytes) {
    if (!take_header(bytes)) return std::nullopt;
    const Bytes part = bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(to_come_, bytes.size())));
    bytes = bytes.subspan(part.size());
    to_come_ -= part.size();
    const char type = static_cast<char>(header_[0]);
    const bool kept = gap_ == 0 && (opening_ || !(type == 'd' || (type == 'D' && from_ == CapturedSide::server)));
    if (kept) {
        const Bytes fits = part.first(std::min(part.size(), max_captured_body - body_.size()));
        body_.insert(body_.end(), fits.begin(), fits.end());
    }
    if (to_come_ > 0) return std::nullopt;
    return end_message();
}

CapturedMessage CapturedMessages::end_message() {
    const CapturedMessage message{
        .type = opening_ ? '\0' : static_cast<char>(header_[0]), .size = size_, .body = body_, .missing = gap_};
    header_size_ = 0;
    opening_ = false;
    return message;
}

void CapturedMessages::missing(std::uint64_t bytes) {
    if (bytes == 0 || lost_) return;
    const std::size_t whole = opening_ ? opening_length_size : message_header_size;
    if (header_size_ < whole || bytes > to_come_) {
        lost_ = true;
        return;
    }
    to_come_ -= bytes;
    gap_ += bytes;
}

/// True: the header is there, now or since an earlier call.
bool CapturedMessages::take_header(Bytes& bytes) {
    if (lost_) bytes = {};
    const std::size_t whole = opening_ ? opening_length_size : message_header_size;
    if (lost_ || header_size_ == whole) return !lost_;
    const Bytes part = bytes.first(std::min(whole - header_size_, bytes.size()));
    std::copy(part.begin(), part.end(), header_.begin() + static_cast<std::ptrdiff_t>(header_size_));
    header_size_ += part.size();
    bytes = bytes.subspan(part.size());
    if (header_size_ < whole) return false;

    body_.clear();
    gap_ = 0;
    const Bytes header = Bytes(header_).first(whole);
    if (opening_) {
        const auto size = opening_packet_size(header);
        lost_ = !size;
        body_.assign(header.begin(), header.end());
        size_ = size.value_or(0);
        to_come_ = size_ - (size ? whole : 0);
    } else {
        const std::size_t length = Reader(header.subspan(1)).u32();
        lost_ = length < 4 || !is_captured_type(from_, static_cast<char>(header_[0]), length - 4);
        size_ = to_come_ = lost_ ? 0 : length - 4;
    }
    if (lost_) bytes = {};
    return !lost_;
}

}  // namespace protocol
