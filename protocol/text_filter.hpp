// What is left of a text within a message, other than SQL: in place, in pieces of any size.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/known_text.hpp"
#include "protocol/secret_scanner.hpp"

namespace protocol {

class TextFilter {
   public:
    enum class What : std::uint8_t {
        keep,
        blank,
        command_tag,      // of CommandComplete: as it is, if it looks like one
        mechanism,        // of SASL: as it is, if it is a known one
        mechanism_offer,  // what looks like one
        sentence,         // of an error: PostgreSQL's own words
        severity,         // of an error: capital letters
        sqlstate,         // five digits and capital letters
        secrets,          // blank them only
    };
    void begin(What what) noexcept;
    void begin_value() noexcept;  ///< `secrets`
    void begin_rows() noexcept;   ///< `secrets`
    void take(std::span<std::uint8_t> text) noexcept;
    /// The text so far is a known mechanism.
    bool is_known_mechanism() const noexcept;

   private:
    bool hides(std::uint8_t c) noexcept;
    bool hides_in_mechanism(std::uint8_t c) noexcept;

    What what_ = What::blank;
    bool rest_ = false;        // is blanked
    std::size_t size_ = 0;     // so far
    unsigned candidates_ = 0;  // known mechanisms that begin so: one bit each
    SecretScanner scanner_;
    KnownText sentence_{known_sentences()};
};

}  // namespace protocol
