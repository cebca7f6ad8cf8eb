// The fields of ErrorResponse and NoticeResponse.
#pragma once

#include <cstdint>
#include <span>

#include "protocol/redactor.hpp"
#include "protocol/sql_blanker.hpp"
#include "protocol/text_filter.hpp"

namespace protocol {

class ErrorBlanker {
   public:
    /// `session` outlives it.
    ErrorBlanker(Payload payload, SqlSession& session) noexcept
        : payload_(payload), sql_(SqlContent::without_secrets, session) {}

    /// `may_quote_secrets`: a statement that may hold some has not been answered.
    void begin(bool may_quote_secrets) noexcept;
    /// What came next of the body.
    void blank(std::span<std::uint8_t> bytes);

   private:
    void begin_field(std::uint8_t& type);
    void take_text(std::span<std::uint8_t> text);
    TextFilter::What what_is_left(char type) const noexcept;

    Payload payload_;
    bool may_quote_secrets_ = false;
    bool in_field_ = false;
    bool ended_ = false;
    bool is_sql_ = false;
    char type_ = 0;
    TextFilter text_;
    SqlBlanker sql_;
};

}  // namespace protocol
