#include "protocol/tcp_conversation.hpp"

#include "protocol/tcp_packet.hpp"
#include "support/catch.hpp"
#include "support/words.hpp"

namespace {

using namespace protocol;
using support::unwords;
using support::words;
using Sender = TcpConversation::Sender;

struct Sent {
    Sender from;
    std::string bytes;
};
struct Collected {
    std::vector<Sent> sent;

    TcpConversation::Sink sink() {
        return [this](Sender from, Bytes packet) { sent.push_back({from, std::string(as_text(packet))}); };
    }
    TcpPacket decoded(std::size_t i) const {
        const auto packet = decode_tcp_packet(as_bytes(sent.at(i).bytes));
        REQUIRE(packet);
        return *packet;
    }
};

const Endpoint client_v4 = endpoint("10.0.0.1", 0x1234);
const Endpoint server_v4 = endpoint("192.0.2.7", 5432);

}  // namespace

TEST_CASE("an IPv4 conversation opens with SYN, SYN and ACK, ACK") {
    Collected got;
    TcpConversation(client_v4, server_v4).open(got.sink());
    REQUIRE(got.sent.size() == 3);
    CHECK(got.sent[0].from == Sender::client);
    CHECK(words(as_bytes(got.sent[0].bytes)) ==
          "4500002c 00004000 40060000"   // 44 bytes, not to be fragmented, TTL 64, TCP, no checksum
          " 0a000001 c0000207 12341538"  // from, to, ports
          " 00000000 00000000 6002ffff"  // sequence 0; a header of 24 bytes, SYN, window
          " 00000000 0103030e");         // no checksum; window scale 14
    CHECK(got.sent[1].from == Sender::server);
    CHECK(words(as_bytes(got.sent[1].bytes)) ==
          "4500002c 00004000 40060000 c0000207 0a000001 15381234"
          " 00000000 00000001 6012ffff 00000000 0103030e");
    CHECK(got.sent[2].from == Sender::client);
    CHECK(words(as_bytes(got.sent[2].bytes)) ==
          "45000028 00004000 40060000 0a000001 c0000207 12341538"
          " 00000001 00000001 5010ffff 00000000");
}

TEST_CASE("data of both sides is counted and acknowledged") {
    Collected got;
    TcpConversation conversation(client_v4, server_v4);
    conversation.open(got.sink());
    got.sent.clear();
    conversation.data(Sender::client, as_bytes("hello"), got.sink());
    conversation.data(Sender::server, as_bytes("abc"), got.sink());
    conversation.data(Sender::client, {}, got.sink());
    REQUIRE(got.sent.size() == 2);
    CHECK(words(as_bytes(got.sent[0].bytes)) ==
          "4500002d 00004000 40060000 0a000001 c0000207 12341538"
          " 00000001 00000001 5018ffff 00000000 68656c6c 6f");
    CHECK(words(as_bytes(got.sent[1].bytes)) ==
          "4500002b 00004000 40060000 c0000207 0a000001 15381234"
          " 00000001 00000006 5018ffff 00000000 616263");
}

TEST_CASE("an IPv6 conversation has IPv6 headers") {
    Collected got;
    TcpConversation conversation(endpoint("2001:db8::1", 0x1234), endpoint("2001:db8::2", 5432));
    conversation.data(Sender::server, as_bytes("abc"), got.sink());
    REQUIRE(got.sent.size() == 1);
    CHECK(words(as_bytes(got.sent[0].bytes)) ==
          "60000000 00170640"  // 23 bytes of TCP, 64 hops
          " 20010db8 00000000 00000000 00000002"
          " 20010db8 00000000 00000000 00000001"
          " 15381234 00000001 00000001 5018ffff 00000000 616263");
}

TEST_CASE("of two families, the IPv4 address is written as an IPv6 one") {
    const std::string mapped = "00000000 00000000 0000ffff 0a000001";
    const std::string other = "20010db8 00000000 00000000 00000002";
    Collected got;
    TcpConversation(client_v4, endpoint("2001:db8::2", 5432)).data(Sender::client, as_bytes("x"), got.sink());
    TcpConversation(endpoint("2001:db8::2", 5432), client_v4).data(Sender::client, as_bytes("x"), got.sink());
    const auto addresses = [&](std::size_t i) { return words(as_bytes(got.sent.at(i).bytes).subspan(8, 32)); };
    CHECK(addresses(0) == mapped + ' ' + other);
    CHECK(addresses(1) == other + ' ' + mapped);
}

