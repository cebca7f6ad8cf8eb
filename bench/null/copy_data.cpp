#include "bench/null/copy_data.hpp"

#include <algorithm>

#include "protocol/messages.hpp"

namespace bench {
namespace {

constexpr std::size_t payload_size = copy_message_size - protocol::message_header_size;

void append_copy_data(protocol::Buffer& out, std::size_t payload) {
    protocol::Writer writer(out);
    writer.u8('d');
    writer.u32(static_cast<std::uint32_t>(payload + 4));
    out.insert(out.end(), payload - 1, 'x');
    writer.u8('\n');
}

const protocol::Buffer& full_messages() {
    static const protocol::Buffer messages = [] {
        protocol::Buffer out;
        for (std::size_t i = 0; i < copy_messages_at_once; ++i) append_copy_data(out, payload_size);
        return out;
    }();
    return messages;
}

}  // namespace

protocol::Bytes CopyData::next() {
    if (left_ == 0) return {};
    if (left_ < payload_size) {
        append_copy_data(last_, static_cast<std::size_t>(left_));
        left_ = 0;
        return last_;
    }
    const std::size_t count =
        static_cast<std::size_t>(std::min<std::uint64_t>(left_ / payload_size, copy_messages_at_once));
    left_ -= count * payload_size;
    return protocol::Bytes(full_messages()).first(count * copy_message_size);
}

}  // namespace bench
