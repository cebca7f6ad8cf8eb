#include "protocol/text_filter.hpp"

#include <array>
#include <cstring>
#include <string_view>

namespace protocol {
namespace {

constexpr auto known_mechanisms =
    std::to_array<std::string_view>({"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER"});
constexpr std::size_t longest_mechanism = 20;  // RFC 4422
constexpr std::size_t longest_tag = 64;        // COMPLETION_TAG_BUFSIZE
constexpr std::size_t longest_severity = 10;
constexpr std::size_t sqlstate_size = 5;

constexpr bool is_capital(std::uint8_t c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_digit(std::uint8_t c) { return c >= '0' && c <= '9'; }

}  // namespace

void TextFilter::begin(What what) noexcept {
    what_ = what;
    rest_ = false;
    size_ = 0;
    candidates_ = (1U << known_mechanisms.size()) - 1;
    if (what == What::secrets) scanner_.begin(SecretScanner::Kind::literal);
    if (what == What::sentence) sentence_ = KnownText(known_sentences());
}

void TextFilter::begin_value() noexcept {
    begin(What::secrets);
    scanner_.begin(SecretScanner::Kind::value);
}

void TextFilter::begin_rows() noexcept {
    begin(What::secrets);
    scanner_.begin(SecretScanner::Kind::rows);
}

void TextFilter::take(std::span<std::uint8_t> text) noexcept {
    if (what_ == What::keep || text.empty()) return;
    if (what_ == What::blank) {
        std::memset(text.data(), '*', text.size());
        return;
    }
    for (std::uint8_t& c : text) {
        if (hides(c)) c = '*';
    }
}

bool TextFilter::is_known_mechanism() const noexcept {
    for (std::size_t i = 0; i < known_mechanisms.size(); ++i) {
        if ((candidates_ >> i & 1U) != 0 && known_mechanisms[i].size() == size_) return true;
    }
    return false;
}

bool TextFilter::hides(std::uint8_t c) noexcept {
    switch (what_) {
        case What::command_tag:
            rest_ = rest_ || !(is_capital(c) || is_digit(c) || c == ' ') || ++size_ > longest_tag;
            break;
        case What::mechanism: return hides_in_mechanism(c);
        case What::mechanism_offer:
            rest_ = rest_ || !(is_capital(c) || is_digit(c) || c == '-' || c == '_') || ++size_ > longest_mechanism;
            break;
        case What::severity: rest_ = rest_ || !is_capital(c) || ++size_ > longest_severity; break;
        case What::sqlstate: rest_ = rest_ || !(is_capital(c) || is_digit(c)) || ++size_ > sqlstate_size; break;
        case What::sentence: return !sentence_.goes_on(static_cast<char>(c));
        case What::secrets: return scanner_.hides(c);
        case What::keep:
        case What::blank: break;
    }
    return rest_;
}

bool TextFilter::hides_in_mechanism(std::uint8_t c) noexcept {
    for (std::size_t i = 0; i < known_mechanisms.size(); ++i) {
        const std::string_view known = known_mechanisms[i];
        if (size_ >= known.size() || known[size_] != static_cast<char>(c)) candidates_ &= ~(1U << i);
    }
    ++size_;
    return candidates_ == 0;
}

}  // namespace protocol
