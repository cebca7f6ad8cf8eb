#include "protocol/messages.hpp"

#include <algorithm>

#include "protocol/startup.hpp"
#include "protocol/utf8.hpp"

namespace protocol {
namespace {

/// libpq takes an ErrorResponse of more than 30,000 bytes, while it connects, for the answer of a
/// server of protocol 2 (MAX_ERRLEN), and shows nothing of it. A third for each of the long fields.
constexpr std::size_t max_error_field = 9'000;

void field(Writer& writer, char code, std::string_view value) {
    writer.u8(static_cast<std::uint8_t>(code));
    writer.cstring(value.size() > max_error_field ? as_utf8(value, max_error_field) : value);
}

}  // namespace

void MessageBuffer::append(Bytes bytes) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

std::optional<Message> MessageBuffer::next() {
    const Bytes bytes = rest();
    if (bytes.size() < message_header_size) return std::nullopt;
    const std::uint32_t length = Reader(bytes.subspan(1)).u32();
    if (length < 4 || length > limit_) {
        oversized_ = true;
        return std::nullopt;
    }
    const std::size_t size = std::size_t{length} + 1;
    if (bytes.size() < size) return std::nullopt;
    taken_ += size;
    return Message{.type = static_cast<char>(bytes[0]),
                   .body = bytes.subspan(message_header_size, size - message_header_size),
                   .whole = bytes.first(size)};
}

std::optional<MessageBuffer::Beginning> MessageBuffer::take_oversized() {
    const Bytes bytes = rest();
    const std::size_t size = std::size_t{Reader(bytes.subspan(1)).u32()} + 1;
    if (size < message_header_size) return std::nullopt;
    const Bytes here = bytes.first(std::min(bytes.size(), size));
    taken_ += here.size();
    oversized_ = false;
    return Beginning{.bytes = here, .missing = size - here.size()};
}

Buffer serialize(const ErrorResponse& error) {
    Buffer out;
    Writer writer(out);
    writer.u8('E');
    const std::size_t length = writer.begin_length();
    field(writer, 'S', error.severity);
    field(writer, 'V', error.severity);
    field(writer, 'C', error.sqlstate);
    field(writer, 'M', error.message);
    if (!error.detail.empty()) field(writer, 'D', error.detail);
    if (!error.hint.empty()) field(writer, 'H', error.hint);
    if (error.position > 0) field(writer, 'P', std::to_string(error.position));
    writer.u8(0);
    writer.end_length(length);
    return out;
}

bool is_sqlstate(std::string_view text) noexcept {
    return text.size() == 5 && text.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string_view::npos;
}

ErrorResponse parse_error_response(Bytes body) {
    ErrorResponse error;
    Reader reader(body);
    for (char code = static_cast<char>(reader.u8()); code != 0 && reader.ok(); code = static_cast<char>(reader.u8())) {
        const std::string_view value = reader.cstring();
        switch (code) {
            case 'S': error.severity = value; break;
            case 'C': error.sqlstate = value; break;
            case 'M': error.message = value; break;
            case 'D': error.detail = value; break;
            case 'H': error.hint = value; break;
            default: break;
        }
    }
    return error;
}

std::optional<AuthenticationSASL> parse_authentication_sasl(Bytes body) {
    Reader reader(body);
    if (reader.u32() != static_cast<std::uint32_t>(AuthenticationCode::sasl)) return std::nullopt;
    AuthenticationSASL offer;
    for (;;) {
        const std::string_view mechanism = reader.cstring();
        if (!reader.ok()) return std::nullopt;
        if (mechanism.empty()) return offer;
        offer.mechanisms.emplace_back(mechanism);
    }
}

void append(Buffer& out, const AuthenticationSASL& offer) {
    Buffer names;
    Writer writer(names);
    for (const std::string& mechanism : offer.mechanisms) writer.cstring(mechanism);
    writer.u8(0);
    append_authentication(out, AuthenticationCode::sasl, names);
}

bool AuthenticationSASL::offers(std::string_view mechanism) const noexcept {
    return std::find(mechanisms.begin(), mechanisms.end(), mechanism) != mechanisms.end();
}

void append_authentication(Buffer& out, AuthenticationCode code, Bytes data) {
    Writer writer(out);
    writer.u8('R');
    const std::size_t length = writer.begin_length();
    writer.u32(static_cast<std::uint32_t>(code));
    writer.bytes(data);
    writer.end_length(length);
}

std::optional<SASLInitialResponse> parse_sasl_initial_response(Bytes body) {
    Reader reader(body);
    SASLInitialResponse response{.mechanism = std::string(reader.cstring()), .data = {}};
    const std::uint32_t length = reader.u32();
    if (!reader.ok()) return std::nullopt;
    constexpr std::uint32_t no_response_yet = 0xffffffff;
    if (length == no_response_yet) return reader.rest().empty() ? std::optional(response) : std::nullopt;
    if (length != reader.rest().size() || length == 0) return std::nullopt;
    response.data = as_text(reader.rest());
    return response;
}

void append_sasl_initial_response(Buffer& out, std::string_view mechanism, std::string_view data) {
    Writer writer(out);
    writer.u8('p');
    const std::size_t length = writer.begin_length();
    writer.cstring(mechanism);
    writer.u32(static_cast<std::uint32_t>(data.size()));
    writer.bytes(as_bytes(data));
    writer.end_length(length);
}

void append_sasl_response(Buffer& out, std::string_view data) {
    Writer writer(out);
    writer.u8('p');
    const std::size_t length = writer.begin_length();
    writer.bytes(as_bytes(data));
    writer.end_length(length);
}

std::optional<Bytes> parse_password_message(Bytes body) {
    if (body.empty() || as_text(body).find('\0') != body.size() - 1) return std::nullopt;
    return body.first(body.size() - 1);
}

std::optional<BackendKeyData> parse_backend_key_data(Bytes body) {
    Reader reader(body);
    BackendKeyData data{.pid = reader.u32(), .key = {}};
    const Bytes key = reader.rest();
    if (!reader.ok() || key.size() < min_cancel_key || key.size() > max_cancel_key) return std::nullopt;
    data.key.assign(key.begin(), key.end());
    return data;
}

}  // namespace protocol
