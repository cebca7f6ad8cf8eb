#include "bench/replay/handshake_records.hpp"
#include "support/catch.hpp"

using namespace bench::replay;

namespace {

/// A ClientHello that offers one group and no key share.
std::string hello(char group) {
    const std::string groups = std::string("\0\x0a\0\4\0\2\0", 7) + group;
    const std::string extensions = std::string("\0\x08", 2) + groups;
    const std::string body =
        std::string("\3\3", 2) + std::string(32, 'r') + '\0' + std::string("\0\2\x13\1\1\0", 6) + extensions;
    const std::string message = std::string("\1\0\0", 3) + static_cast<char>(body.size()) + body;
    return std::string("\x16\3\1\0", 4) + static_cast<char>(message.size()) + message;
}

class Packets {
   public:
    bool say(const std::string& bytes, const SessionFacts& facts = {}, bool from_client = true) {
        const protocol::TcpPacket tcp{.from = {}, .to = {}, .sequence = sequence, .payload = protocol::as_bytes(bytes)};
        protocol::CapturedEnds ends{
            .client = {.address = {}, .v6 = true, .port = 7}, .server = {}, .from_client = from_client};
        ends.client.address[0] = 0x20;
        const bool taken = records.take(tcp, ++time, ends, facts);
        if (from_client) sequence += static_cast<std::uint32_t>(bytes.size());
        return taken;
    }

    HandshakeRecords records;
    std::uint32_t sequence = 1;
    std::uint64_t time = 0;
};

SessionFacts of(const std::string& session) {
    SessionFacts facts;
    facts.session = session;
    facts.records = true;
    return facts;
}

}  // namespace

TEST_CASE("all packets behind the first one of a conversation of records are of it, also where only that one says so") {
    Packets packets;
    SessionFacts clear;
    clear.session = "a";
    CHECK_FALSE(packets.say("x", clear));
    CHECK(packets.say(hello(29).substr(0, 20), of("a")));
    CHECK(packets.say("answer", {}, false));
    CHECK_FALSE(packets.records.offer_of("a").has_value());
    CHECK(packets.say(hello(29).substr(20)));
    REQUIRE(packets.records.offer_of("a").has_value());
    CHECK(packets.records.offer_of("a")->groups == std::vector<std::uint16_t>{29});
    CHECK_FALSE(packets.records.offer_of("b").has_value());
}

TEST_CASE("a port that is used again is another session, and bytes that are missing end the search") {
    Packets packets;
    CHECK(packets.say(hello(29), of("a")));
    CHECK(packets.say(hello(23), of("b")));
    CHECK(packets.records.offer_of("a")->groups == std::vector<std::uint16_t>{29});
    CHECK(packets.records.offer_of("b")->groups == std::vector<std::uint16_t>{23});
    CHECK(packets.say(hello(23).substr(0, 20), of("c")));
    packets.sequence += 5;
    CHECK(packets.say(hello(23).substr(20)));
    CHECK_FALSE(packets.records.offer_of("c").has_value());
}