TEST_CASE("200,000 bytes are cut, and nothing of them is lost or said twice") {
    std::string all(200'000, 0);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<char>(i * 7 + i / 251);
    Collected got;
    TcpConversation conversation(client_v4, server_v4);
    conversation.data(Sender::server, as_bytes(all), got.sink());
    REQUIRE(got.sent.size() == 4);
    std::string together;
    for (std::size_t i = 0; i < 4; ++i) {
        const TcpPacket packet = got.decoded(i);
        CHECK(packet.sequence == 1 + together.size());
        CHECK(packet.payload.size() == (i < 3 ? 60'000 : 20'000));
        CHECK(packet.flags == (i < 3 ? tcp_flag::ack : tcp_flag::ack | tcp_flag::psh));
        together += as_text(packet.payload);
    }
    CHECK(together == all);
    conversation.data(Sender::client, as_bytes("x"), got.sink());
    CHECK(got.decoded(4).acknowledged == 200'001);
}

TEST_CASE("60,000 bytes are one packet, and one more is another") {
    Collected got;
    TcpConversation conversation(endpoint("::1", 1), endpoint("::2", 2));
    conversation.data(Sender::client, as_bytes(std::string(60'000, 'x')), got.sink());
    CHECK(got.sent.size() == 1);
    conversation.data(Sender::client, as_bytes(std::string(60'001, 'x')), got.sink());
    CHECK(got.sent.size() == 3);
    CHECK(got.sent[0].bytes.size() == 60'060);
    CHECK(got.decoded(0).payload.size() == 60'000);
}

TEST_CASE("what is skipped is missing from the sequence") {
    Collected got;
    TcpConversation conversation(client_v4, server_v4);
    conversation.data(Sender::client, as_bytes("abc"), got.sink());
    conversation.skip(Sender::client, 1000);
    conversation.data(Sender::client, as_bytes("d"), got.sink());
    conversation.data(Sender::server, as_bytes("e"), got.sink());
    CHECK(got.decoded(0).sequence == 1);
    CHECK(got.decoded(1).sequence == 1004);
    CHECK(got.decoded(2).sequence == 1);
    CHECK(got.decoded(2).acknowledged == 1005);
}

TEST_CASE("sequence numbers go round behind 2^32") {
    Collected got;
    TcpConversation conversation(client_v4, server_v4);
    conversation.skip(Sender::client, 0xffff'fffd);  // the next byte is number 2^32 - 2
    conversation.data(Sender::client, as_bytes("abc"), got.sink());
    conversation.data(Sender::client, as_bytes("d"), got.sink());
    conversation.data(Sender::server, as_bytes("e"), got.sink());
    CHECK(got.decoded(0).sequence == 0xffff'fffe);
    CHECK(got.decoded(1).sequence == 1);
    CHECK(got.decoded(2).acknowledged == 2);
    conversation.skip(Sender::server, std::size_t{5} << 32);
    conversation.data(Sender::server, as_bytes("f"), got.sink());
    CHECK(got.decoded(3).sequence == 2);
}

TEST_CASE("a FIN takes a number, a RST none") {
    Collected got;
    TcpConversation conversation(client_v4, server_v4);
    conversation.data(Sender::client, as_bytes("abc"), got.sink());
    conversation.close(Sender::client, false, got.sink());
    conversation.close(Sender::server, false, got.sink());
    CHECK(words(as_bytes(got.sent.at(1).bytes)) ==
          "45000028 00004000 40060000 0a000001 c0000207 12341538"
          " 00000004 00000001 5011ffff 00000000");
    CHECK(words(as_bytes(got.sent.at(2).bytes)) ==
          "45000028 00004000 40060000 c0000207 0a000001 15381234"
          " 00000001 00000005 5011ffff 00000000");

    TcpConversation other(client_v4, server_v4);
    other.close(Sender::server, true, got.sink());
    other.data(Sender::client, as_bytes("x"), got.sink());
    CHECK(got.sent.at(3).from == Sender::server);
    CHECK(words(as_bytes(got.sent.at(3).bytes)) ==
          "45000028 00004000 40060000 c0000207 0a000001 15381234"
          " 00000001 00000001 5014ffff 00000000");
    CHECK(got.decoded(4).acknowledged == 1);
}

TEST_CASE("a packet is read back: who, to whom, which bytes") {
    for (const auto& [client, server] :
         {std::pair(client_v4, server_v4), {endpoint("::1", 7), endpoint("2001:db8::2", 65'535)}}) {
        Collected got;
        TcpConversation conversation(client, server);
        conversation.open(got.sink());
        conversation.data(Sender::server, as_bytes("abc"), got.sink());
        const TcpPacket syn = got.decoded(0);
        CHECK(syn.flags == tcp_flag::syn);
        CHECK(syn.from == client);
        CHECK(syn.to == server);
        CHECK(syn.payload.empty());  // options are none
        const TcpPacket packet = got.decoded(3);
        CHECK(packet.from == server);
        CHECK(packet.to == client);
        CHECK(packet.sequence == 1);
        CHECK(packet.acknowledged == 1);
        CHECK(as_text(packet.payload) == "abc");
        CHECK(packet.size == 3);
    }
}

TEST_CASE("a packet that the capture cut says how much is missing, and what follows it is not its own") {
    Collected got;
    TcpConversation(client_v4, server_v4).data(Sender::client, as_bytes("hello"), got.sink());
    const std::string& whole = got.sent.at(0).bytes;
    for (std::size_t size = 0; size < 40; ++size) CHECK_FALSE(decode_tcp_packet(as_bytes(whole.substr(0, size))));
    for (std::size_t size = 40; size < whole.size(); ++size) {
        const auto packet = decode_tcp_packet(as_bytes(std::string_view(whole).substr(0, size)));
        REQUIRE(packet);
        CHECK(packet->payload.size() == size - 40);
        CHECK(packet->size == 5);
    }
    const std::string padded = whole + "trailer";
    CHECK(as_text(decode_tcp_packet(as_bytes(padded))->payload) == "hello");
}

TEST_CASE("what is no TCP, or broken, is no packet") {
    const auto decodes = [](const std::string& text) {
        const std::string bytes = unwords(text);
        return decode_tcp_packet(as_bytes(bytes)).has_value();
    };
    const std::string tcp = " 12341538 00000001 00000001 5018ffff 00000000";
    const std::string to = " 0a000001 c0000207";
    CHECK(decodes("45000028 00004000 40060000" + to + tcp));
    CHECK(decodes("46000030 00000000 40060000" + to + " 01010101" + tcp + " 616263 64"));  // IP options
    CHECK_FALSE(decodes("45000028 00004000 40110000" + to + tcp));                         // UDP
    CHECK_FALSE(decodes("45000028 00002000 40060000" + to + tcp));                         // more fragments follow
    CHECK_FALSE(decodes("45000028 00000001 40060000" + to + tcp));                         // a later fragment
    CHECK_FALSE(decodes("44000028 00004000 40060000" + to + tcp));                         // a header of 16 bytes
    CHECK_FALSE(decodes("4f000028 00004000 40060000" + to + tcp));                         // a header of 60, in 40
    CHECK_FALSE(decodes("45000013 00004000 40060000" + to + tcp));                         // shorter than its header
    CHECK_FALSE(decodes("45000027 00004000 40060000" + to + tcp));                         // no room for a TCP header
    CHECK_FALSE(decodes("55000028 00004000 40060000" + to + tcp));                         // version 5
    const std::string bad_header = " 12341538 00000001 00000001 4018ffff 00000000";        // a TCP header of 16 bytes
    CHECK_FALSE(decodes("45000028 00004000 40060000" + to + bad_header));
    const std::string long_header = " 12341538 00000001 00000001 6018ffff 00000000";  // one of 24, in 20
    CHECK_FALSE(decodes("45000028 00004000 40060000" + to + long_header));
    const std::string v6_to = " 20010db8 00000000 00000000 00000002 20010db8 00000000 00000000 00000001";
    CHECK(decodes("60000000 00140640" + v6_to + tcp));
    CHECK_FALSE(decodes("60000000 00140040" + v6_to + tcp));  // hop-by-hop options
    CHECK_FALSE(decodes("60000000 00130640" + v6_to + tcp));  // no room for a TCP header
    CHECK_FALSE(decodes(""));
}
