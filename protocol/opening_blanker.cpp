#include "protocol/opening_blanker.hpp"

#include <algorithm>
#include <cstring>

#include "protocol/startup.hpp"

namespace protocol {
namespace {

// Parameters whose values say who the client is, and how it reads, in lower case and sorted. Any
// text may stand in the others.
constexpr auto harmless_parameters =
    std::to_array<std::string_view>({"application_name", "client_encoding", "database", "replication", "user"});

OpeningBlanker::Packet packet_of(std::uint32_t code, std::uint32_t rest) {
    using enum OpeningBlanker::Packet;
    if (code == ssl_request_code) return rest == 0 ? ssl_request : unknown;
    if (code == gssenc_request_code) return rest == 0 ? gssenc_request : unknown;
    if (code == cancel_request_code) return cancel_request;
    return code >> 16 == 3 ? startup : unknown;
}

}  // namespace

void OpeningBlanker::blank(std::span<std::uint8_t>& bytes) {
    while (!bytes.empty() && !broken_ && size_ < header_size) {
        take_header(bytes[0]);
        if (!broken_) bytes = bytes.subspan(1);
    }
    if (broken_ || size_ < header_size || missing_ == 0) return;
    const auto part = bytes.first(std::min<std::size_t>(missing_, bytes.size()));
    bytes = bytes.subspan(part.size());
    missing_ -= static_cast<std::uint32_t>(part.size());
    if (packet_ == Packet::startup) return take_parameters(part);
    // Behind the process id of a CancelRequest, the key.
    const std::size_t pid = std::min<std::size_t>(part.size(), header_size + 4 - std::min(size_, header_size + 4));
    std::fill(part.begin() + static_cast<std::ptrdiff_t>(pid), part.end(), std::uint8_t{0});
    size_ += pid;
}

/// Stops at the first byte that no packet may have there.
void OpeningBlanker::take_header(std::uint8_t& c) noexcept {
    if (size_ == 4) number_ = 0;
    number_ = number_ << 8 | c;
    if (size_ < 2) broken_ = c != 0;  // none is longer than 10,004 bytes
    if (size_ == 3) {
        broken_ = number_ < header_size || number_ > max_startup_packet + 4;
        missing_ = number_ - static_cast<std::uint32_t>(header_size);
    }
    if (size_ == 7) {
        packet_ = packet_of(number_, missing_);
        broken_ = packet_ == Packet::unknown;
    }
    if (!broken_) ++size_;
}

void OpeningBlanker::take_parameters(std::span<std::uint8_t> bytes) noexcept {
    while (!bytes.empty()) {
        const auto end = std::find(bytes.begin(), bytes.end(), std::uint8_t{0});
        const auto text = bytes.first(static_cast<std::size_t>(end - bytes.begin()));
        if (ended_) {
            std::fill(bytes.begin(), bytes.end(), std::uint8_t{0});
            return;
        }
        for (std::uint8_t& c : text) {
            if (in_value_) {
                if (is_encoding_ && encoding_size_ < encoding_.size())
                    encoding_[encoding_size_++] = static_cast<char>(c);
            } else {
                const bool kept = keeps_in_name(c);
                if (name_size_ < name_.size()) name_[name_size_++] = to_lower(c);
                if (!kept) c = '*';
            }
        }
        if (in_value_) value_.take(text);
        if (end == bytes.end()) return;
        bytes = bytes.subspan(text.size() + 1);
        ended_ = !in_value_ && name_size_ == 0;
        if (in_value_)
            name_size_ = 0;
        else
            begin_value();
        in_value_ = !in_value_;
    }
}

bool OpeningBlanker::keeps_in_name(std::uint8_t c) const noexcept {
    const char lower = to_lower(c);
    const bool usual = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
    return usual && name_size_ < name_.size();
}

void OpeningBlanker::begin_value() noexcept {
    const std::string_view name(name_.data(), name_size_);
    is_encoding_ = name == "client_encoding";
    if (is_encoding_) encoding_size_ = 0;  // the last one counts
    const bool known = std::binary_search(harmless_parameters.begin(), harmless_parameters.end(), name);
    const bool shown = known || (payload_ == Payload::full && !is_password_key(name) && name_size_ < name_.size());
    value_.begin(shown ? TextFilter::What::secrets : TextFilter::What::blank);
}

}  // namespace protocol
