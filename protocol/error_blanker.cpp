#include "protocol/error_blanker.hpp"

#include <algorithm>
#include <cstring>

namespace protocol {
namespace {

constexpr bool has(std::string_view letters, char type) { return letters.find(type) != letters.npos; }

}  // namespace

void ErrorBlanker::begin(bool may_quote_secrets) noexcept {
    may_quote_secrets_ = may_quote_secrets;
    in_field_ = ended_ = false;
}

void ErrorBlanker::blank(std::span<std::uint8_t> bytes) {
    while (!bytes.empty()) {
        if (ended_) {
            std::memset(bytes.data(), '*', bytes.size());
            return;
        }
        if (!in_field_) {
            begin_field(bytes[0]);
            bytes = bytes.subspan(1);
            continue;
        }
        const auto end = std::find(bytes.begin(), bytes.end(), std::uint8_t{0});
        const auto size = static_cast<std::size_t>(end - bytes.begin());
        take_text(bytes.first(size));
        if (end == bytes.end()) return;
        if (is_sql_) sql_.end();
        in_field_ = false;
        bytes = bytes.subspan(size + 1);
    }
}

void ErrorBlanker::begin_field(std::uint8_t& type) {
    type_ = static_cast<char>(type);
    ended_ = type == 0;
    in_field_ = !ended_;
    if (ended_) return;
    if (!has("SVCMDHPpqWstcdnFLR", type_)) type = '*';
    is_sql_ = type_ == 'q' && payload_ == Payload::full && !may_quote_secrets_;
    if (is_sql_) sql_.begin();
    text_.begin(what_is_left(type_));
}

void ErrorBlanker::take_text(std::span<std::uint8_t> text) {
    if (is_sql_)
        sql_.blank(text);
    else
        text_.take(text);
}

TextFilter::What ErrorBlanker::what_is_left(char type) const noexcept {
    using enum TextFilter::What;
    if (type == 'C') return sqlstate;
    if (has("SV", type)) return payload_ == Payload::full ? keep : severity;
    switch (payload_) {
        case Payload::headers: return blank;
        case Payload::redacted:
            // Names in fields of their own are what RAISE says they are.
            if (type == 'M') return sentence;
            return has("FLRP", type) ? keep : blank;
        case Payload::full: break;
    }
    if (has("FLRPpstcdn", type)) return keep;
    return may_quote_secrets_ || !has("MDHWq", type) ? blank : secrets;
}

}  // namespace protocol
