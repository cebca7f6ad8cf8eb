#include "protocol/client_hello.hpp"

#include <algorithm>
#include <cstdio>

namespace protocol {
namespace {

constexpr std::uint8_t client_hello_type = 1;
constexpr std::uint16_t extension_server_name = 0;
constexpr std::uint16_t extension_signature_algorithms = 13;
constexpr std::uint16_t extension_alpn = 16;
constexpr std::uint16_t extension_supported_versions = 43;

bool is_grease(std::uint16_t value) { return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff); }

std::string printable(Bytes bytes) {
    std::string out(as_text(bytes));
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return out;
}

std::vector<std::uint16_t> u16_list(Bytes bytes) {
    std::vector<std::uint16_t> values;
    Reader reader(bytes);
    while (reader.rest().size() >= 2) {
        const std::uint16_t value = reader.u16();
        if (!is_grease(value)) values.push_back(value);
    }
    return values;
}

/// RFC 6066, section 3: a list of (type, name); type 0 is a host name.
std::string server_name(Reader extension) {
    Reader list(extension.take(extension.u16()));
    const std::uint8_t type = list.u8();
    const Bytes name = list.take(list.u16());
    return list.ok() && type == 0 ? printable(name.first(std::min(name.size(), max_server_name))) : std::string();
}

/// JA4: the first and last character, or where one is no letter or digit, the first and last digit
/// of the name in hex.
std::string alpn_letters(Bytes name) {
    if (name.empty()) return "00";
    const auto alphanumeric = [](std::uint8_t c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    };
    if (alphanumeric(name.front()) && alphanumeric(name.back()))
        return {static_cast<char>(name.front()), static_cast<char>(name.back())};
    constexpr std::string_view digits = "0123456789abcdef";
    return {digits[name.front() >> 4], digits[name.back() & 15]};
}

/// RFC 7301, section 3.1. The first alone: there may be 65,000 of them.
void read_protocol_names(Reader extension, ClientHello& hello) {
    Reader list(extension.take(extension.u16()));
    const Bytes name = list.take(list.u8());
    if (list.ok()) hello.alpn_letters = alpn_letters(name);
}

/// The highest of the list, which replaces the legacy field; an unusable list does not.
void read_versions(Reader extension, ClientHello& hello) {
    std::uint16_t highest = 0;
    for (const std::uint16_t version : u16_list(extension.take(extension.u8()))) highest = std::max(highest, version);
    if (highest != 0) hello.version = highest;
}

void read_extension(std::uint16_t type, Reader data, ClientHello& hello) {
    switch (type) {
        case extension_server_name: hello.sni = server_name(data); return;
        case extension_alpn: return read_protocol_names(data, hello);
        case extension_signature_algorithms: hello.signature_algorithms = u16_list(data.take(data.u16())); return;
        case extension_supported_versions: return read_versions(data, hello);
        default: return;
    }
}

std::string hex_list(const std::vector<std::uint16_t>& values) {
    std::string out;
    for (const std::uint16_t value : values) {
        char text[5];
        std::snprintf(text, sizeof text, "%04x", unsigned{value});
        if (!out.empty()) out += ',';
        out += text;
    }
    return out;
}

std::string two_digits(std::size_t n) {
    char text[3];
    std::snprintf(text, sizeof text, "%02u", static_cast<unsigned>(std::min<std::size_t>(n, 99)));
    return text;
}

std::string_view version_letters(std::uint16_t version) {
    switch (version) {
        case 0x0304: return "13";
        case 0x0303: return "12";
        case 0x0302: return "11";
        case 0x0301: return "10";
        case 0x0300: return "s3";
        default: return "00";
    }
}

}  // namespace

std::optional<ClientHello> parse_client_hello(Bytes message) {
    Reader reader(message);
    if (reader.u8() != client_hello_type) return std::nullopt;
    reader.take(3);  // length: `message` is known to be whole
    ClientHello hello;
    hello.version = reader.u16();
    reader.take(32);           // random
    reader.take(reader.u8());  // session id
    hello.ciphers = u16_list(reader.take(reader.u16()));
    reader.take(reader.u8());  // compression methods
    if (!reader.ok()) return std::nullopt;
    if (reader.rest().empty()) return hello;
    Reader extensions(reader.take(reader.u16()));
    while (extensions.ok() && !extensions.rest().empty()) {
        const std::uint16_t type = extensions.u16();
        const Bytes data = extensions.take(extensions.u16());
        if (!extensions.ok() || is_grease(type)) continue;
        hello.extensions.push_back(type);
        read_extension(type, Reader(data), hello);
    }
    if (!reader.ok() || !extensions.ok()) return std::nullopt;
    return hello;
}

std::string ja4(const ClientHello& hello, std::string (*sha256_hex)(std::string_view)) {
    const auto hash = [&](const std::string& text) {
        constexpr std::size_t hash_length = 12;
        return text.empty() ? std::string(hash_length, '0') : sha256_hex(text).substr(0, hash_length);
    };
    std::string out = "t";
    out += version_letters(hello.version);
    out += hello.sni.empty() ? 'i' : 'd';
    out += two_digits(hello.ciphers.size()) + two_digits(hello.extensions.size()) + hello.alpn_letters;

    auto ciphers = hello.ciphers;
    std::sort(ciphers.begin(), ciphers.end());
    // The two that depend on where the client connects to, not on what it is.
    auto extensions = hello.extensions;
    std::erase_if(extensions,
                  [](std::uint16_t type) { return type == extension_server_name || type == extension_alpn; });
    std::sort(extensions.begin(), extensions.end());
    const std::string algorithms = hex_list(hello.signature_algorithms);
    return out + "_" + hash(hex_list(ciphers)) + "_" +
           hash(hex_list(extensions) + (algorithms.empty() ? "" : "_" + algorithms));
}

}  // namespace protocol
