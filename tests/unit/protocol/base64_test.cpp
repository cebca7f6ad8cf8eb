#include "protocol/base64.hpp"

#include <algorithm>

#include "support/catch.hpp"

namespace {

using namespace std::string_literals;
using protocol::as_bytes;
using protocol::as_text;
using protocol::base64_decode;
using protocol::base64_encode;
using protocol::Buffer;

const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes that differ from their neighbours.
Buffer sample(std::size_t size) {
    Buffer bytes;
    for (std::size_t i = 0; i < size; ++i) bytes.push_back(static_cast<std::uint8_t>(i * 151 + 0x8f));
    return bytes;
}

void refused(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
        CAPTURE(text);
        CHECK_FALSE(base64_decode(text));
    }
}

}  // namespace

TEST_CASE("base64: the test vectors of RFC 4648, section 10") {
    const std::vector<std::pair<std::string, std::string>> vectors = {{"", ""},
                                                                      {"f", "Zg=="},
                                                                      {"fo", "Zm8="},
                                                                      {"foo", "Zm9v"},
                                                                      {"foob", "Zm9vYg=="},
                                                                      {"fooba", "Zm9vYmE="},
                                                                      {"foobar", "Zm9vYmFy"}};
    for (const auto& [plain, encoded] : vectors) {
        CAPTURE(encoded);
        CHECK(base64_encode(as_bytes(plain)) == encoded);
        const auto decoded = base64_decode(encoded);
        REQUIRE(decoded);
        CHECK(as_text(*decoded) == plain);
    }
}

TEST_CASE("base64: the alphabet is that of RFC 4648, section 4") {
    const auto decoded = base64_decode(alphabet);
    REQUIRE(decoded);
    REQUIRE(decoded->size() == 48);
    CHECK(Buffer(decoded->begin(), decoded->begin() + 3) == Buffer{0x00, 0x10, 0x83});
    CHECK(Buffer(decoded->end() - 3, decoded->end()) == Buffer{0xf3, 0xdf, 0xbf});
    CHECK(base64_encode(*decoded) == alphabet);
}

TEST_CASE("base64: any other character is refused, wherever it stands") {
    for (int c = 0; c < 256; ++c) {
        if (alphabet.find(static_cast<char>(c)) != std::string::npos) continue;
        CAPTURE(c);
        for (std::size_t at = 0; at < 8; ++at) {
            if (c == '=' && at == 7) continue;
            std::string text = "AAAAAAAA";
            text[at] = static_cast<char>(c);
            CHECK_FALSE(base64_decode(text));
        }
    }
}

TEST_CASE("base64: a length that no encoder produces is refused") {
    refused({"Z", "Zg", "Zg=", "Zm9", "Zm9vY", "Zm9vYg", "Zm9vYg=", "Zg===", "Zm9v=", "Zm9v==", "="});
}

TEST_CASE("base64: padding is at the end, and at most two characters") {
    refused({"====", "A===", "Zm9v====", "Zm9vA===", "=AAA", "Z=g=", "Zg=A", "Zg==Zg==", "Zm8=Zm8=", "Zg==AAAA"});
}

TEST_CASE("base64: the bits that padding cuts off are zero") {
    CHECK(base64_decode("Zg=="));
    CHECK(base64_decode("Zm8="));
    refused({"Zh==", "Zi==", "Zo==", "Zv==", "Zm9=", "Zm+=", "Zm9vZ/=="});
}

TEST_CASE("base64: white space and NUL are refused, also at the ends") {
    refused({" Zg=="s, "Zg== "s, "Zg==\n"s, "Zg==\r\n"s, "Zm9v Zm9v"s, "Zm9v\nZm9v"s, "Zm9\n"s, "\tm9v"s,
             "Zm9v\0\0\0\0"s, "Zg==\0"s, "Zm9\0"s});
}

TEST_CASE("base64: the alphabet for file names and URLs is another one") {
    CHECK(base64_encode(Buffer{0xfb, 0xef, 0xff}) == "++//");
    refused({"--__"});
}

TEST_CASE("base64: bytes of every length come back, in four characters for each three") {
    for (std::size_t size = 0; size <= 66; ++size) {
        CAPTURE(size);
        const Buffer bytes = sample(size);
        const std::string text = base64_encode(bytes);
        CHECK(text.size() == (size + 2) / 3 * 4);
        const auto decoded = base64_decode(text);
        REQUIRE(decoded);
        CHECK(*decoded == bytes);
    }
}

TEST_CASE("base64: no two texts mean the same byte") {
    std::size_t good = 0;
    for (const char a : alphabet) {
        for (const char b : alphabet) {
            const std::string text{a, b, '=', '='};
            const auto decoded = base64_decode(text);
            if (!decoded) continue;
            ++good;
            CHECK(base64_encode(*decoded) == text);
        }
    }
    CHECK(good == 256);
}
