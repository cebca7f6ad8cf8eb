// What the bodies of messages are made of, as far as blanking wants to know it (PostgreSQL docs,
// "Message Formats", protocol 3.0 to 3.2).
#pragma once

#include <cstdint>
#include <span>

#include "protocol/redactor.hpp"

namespace protocol {

enum class Item : std::uint8_t {
    int8,  // numbers are kept
    int16,
    int32,
    repeat16,  // a number of 16 bits, and so many times the next `steps`
    repeat32,
    text,    // up to its NUL
    value,   // a length of 32 bits, and so many bytes; -1: NULL
    fields,  // of an error
    rest,    // whatever is left, if anything is
};

/// What a number, a text or bytes are.
enum class Meaning : std::uint8_t {
    none,       // of a number: nothing to us. Of the rest: nobody knows
    name,       // of a column, a channel: no value
    portal,     // the name of one
    statement,  // the name of a prepared statement
    sql,
    data,  // of people
    rows,  // of COPY
    command_tag,
    mechanism,
    mechanism_offer,
    setting_name,
    setting,
    password,
    secret_text,
    secret_bytes,
    authentication,    // the code, which says what follows
    parameter_format,  // of the next parameter, 0: text
    result_format,
    column_format,
    copy_format,
    copy_column_format,
};

struct Step {
    Item item = Item::rest;
    Meaning meaning = Meaning::none;
    std::uint8_t steps = 0;
};

/// Ends with `rest`. A message of a type that nobody knows is nothing but rest.
std::span<const Step> layout_of(Redactor::Sender sender, char type) noexcept;
/// What a client sends while it logs in, by the code that the server asked with.
std::span<const Step> layout_of_answer(std::uint32_t authentication) noexcept;
/// What follows the code.
std::span<const Step> layout_of_authentication(std::uint32_t code) noexcept;
/// Nobody knows what is in it, or it is secret.
std::span<const Step> layout_of_secret() noexcept;

}  // namespace protocol
