// Texts that whoever captures may see because they are PostgreSQL's own, whoever sent them.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace protocol {

/// Of an error's sentence (field M). Whoever writes a function chooses both the sentence and its
/// SQLSTATE: these are the known ones in English, up to their first name or value. Sorted.
std::span<const std::string_view> known_sentences() noexcept;
/// Values of settings that are words of SQL, of PostgreSQL or of nobody, in lower case. Sorted.
std::span<const std::string_view> known_setting_words() noexcept;

/// Whether a text that comes byte by byte begins one of them.
class KnownText {
   public:
    /// `sorted` outlives it.
    explicit KnownText(std::span<const std::string_view> sorted) noexcept : candidates_(sorted) {}
    /// With `c` it still does.
    bool goes_on(char c) noexcept;

   private:
    std::span<const std::string_view> candidates_;  // those that begin as the text does so far
    std::size_t size_ = 0;
};

}  // namespace protocol
