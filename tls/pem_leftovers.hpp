// What stands between the blocks of a PEM file and ought to have been one. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace tls {

struct PemFinding;

struct TextLine {
    std::string_view text;  ///< without its line feed; without the byte order mark that may precede the first
    int number = 0;         ///< from 1
    std::size_t offset = 0;
};

/// Lines of a text, counted.
class LineReader {
   public:
    explicit LineReader(std::string_view text) : text_(text) {}

    std::optional<TextLine> next();
    std::size_t offset() const noexcept { return offset_; }
    int number() const noexcept { return number_; }  ///< of the line that comes next
    /// Without the rest from there on.
    LineReader until(std::size_t offset) const;
    void skip_to(std::size_t offset);

   private:
    std::string_view text_;
    std::size_t offset_ = 0;
    int number_ = 1;
    bool is_first_ = true;  // OpenSSL takes a byte order mark in the first line of each of its readings
};

/// As OpenSSL has it: whatever is not above a space.
std::string_view without_trailing_blanks(std::string_view text) noexcept;

/// Adds what in `lines` looks as if it were PEM and is passed over: each beginning once, with why
/// it is none. Comments, and lines that begin with `#`, are no finding.
void find_leftovers(LineReader lines, std::vector<PemFinding>& findings);

}  // namespace tls
