#include "protocol/startup.hpp"

#include <algorithm>
#include <array>

namespace protocol {
namespace {

OpeningPacket parse_cancel(Reader reader) {
    CancelRequest request{.pid = reader.u32(), .key = {}};
    const Bytes key = reader.rest();
    if (!reader.ok() || key.size() < min_cancel_key || key.size() > max_cancel_key) return Fault::cancel_length;
    request.key.assign(key.begin(), key.end());
    return request;
}

OpeningPacket parse_startup(std::uint32_t version, Reader reader) {
    if (version >> 16 != 3) return Fault::unsupported_protocol;
    StartupMessage startup{.version = version, .parameters = {}};
    for (;;) {
        const std::string_view name = reader.cstring();
        if (!reader.ok()) return Fault::startup_layout;
        if (name.empty()) break;
        const std::string_view value = reader.cstring();
        if (!reader.ok()) return Fault::startup_layout;
        startup.parameters.emplace_back(name, value);
    }
    if (!reader.rest().empty()) return Fault::startup_layout;
    return startup;
}

std::string lowered(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return out;
}

}  // namespace

std::string_view StartupMessage::find(std::string_view name) const noexcept {
    // The last one wins, as in the server.
    for (auto it = parameters.rbegin(); it != parameters.rend(); ++it) {
        if (it->first == name) return it->second;
    }
    return {};
}

std::string_view StartupMessage::database() const noexcept {
    const std::string_view named = find("database");
    return named.empty() ? find("user") : named;
}

/// The server's parse_bool(): beginnings of these words, in any case; "o" alone is neither on nor
/// off. "database" is no boolean: logical replication, within one; and once it has been said, what
/// is said behind it takes nobody out of that database.
bool StartupMessage::is_physical_replication() const {
    for (const auto& [name, value] : parameters) {
        if (name == "replication" && value == "database") return false;
    }
    const std::string value = lowered(find("replication"));
    if (value.empty()) return false;
    return std::string_view("true").starts_with(value) || std::string_view("yes").starts_with(value) || value == "on" ||
           value == "1";
}

bool StartupMessage::may_choose_read_only() const {
    // What drivers send of their own accord; names of settings are in any case.
    constexpr std::array<std::string_view, 9> harmless{"user",      "database",      "application_name",
                                                       "datestyle", "intervalstyle", "client_encoding",
                                                       "timezone",  "search_path",   "extra_float_digits"};
    return std::any_of(parameters.begin(), parameters.end(), [&](const auto& parameter) {
        const std::string name = lowered(parameter.first);
        return std::find(harmless.begin(), harmless.end(), name) == harmless.end();
    });
}

std::optional<std::size_t> opening_packet_size(Bytes begin) noexcept {
    const std::uint32_t length = Reader(begin).u32();
    if (length < opening_header_size || length > max_startup_packet + 4) return std::nullopt;
    return length;
}

OpeningPacket parse_opening(Bytes packet) {
    const auto size = packet.size() < opening_header_size ? std::nullopt : opening_packet_size(packet);
    if (!size || *size != packet.size()) return Fault::startup_length;
    Reader reader(packet.subspan(4));
    const std::uint32_t code = reader.u32();
    switch (code) {
        case cancel_request_code: return parse_cancel(reader);
        case ssl_request_code:
            if (!reader.rest().empty()) return Fault::startup_length;
            return SSLRequest{};
        case gssenc_request_code:
            if (!reader.rest().empty()) return Fault::startup_length;
            return GSSENCRequest{};
        default: return parse_startup(code, reader);
    }
}

Buffer serialize(const SSLRequest&) {
    Buffer out;
    Writer writer(out);
    writer.u32(8);
    writer.u32(ssl_request_code);
    return out;
}

Buffer serialize(const CancelRequest& request) {
    Buffer out;
    Writer writer(out);
    const std::size_t length = writer.begin_length();
    writer.u32(cancel_request_code);
    writer.u32(request.pid);
    writer.bytes(request.key);
    writer.end_length(length);
    return out;
}

Buffer serialize(const StartupMessage& startup) {
    Buffer out;
    Writer writer(out);
    const std::size_t length = writer.begin_length();
    writer.u32(startup.version);
    for (const auto& [name, value] : startup.parameters) {
        writer.cstring(name);
        writer.cstring(value);
    }
    writer.u8(0);
    writer.end_length(length);
    return out;
}

std::string version_text(std::uint32_t version) {
    return std::to_string(version >> 16) + "." + std::to_string(version & 0xffff);
}

}  // namespace protocol
