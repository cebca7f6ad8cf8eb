#include "protocol/record_blanker.hpp"

#include <string>

#include "protocol/bytes.hpp"
#include "support/catch.hpp"

namespace {

using protocol::RecordBlanker;

std::string blanked(RecordBlanker& blanker, std::string bytes, std::size_t step = 0, bool keylog = true) {
    auto* const data = reinterpret_cast<std::uint8_t*>(bytes.data());
    if (step == 0) step = bytes.size();
    for (std::size_t at = 0; at < bytes.size(); at += step)
        blanker.blank({data + at, std::min(step, bytes.size() - at)}, keylog);
    return bytes;
}

std::string record(char type, const std::string& content) {
    std::string made{type, '\3', '\3', static_cast<char>(content.size() >> 8), static_cast<char>(content.size())};
    return made + content;
}

}  // namespace

TEST_CASE("whole records stay as they are, however they are cut") {
    const std::string records =
        record(22, "hello") + record(20, "\1") + record(23, std::string(16'384 + 256, 'x')) + record(21, "\2\x30");
    for (const std::size_t step : {1, 2, 3, 5, 7, 100, 100'000}) {
        RecordBlanker blanker;
        CHECK(blanked(blanker, records, step) == records);
        CHECK_FALSE(blanker.lost());
    }
}

TEST_CASE("what is no record is blanked from its first byte on, and so is all that follows") {
    const std::string good = record(22, "hello");
    const std::string secret("p\0\0\0\x0bsecret\0", 12);
    for (const std::size_t step : {1, 3, 100}) {
        RecordBlanker blanker;
        CHECK(blanked(blanker, good + secret, step) == good + std::string(secret.size(), '\0'));
        CHECK(blanker.lost());
        CHECK(blanked(blanker, good, step) == std::string(good.size(), '\0'));
    }
}

TEST_CASE("a record of another version, or longer than one can be, is none") {
    for (const std::string& head : {std::string("\x16\x02\x01\0\x01", 5), std::string("\x16\x03\x01\xff\xff", 5),
                                    std::string("\x19\x03\x01\0\x01", 5)}) {
        RecordBlanker blanker;
        const std::string out = blanked(blanker, head + "password");
        CHECK(blanker.lost());
        CHECK(out.find("password") == std::string::npos);
        CHECK(out.size() == head.size() + 8);
    }
}

TEST_CASE("a record without content is one") {
    RecordBlanker blanker;
    const std::string records = record(23, "") + record(23, "x");
    CHECK(blanked(blanker, records) == records);
}

TEST_CASE("without keys stays of records what a handshake says in clear, and no text under a header of one") {
    const std::string secret = "password=secret";
    const std::string hello("\x01\0\0\2\3\3", 6);
    const std::string nothing(secret.size(), '\0');
    const std::string given = record(22, hello) + record(20, "\1") + record(23, secret) + record(22, secret) +
                              record(21, "\2\x30" + secret) + record(20, "\1" + secret) + record(24, secret) +
                              record(22, "") + record(22, hello);
    const std::string left = record(22, hello) + record(20, "\1") + record(23, nothing) + record(22, nothing) +
                             record(21, "\2\x30" + nothing) + record(20, "\1" + nothing) + record(24, nothing) +
                             record(22, "") + record(22, hello);
    for (const std::size_t step : {1, 2, 3, 5, 7, 100, 100'000}) {
        RecordBlanker blanker;
        CHECK(blanked(blanker, given, step, false) == left);
        CHECK_FALSE(blanker.lost());
    }
}
