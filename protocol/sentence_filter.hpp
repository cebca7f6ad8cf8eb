// An error's sentence (field M) for a capture that may not hold values: whoever writes a function
// chooses both the sentence and its SQLSTATE, so that only PostgreSQL's own words are shown.
#pragma once

#include <cstddef>
#include <cstdint>

namespace protocol {

class SentenceFilter {
   public:
    void begin() noexcept { *this = SentenceFilter(); }
    /// The text with `c` begins no known sentence, up to that sentence's first name or value.
    bool hides(std::uint8_t c) noexcept;

   private:
    static const std::size_t known_sentences;

    // Of the table: those that begin as the text does so far.
    std::size_t first_ = 0;
    std::size_t end_ = known_sentences;
    std::size_t size_ = 0;
};

}  // namespace protocol
