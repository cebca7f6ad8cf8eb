#include "protocol/messages.hpp"

#include "protocol/startup.hpp"

namespace protocol {
namespace {

void field(Writer& writer, char code, std::string_view value) {
    writer.u8(static_cast<std::uint8_t>(code));
    writer.cstring(value);
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

void MessageBuffer::wipe() noexcept {
    // volatile: the compiler may not drop stores to memory that is about to be freed.
    volatile std::uint8_t* bytes = buffer_.data();
    for (std::size_t i = 0; i < buffer_.size(); ++i) bytes[i] = 0;
    buffer_.clear();
    taken_ = 0;
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
    writer.u8(0);
    writer.end_length(length);
    return out;
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

Buffer serialize(const AuthenticationSASL& offer) {
    Buffer out;
    Writer writer(out);
    writer.u8('R');
    const std::size_t length = writer.begin_length();
    writer.u32(static_cast<std::uint32_t>(AuthenticationCode::sasl));
    for (const std::string& mechanism : offer.mechanisms) writer.cstring(mechanism);
    writer.u8(0);
    writer.end_length(length);
    return out;
}

std::optional<SASLInitialResponse> parse_sasl_initial_response(Bytes body) {
    Reader reader(body);
    SASLInitialResponse response{.mechanism = std::string(reader.cstring()), .channel_binding = 0};
    const std::uint32_t length = reader.u32();
    if (!reader.ok()) return std::nullopt;
    constexpr std::uint32_t no_response_yet = 0xffffffff;
    if (length == no_response_yet) return reader.rest().empty() ? std::optional(response) : std::nullopt;
    if (length != reader.rest().size() || length == 0) return std::nullopt;
    response.channel_binding = static_cast<char>(reader.u8());
    return response;
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
