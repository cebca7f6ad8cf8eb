#include "protocol/client_hello.hpp"

#include "support/catch.hpp"
#include "tls/certificates.hpp"

namespace {

using namespace std::string_literals;
using protocol::Buffer;
using protocol::ClientHello;
using protocol::parse_client_hello;

// Handshake messages of Python 3.11 with OpenSSL 3.0 (ssl.MemoryBIO), without the record header.

// server_hostname="db.example.com", set_alpn_protocols(["postgresql"]), TLS 1.2 and 1.3.
const std::string openssl_tls13 =
    "010001fc03039b329d76549899cae07fc815adadde83db7642045f1d9eb735398379e57ca7e420cb50f7426a6d7ebdfddeb90af259d3531e5f"
    "b062c8"
    "76575780ba608e609662c30024130213031301c02cc030c02bc02fcca9cca8c024c028c023c027009f009e006b006700ff0100018f00000013"
    "001100"
    "000e64622e6578616d706c652e636f6d000b000403000102000a00160014001d0017001e001900180100010101020103010400230000001000"
    "0d000b"
    "0a706f737467726573716c0016000000170000000d002a0028040305030603080708080809080a080b08040805080604010501060103030301"
    "030204"
    "0205020602002b00050403040303002d00020101003300260024001d002074cbc56e0a33af513841c99ae15013232c6fbd62ef40bc010b7c77"
    "bf23f1"
    "0f71001500ce000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "000000"
    "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "000000"
    "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "000000"
    "0000000000000000000000000000000000000000000000000000000000000000";

// No server name, no ALPN, TLS 1.2 only.
const std::string openssl_tls12 =
    "0100009903034350cfba3b72b2bb20104ff3fbdacea57cea246ac2b1c4322928ca1c526cb78a00001ec02cc030c02bc02fcca9cca8c024c028"
    "c023c0"
    "27009f009e006b006700ff01000052000b000403000102000a000c000a001d0017001e00190018002300000016000000170000000d002a0028"
    "040305"
    "030603080708080809080a080b080408050806040105010601030303010302040205020602";

Buffer from_hex(const std::string& hex) {
    Buffer out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        out.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    return out;
}

std::string sha256(std::string_view text) { return tls::sha256_hex(text.data(), text.size()); }
/// Shows what is hashed; longer than the twelve characters that are kept.
std::string first_twelve(std::string_view text) { return std::string(text) + "............"; }

ClientHello parsed(const Buffer& message) {
    const auto hello = parse_client_hello(message);
    REQUIRE(hello.has_value());
    return *hello;
}

/// A ClientHello made by hand: extensions as (type, data).
class HelloBuilder {
   public:
    HelloBuilder& ciphers(std::vector<std::uint16_t> values) {
        ciphers_ = list(values);
        return *this;
    }
    HelloBuilder& extension(std::uint16_t type, const Buffer& data = {}) {
        extensions_ += u16(type) + u16(data.size()) + std::string(protocol::as_text(data));
        return *this;
    }
    HelloBuilder& alpn(const std::string& name) {
        const std::string entry = static_cast<char>(name.size()) + name;
        return extension(16, bytes(u16(entry.size()) + entry));
    }
    HelloBuilder& supported_versions(std::vector<std::uint16_t> values) {
        return extension(43, bytes(static_cast<char>(values.size() * 2) + list(values)));
    }
    HelloBuilder& signature_algorithms(std::vector<std::uint16_t> values) {
        return extension(13, bytes(u16(values.size() * 2) + list(values)));
    }
    HelloBuilder& server_name(const std::string& name, char type = 0) {
        const std::string entry = type + u16(name.size()) + name;
        return extension(0, bytes(u16(entry.size()) + entry));
    }
    HelloBuilder& version(std::uint16_t value) {
        version_ = value;
        return *this;
    }
    Buffer build() const {
        const std::string body = u16(version_) + std::string(32, 'r') + "\0"s + u16(ciphers_.size()) + ciphers_ +
                                 "\1\0"s + u16(extensions_.size()) + extensions_;
        return bytes("\1\0"s + u16(body.size()) + body);
    }

   private:
    static std::string u16(std::size_t value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }
    static std::string list(const std::vector<std::uint16_t>& values) {
        std::string out;
        for (const std::uint16_t value : values) out += u16(value);
        return out;
    }
    static Buffer bytes(const std::string& text) { return {text.begin(), text.end()}; }

