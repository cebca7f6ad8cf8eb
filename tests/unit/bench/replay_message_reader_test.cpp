#include "bench/replay/message_reader.hpp"
#include "support/catch.hpp"

using bench::replay::MessageReader;
using Piece = std::vector<std::uint8_t>;

TEST_CASE("messages are found in pieces of any size") {
    const Piece talk{'C', 0, 0, 0, 6, 'x', 0, 'Z', 0, 0, 0, 5, 'I'};
    for (std::size_t size = 1; size <= talk.size(); ++size) {
        std::string handed_on;
        MessageReader reader([&](char, protocol::Bytes part) { handed_on.append(part.begin(), part.end()); });
        std::string types;
        for (std::size_t at = 0; at < talk.size(); at += size) {
            protocol::Bytes bytes = protocol::Bytes(talk).subspan(at, std::min(size, talk.size() - at));
            while (const auto type = reader.next(bytes)) types += *type;
            CHECK(bytes.empty());
        }
        CHECK(types == "CZ");
        CHECK(handed_on == std::string("x\0I", 3));
    }
}

TEST_CASE("behind a length that no message has there is no message") {
    MessageReader reader;
    const Piece broken{'Z', 0, 0, 0, 3, 'Z', 0, 0, 0, 5, 'I'};
    protocol::Bytes bytes(broken);
    CHECK_FALSE(reader.next(bytes).has_value());
    CHECK(reader.broken());
    for (int i = 0; i < 3; ++i) {
        protocol::Bytes more(broken);
        CHECK_FALSE(reader.next(more).has_value());
        CHECK(more.empty());
    }
}
