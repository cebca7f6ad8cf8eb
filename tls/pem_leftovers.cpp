#include "tls/pem_leftovers.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "tls/pem_blocks.hpp"

namespace tls {
namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
constexpr std::string_view blank_characters = " \t\r\f\v";

bool is_letter_or_digit(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool is_base64(char c) noexcept { return is_letter_or_digit(c) || c == '+' || c == '/' || c == '='; }

std::string upper_case(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return result;
}

std::string_view without_leading_blanks(std::string_view text) noexcept {
    text.remove_prefix(std::min(text.find_first_not_of(blank_characters), text.size()));
    return text;
}

/// Where in a line, in capitals, "BEGIN" or "END" of something that PEM knows stands, as its first
/// word or after a dash.
std::optional<std::size_t> marker(std::string_view line, std::string_view word) {
    static constexpr std::array kinds = {"CERTIFICATE", "PRIVATE KEY", "X509 CRL", "PKCS7", "CMS"};
    if (without_leading_blanks(line).starts_with('#')) return std::nullopt;
    const std::size_t at = line.find(word);
    if (at == std::string_view::npos) return std::nullopt;
    const std::string_view what = line.substr(at + word.size());
    const bool known = std::any_of(kinds.begin(), kinds.end(),
                                   [&](const char* kind) { return what.find(kind) != std::string_view::npos; });
    const std::string_view before = without_trailing_blanks(line.substr(0, at));
    const bool stands_first = std::none_of(before.begin(), before.end(), is_letter_or_digit);
    // A dash of five, or one of those that word processors make of two (U+2012 to U+2015, U+2212).
    const bool after_dash =
        before.ends_with('-') || before.ends_with("\xe2\x88\x92") ||
        (before.size() >= 3 && before.substr(before.size() - 3, 2) == "\xe2\x80" &&
         static_cast<unsigned char>(before.back()) >= 0x90 && static_cast<unsigned char>(before.back()) <= 0x95);
    if (!known || !(stands_first || after_dash)) return std::nullopt;
    return at;
}

/// Why a line with BEGIN at `at` begins nothing.
std::string why_no_begin(std::string_view line, std::size_t at) {
    if (line.find("\\n") != std::string_view::npos) return "its line breaks are written as \\n";
    if (line.find('\r') < line.size() - 1) return "its lines end with carriage returns alone";
    if (blank_characters.find(line.front()) != std::string_view::npos) return "the line is indented";
    if (line.front() == '"' || line.front() == '\'') return "the line begins with a quotation mark";
    const std::size_t before = std::min(line.find_first_not_of('-'), line.size());
    if (before == at && at != 5) return std::to_string(at) + " dashes stand before BEGIN, not five";
    if (before < at) return "something else than five dashes stands before BEGIN";
    const std::string_view text = without_trailing_blanks(line);
    const std::size_t after = text.size() - 1 - std::min(text.find_last_not_of('-'), text.size() - 1);
    if (after != 5) return std::to_string(after) + " dashes stand at its end, not five";
    return "the line is not exactly as in -----BEGIN CERTIFICATE-----";
}

/// Text has none of these, in whatever encoding without zeros.
bool is_binary(std::string_view line) noexcept {
    return std::any_of(line.begin(), line.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 && blank_characters.find(c) == std::string_view::npos &&
               c != '\x1a';
    });
}

/// Of contents of PEM, all lines but the last are 64 characters; other programs make 76.
bool is_base64_line(std::string_view line) noexcept {
    constexpr std::size_t shortest = 60;
    const std::string_view text = without_trailing_blanks(line);
    return text.size() >= shortest && std::all_of(text.begin(), text.end(), is_base64);
}

}  // namespace

std::optional<TextLine> LineReader::next() {
    if (offset_ >= text_.size()) return std::nullopt;
    const std::size_t at = offset_;
    const std::size_t feed = std::min(text_.find('\n', at), text_.size());
    std::string_view line = text_.substr(at, feed - at);
    if (is_first_ && line.starts_with(byte_order_mark)) line.remove_prefix(byte_order_mark.size());
    is_first_ = false;
    offset_ = std::min(feed + 1, text_.size());
    return TextLine{line, number_++, at};
}

LineReader LineReader::until(std::size_t offset) const {
    LineReader part = *this;
    part.text_ = text_.substr(0, offset);
    return part;
}

void LineReader::skip_to(std::size_t offset) {
    const std::string_view passed = text_.substr(offset_, offset - offset_);
    number_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
    offset_ = offset;
    is_first_ = true;
}

std::string_view without_trailing_blanks(std::string_view text) noexcept {
    while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
    return text;
}

void find_leftovers(LineReader lines, std::vector<PemFinding>& findings) {
    bool within = false;  // what follows a beginning has been said with it
    int base64_lines = 0;
    bool said_binary = false;
    while (const std::optional<TextLine> line = lines.next()) {
        const std::string capitals = upper_case(line->text);
        if (const auto at = marker(capitals, "BEGIN ")) {
            findings.push_back({line->number, "is passed over: " + why_no_begin(line->text, *at)});
            within = true;
        } else if (marker(capitals, "END ")) {
            if (!within && base64_lines < 3) findings.push_back({line->number, "an END line without its BEGIN line"});
            within = false;
            base64_lines = 0;
        } else if (is_binary(line->text)) {
            if (!said_binary) findings.push_back({line->number, "is passed over: it is no text, or text in UTF-16"});
            said_binary = within = true;
        } else if (!within) {
            base64_lines = is_base64_line(line->text) ? base64_lines + 1 : 0;
            if (base64_lines == 3)  // one or two may be anything
                findings.push_back({line->number - 2, "is passed over: base64 without a BEGIN line before it"});
        }
    }
}

}  // namespace tls
