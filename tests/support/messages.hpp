// Messages as text, for tests that say what goes over the wire.
#pragma once

#include <string>
#include <string_view>

#include "protocol/framer.hpp"

namespace support {

/// A whole message: its type byte, its length, and `body`.
inline std::string message(char type, std::string_view body) {
    protocol::Buffer out;
    protocol::Writer writer(out);
    writer.u8(static_cast<std::uint8_t>(type));
    writer.u32(static_cast<std::uint32_t>(body.size() + 4));
    writer.bytes(protocol::as_bytes(body));
    return std::string(protocol::as_text(out));
}

/// The types of the messages in `bytes`, one character each; "!" behind what is no whole message.
inline std::string types(protocol::Bytes bytes) {
    protocol::Framer framer;
    std::string found;
    std::size_t taken = 0;
    for (protocol::Bytes rest = bytes; !rest.empty();) {
        const auto frame = framer.next(rest);
        if (!frame) break;
        found += frame->type;
        taken += protocol::message_header_size + frame->size;
    }
    return taken == bytes.size() ? found : found + '!';
}

}  // namespace support
