// Bytes as hexadecimal words of four, for tests that write formats out by hand.
#pragma once

#include <string>

#include "protocol/bytes.hpp"

namespace support {

/// "0a0d0d0a 1c000000 4d3c": the bytes in their order.
inline std::string words(protocol::Bytes bytes) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i && i % 4 == 0) text += ' ';
        text += {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
    }
    return text;
}

/// The bytes of such a text.
inline std::string unwords(std::string_view text) {
    std::string bytes, pair;
    for (const char digit : text) {
        if (digit == ' ') continue;
        pair += digit;
        if (pair.size() < 2) continue;
        bytes += static_cast<char>(std::stoi(pair, nullptr, 16));
        pair.clear();
    }
    return bytes;
}

}  // namespace support
