// Goes through the body of one message after the other, piece by piece, and blanks in it.
#pragma once

#include <array>

#include "protocol/error_blanker.hpp"
#include "protocol/message_layout.hpp"
#include "protocol/session_facts.hpp"
#include "protocol/sql_blanker.hpp"
#include "protocol/text_filter.hpp"

namespace protocol {

class MessageBlanker {
   public:
    /// `facts` outlive it.
    MessageBlanker(Redactor::Sender sender, Payload payload, SessionFacts& facts) noexcept;

    /// A message of `size` bytes begins, its header not counted.
    void begin(char type, std::size_t size);
    /// What came next of its body; not more than that.
    void blank(std::span<std::uint8_t> bytes);
    /// All of its body has come.
    void end();

   private:
    using Bytes = std::span<std::uint8_t>;

    /// Of a message.
    struct Shown {
        bool names = false;
        bool sql = false;   // with this content
        bool data = false;  // but secrets
        SqlContent content = SqlContent::without_literals;
    };
    static Shown shown_in(Payload payload) noexcept;

    void next_step() noexcept;
    void go_on_with(std::span<const Step> steps) noexcept;
    void end_item();
    void take_number(Bytes& bytes, std::size_t width);
    void end_number();
    bool is_format() const noexcept;
    void check_count() noexcept;
    void take_text(Bytes& bytes);
    void begin_text();
    void end_text();
    void begin_setting() noexcept;
    void take_value(Bytes& bytes);
    void begin_value(std::size_t left);
    void take_rest(Bytes bytes);
    void begin_rest();
    void fill(Bytes bytes, bool binary) const noexcept;
    bool is_next_parameter_binary() noexcept;
    Meaning meaning() const noexcept { return steps_[at_].meaning; }

    Redactor::Sender sender_;
    Shown shown_;
    SessionFacts& facts_;

    // Where we are.
    char type_ = 0;
    std::size_t missing_ = 0;  // of the body
    std::span<const Step> steps_;
    std::size_t at_ = 0;
    std::size_t repeat_ = 0;  // how often the steps are still to come
    std::size_t repeat_begin_ = 0, repeat_end_ = 0;
    bool announced_ = false;  // just now, how often

    // The item.
    bool in_item_ = false;  // it has begun
    std::uint32_t number_ = 0;
    std::size_t number_size_ = 0;
    std::size_t value_missing_ = 0;
    bool in_value_ = false;  // behind its length
    bool hidden_ = false;    // the value or the rest, all of it
    bool binary_ = false;
    NameHash hash_;
    bool is_encoding_ = false;
    std::size_t setting_size_ = 0;
    std::array<char, max_secret_word> setting_{};  // a ParameterStatus's name, or a client_encoding

    // The message.
    std::uint64_t statement_ = 0;
    std::uint64_t portal_ = 0;
    bool secret_values_ = false;
    std::size_t formats_ = 0;           // so many parameters have one
    std::uint64_t binary_formats_ = 0;  // of the first 64, a bit each
    std::size_t parameters_ = 0;        // values so far
    bool goes_on_ = false;              // this CopyData follows another one

    TextFilter text_;
    TextFilter rows_;
    SqlBlanker sql_;
    bool in_sql_ = false;
    ErrorBlanker error_;
};

}  // namespace protocol