    std::uint16_t version_ = 0x0303;
    std::string ciphers_;
    std::string extensions_;
};

std::string ja4_of(const HelloBuilder& builder) { return protocol::ja4(parsed(builder.build()), sha256); }

}  // namespace

TEST_CASE("OpenSSL's ClientHello for TLS 1.3 is read field by field") {
    const ClientHello hello = parsed(from_hex(openssl_tls13));
    CHECK(hello.version == 0x0304);
    CHECK(hello.sni == "db.example.com");
    CHECK(hello.alpn_letters == "pl");
    CHECK(hello.ciphers == std::vector<std::uint16_t>{0x1302, 0x1303, 0x1301, 0xc02c, 0xc030, 0xc02b, 0xc02f, 0xcca9,
                                                      0xcca8, 0xc024, 0xc028, 0xc023, 0xc027, 0x009f, 0x009e, 0x006b,
                                                      0x0067, 0x00ff});
    CHECK(hello.extensions == std::vector<std::uint16_t>{0, 11, 10, 35, 16, 22, 23, 13, 43, 45, 51, 21});
    CHECK(hello.signature_algorithms.size() == 20);
    CHECK(hello.signature_algorithms.front() == 0x0403);
    CHECK(hello.signature_algorithms.back() == 0x0602);
}

TEST_CASE("OpenSSL's ClientHello for TLS 1.2 without name and ALPN is read") {
    const ClientHello hello = parsed(from_hex(openssl_tls12));
    CHECK(hello.version == 0x0303);
    CHECK(hello.sni.empty());
    CHECK(hello.alpn_letters == "00");
    CHECK(hello.ciphers.size() == 15);
    CHECK(hello.extensions == std::vector<std::uint16_t>{11, 10, 35, 22, 23, 13});
}

TEST_CASE("a ClientHello cut off anywhere is malformed, except before its extensions") {
    for (const std::string& hex : {openssl_tls13, openssl_tls12}) {
        const Buffer whole = from_hex(hex);
        std::size_t accepted = 0;
        for (std::size_t size = 0; size < whole.size(); ++size) {
            const Buffer cut(
                whole.begin(),
                whole.begin() + static_cast<std::ptrdiff_t>(size));  // its own memory: ASan sees every overrun
            accepted += parse_client_hello(cut).has_value() ? 1 : 0;
        }
        CHECK(accepted == 1);
        CHECK(parse_client_hello(whole).has_value());
    }
}

TEST_CASE("a ClientHello with any one byte changed is read or refused, and nothing else") {
    const Buffer whole = from_hex(openssl_tls13);
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
            Buffer changed = whole;
            changed[at] = static_cast<std::uint8_t>(value);
            const auto hello = parse_client_hello(changed);
            if (hello) CHECK(protocol::ja4(*hello, sha256).size() >= 34);
        }
    }
}

TEST_CASE("another handshake message is no ClientHello") {
    Buffer message = from_hex(openssl_tls12);
    message[0] = 2;
    CHECK_FALSE(parse_client_hello(message).has_value());
    CHECK_FALSE(parse_client_hello({}).has_value());
}

TEST_CASE("a ClientHello without extensions is read") {
    Buffer message = HelloBuilder().version(0x0301).ciphers({0x002f}).build();
    message.resize(message.size() - 2);  // not even their length
    const ClientHello hello = parsed(message);
    CHECK(hello.version == 0x0301);
    CHECK(protocol::ja4(hello, first_twelve) == "t10i010000_002f........_000000000000");
}

TEST_CASE("GREASE is left out everywhere") {
    const ClientHello hello = parsed(HelloBuilder()
                                         .ciphers({0x0a0a, 0x1301, 0xfafa})
                                         .extension(0x2a2a)
                                         .supported_versions({0x7a7a, 0x0304, 0x0303})
                                         .signature_algorithms({0x3a3a, 0x0403})
                                         .extension(0xeaea, {0})
                                         .build());
    CHECK(hello.ciphers == std::vector<std::uint16_t>{0x1301});
    CHECK(hello.extensions == std::vector<std::uint16_t>{43, 13});
    CHECK(hello.signature_algorithms == std::vector<std::uint16_t>{0x0403});
    CHECK(hello.version == 0x0304);
}

