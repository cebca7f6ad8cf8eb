#include "protocol/error_blanker.hpp"

#include <algorithm>
#include <cstring>

namespace protocol {
namespace {

constexpr bool has(std::string_view set, char type) { return set.find(type) != set.npos; }

// Classes of SQLSTATE whose sentences speak of names and states. Left out are those that speak of
// values (22, 23), and those of functions and of RAISE, who say what they like (00, 01, 38, 39, 44,
// HV, P0 and what nobody knows).
constexpr auto classes_of_sentences =
    std::to_array<std::string_view>({"03", "08", "0A", "0B", "0L", "0P", "21", "24", "25", "26", "28", "2B", "2D", "34",
                                     "3B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "72", "F0", "XX"});

}  // namespace

void ErrorBlanker::begin(bool may_quote_secrets) noexcept {
    may_quote_secrets_ = may_quote_secrets;
    in_field_ = ended_ = false;
    sqlstate_size_ = 0;
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
    if (type_ == 'C') sqlstate_size_ = 0;
    is_sql_ = type_ == 'q' && payload_ == Payload::full && !may_quote_secrets_;
    if (is_sql_) sql_.begin();
    text_.begin(what_is_left(type_));
}

void ErrorBlanker::take_text(std::span<std::uint8_t> text) {
    if (type_ == 'C') {
        for (const std::uint8_t c : text) {
            if (sqlstate_size_ < sqlstate_.size()) sqlstate_[sqlstate_size_++] = static_cast<char>(c);
        }
    }
    if (is_sql_)
        sql_.blank(text);
    else
        text_.take(text);
}

TextFilter::What ErrorBlanker::what_is_left(char type) const noexcept {
    using enum TextFilter::What;
    if (has("SVC", type)) return keep;
    switch (payload_) {
        case Payload::headers: return blank;
        case Payload::redacted:
            if (type == 'M' && is_servers_own_sentence()) return sentence;
            return has("FLRPstcdn", type) ? keep : blank;
        case Payload::full: break;
    }
    if (has("FLRPpstcdn", type)) return keep;
    return may_quote_secrets_ || !has("MDHWq", type) ? blank : secrets;
}

bool ErrorBlanker::is_servers_own_sentence() const noexcept {
    const std::string_view its_class(sqlstate_.data(), std::min<std::size_t>(sqlstate_size_, 2));
    return std::find(classes_of_sentences.begin(), classes_of_sentences.end(), its_class) != classes_of_sentences.end();
}

}  // namespace protocol
