// Framing in pieces of a length that the input chooses, and every body that the login looks into.
#include <algorithm>
#include <cstdlib>

#include "protocol/messages.hpp"

namespace {

using namespace protocol;

void check(bool holds) {
    if (!holds) std::abort();
}

void parse(const Message& message) {
    check(message.whole.size() == message.body.size() + message_header_size);
    const ErrorResponse error = parse_error_response(message.body);
    const Buffer again = serialize(error);
    const ErrorResponse got = parse_error_response(Bytes(again).subspan(message_header_size));
    check(got.sqlstate == error.sqlstate && got.message == error.message && got.hint == error.hint);
    if (const auto offer = parse_authentication_sasl(message.body)) {
        Buffer bytes;
        append(bytes, *offer);
        check(parse_authentication_sasl(Bytes(bytes).subspan(message_header_size))->mechanisms == offer->mechanisms);
    }
    (void)parse_sasl_initial_response(message.body);
    if (const auto password = parse_password_message(message.body))
        check(as_text(*password).find('\0') == std::string_view::npos);
    if (const auto key = parse_backend_key_data(message.body)) check(key->key.size() + 4 == message.body.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t piece = std::size_t{data[0]} + 1;
    Bytes rest(data + 1, size - 1);
    MessageBuffer buffer(10'000);
    std::size_t taken = 0;
    while (!rest.empty() && !buffer.oversized()) {
        const Bytes next = rest.first(std::min(piece, rest.size()));
        rest = rest.subspan(next.size());
        buffer.append(next);
        while (const auto message = buffer.next()) {
            taken += message->whole.size();
            parse(*message);
        }
    }
    check(taken + buffer.rest().size() + rest.size() == size - 1);
    return 0;
}