TEST_CASE("a server name shows no control characters and must be a host name") {
    CHECK(parsed(HelloBuilder()
                     .server_name("a\r\n\x7f"
                                  "b"s)
                     .build())
              .sni == "a???b");
    CHECK(parsed(HelloBuilder().server_name("host", 1).build()).sni.empty());
    CHECK(parsed(HelloBuilder().extension(0, {}).build()).sni.empty());
    CHECK(parsed(HelloBuilder().extension(0, {0, 9, 0, 0, 200, 'x'}).build()).sni.empty());
}

TEST_CASE("a server name of 60,000 bytes is not kept") {
    const std::string sni = parsed(HelloBuilder().server_name(std::string(60'000, 'x')).build()).sni;
    CHECK(sni == std::string(protocol::max_server_name, 'x'));
}

TEST_CASE("malformed extensions that the parser looks into cost only what they hold") {
    CHECK(parsed(HelloBuilder().extension(16, {0, 5, 9, 'x'}).build()).alpn_letters == "00");
    CHECK(parsed(HelloBuilder().extension(43, {5, 3}).build()).version == 0x0303);
    CHECK(parsed(HelloBuilder().extension(13, {0}).build()).signature_algorithms.empty());
}

TEST_CASE("JA4's published example comes out as published") {
    // FoxIO, technical_details/JA4.md: Chrome. Sixteen extensions with server_name and ALPN, which
    // are counted and not hashed.
    ClientHello hello{.version = 0x0304,
                      .sni = "example.com",
                      .alpn_letters = "h2",
                      .ciphers = {0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
                                  0xc014, 0x009c, 0x009d, 0x002f, 0x0035},
                      .extensions = {0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023,
                                     0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015},
                      .signature_algorithms = {0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601}};
    CHECK(protocol::ja4(hello, sha256) == "t13d1516h2_8daaf6152771_e5627efa2ab1");
}

TEST_CASE("JA4's first part tells version, name, counts and protocol") {
    const auto first_part = [](const HelloBuilder& builder) { return ja4_of(builder).substr(0, 10); };
    CHECK(first_part(HelloBuilder()) == "t12i000000");
    CHECK(first_part(HelloBuilder().version(0x0302)) == "t11i000000");
    CHECK(first_part(HelloBuilder().version(0x0301)) == "t10i000000");
    CHECK(first_part(HelloBuilder().version(0x0300)) == "ts3i000000");
    CHECK(first_part(HelloBuilder().version(0x1234)) == "t00i000000");
    CHECK(first_part(HelloBuilder().supported_versions({0x0303, 0x0304})) == "t13i000100");
    CHECK(first_part(HelloBuilder().server_name("a.b").alpn("postgresql")) == "t12d0002pl");
    CHECK(first_part(HelloBuilder().alpn("x")) == "t12i0001xx");
    CHECK(first_part(HelloBuilder().ciphers(std::vector<std::uint16_t>(120, 0x1301))) == "t12i990000");
}

TEST_CASE("JA4 has no signature algorithms and no underscore where none were sent") {
    const ClientHello hello = parsed(HelloBuilder().extension(23).extension(10).build());
    CHECK(protocol::ja4(hello, first_twelve) == "t12i000200_000000000000_000a,0017...");
    CHECK(protocol::ja4(parsed(HelloBuilder().server_name("a").build()), first_twelve) ==
          "t12d000100_000000000000_000000000000");
}

TEST_CASE("one client has one JA4 whatever name it asks for") {
    ClientHello hello = parsed(from_hex(openssl_tls13));
    const std::string ja4 = protocol::ja4(hello, sha256);
    CHECK(ja4.substr(0, 10) == "t13d1812pl");
    hello.sni = "another.example";
    CHECK(protocol::ja4(hello, sha256) == ja4);
}

TEST_CASE("supported_versions counts even when it is below the legacy version") {
    CHECK(parsed(HelloBuilder().version(0x0303).supported_versions({0x0302, 0x0301}).build()).version == 0x0302);
}

TEST_CASE("JA4 spells an ALPN name that begins or ends with no letter or digit in hex") {
    const auto letters = [](const std::string& name) { return ja4_of(HelloBuilder().alpn(name)).substr(8, 2); };
    CHECK(letters("\xab") == "ab");
    CHECK(letters("\xab\xcd"s) == "ad");
    CHECK(letters("\x30\xab"s) == "3b");
    CHECK(letters("h-") == "6d");
}
