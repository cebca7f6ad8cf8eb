// The packets that open a connection, which have no type byte: SSLRequest, GSSENCRequest,
// CancelRequest, StartupMessage.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/redactor.hpp"
#include "protocol/secret_words.hpp"
#include "protocol/text_filter.hpp"

namespace protocol {

class OpeningBlanker {
   public:
    enum class Packet : std::uint8_t { unknown, ssl_request, gssenc_request, cancel_request, startup };

    explicit OpeningBlanker(Payload payload) noexcept : payload_(payload) {}

    /// Takes from the front of `bytes` what belongs to the packet, and blanks in it.
    void blank(std::span<std::uint8_t>& bytes);
    /// It has a length or a code that none may have: the rest was not looked at.
    bool broken() const noexcept { return broken_; }
    /// It has begun.
    bool begun() const noexcept { return size_ > 0; }
    /// Once the packet is whole, and until the next byte.
    bool whole() const noexcept { return size_ >= header_size && missing_ == 0 && !broken_; }
    Packet packet() const noexcept { return packet_; }
    /// "" when the client did not name one; cut where it is too long to be one.
    std::string_view client_encoding() const noexcept { return {encoding_.data(), encoding_size_}; }

   private:
    static constexpr std::size_t header_size = 8;  // length and code

    void take_header(std::uint8_t& c) noexcept;
    void take_parameters(std::span<std::uint8_t> bytes) noexcept;
    void begin_value() noexcept;
    bool keeps_in_name(std::uint8_t c) const noexcept;

    Payload payload_;
    bool broken_ = false;
    Packet packet_ = Packet::unknown;
    std::size_t size_ = 0;  // of the header, or of what follows the code in a CancelRequest
    std::uint32_t number_ = 0;
    std::uint32_t missing_ = 0;

    bool in_value_ = false;
    bool ended_ = false;  // the parameters
    std::uint8_t name_size_ = 0;
    std::array<char, max_secret_word> name_{};
    bool is_encoding_ = false;
    std::uint8_t encoding_size_ = 0;
    std::array<char, 32> encoding_{};
    TextFilter value_;
};

}  // namespace protocol
