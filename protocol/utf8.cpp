#include "protocol/utf8.hpp"

#include <algorithm>

namespace protocol {
namespace {

/// Length of the UTF-8 sequence at the front, where no ASCII is; 0 when there is none (RFC 3629,
/// section 4).
std::size_t sequence_length(std::string_view text) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = at(0);
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((at(i) & 0xc0) != 0x80) return 0;
    }
    const unsigned char second = at(1);
    const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool surrogate_or_beyond = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
    return overlong || surrogate_or_beyond ? 0 : length;
}

}  // namespace

std::string as_utf8(std::string_view text) { return as_utf8(text, std::string::npos); }

std::string as_utf8(std::string_view text, std::size_t limit) {
    std::string out;
    out.reserve(std::min(text.size(), limit));
    while (!text.empty()) {
        // Nearly every name is ASCII throughout.
        const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
        const auto ascii =
            static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_ascii) - text.begin());
        out += text.substr(0, std::min(ascii, limit - out.size()));
        text.remove_prefix(ascii);
        if (text.empty()) break;
        const std::size_t length = sequence_length(text);
        const std::string_view next = length > 0 ? text.substr(0, length) : "\xef\xbf\xbd";
        if (out.size() + next.size() > limit) break;
        out += next;
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out;
}

}  // namespace protocol
