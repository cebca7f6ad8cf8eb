// Which packets of a conversation a file takes, and what it says of them.
#include "proxy/capture/capture_flows.hpp"

#include "protocol/captured_absence.hpp"
#include "protocol/tcp_conversation.hpp"
#include "protocol/tcp_packet.hpp"
#include "proxy/capture/capture.hpp"
#include "support/catch.hpp"

namespace {

using protocol::Absence;
using protocol::TcpConversation;
using proxy::CaptureFlows;
using proxy::CapturePacket;
using Sender = TcpConversation::Sender;
using Texts = std::vector<std::string>;

/// A conversation whose packets are put into flows, or lost before they come there.
struct Flow {
    explicit Flow(CaptureFlows& into, std::uint64_t number = 1,
                  const std::string& whose_it_is = "session=s-1 leg=client")
        : flows(into), conversation(number), whose(std::make_shared<const std::string>(whose_it_is)) {}

    TcpConversation::Sink sink(std::size_t of_before = 0, bool lost = false) {
        return [this, of_before, lost](Sender from, protocol::Bytes bytes) {
            if (lost) return;
            packet = {.bytes = {bytes.begin(), bytes.end()},
                      .place = {.conversation = conversation,
                                .from_client = from == Sender::client,
                                .of_before = of_before,
                                .whose = whose}};
            packet.comment = std::exchange(comment, {});
            entries.push_back(flows.enter(packet));
        };
    }
    Flow& open() {
        tcp.open(sink());
        return *this;
    }
    Flow& say(Sender from, std::string_view bytes, std::size_t of_before = 0, bool lost = false) {
        tcp.data(from, protocol::as_bytes(bytes), sink(of_before, lost));
        return *this;
    }
    const CaptureFlows::Entry& last() const { return entries.back(); }
    std::string payload() const {
        return std::string(protocol::as_text(protocol::decode_tcp_packet(packet.bytes)->payload));
    }

    CaptureFlows& flows;
    TcpConversation tcp{protocol::endpoint("10.0.0.7", 40'000), protocol::endpoint("10.0.0.1", 5432)};
    std::uint64_t conversation;
    std::shared_ptr<const std::string> whose;
    std::string comment;   // of the next packet
    CapturePacket packet;  // the last one
    std::vector<CaptureFlows::Entry> entries;
};

const std::string cut(sentence(Absence::message_begun));

}  // namespace

TEST_CASE("capture flows: who it is stands at a conversation's first packet of each file, and nowhere else") {
    CaptureFlows flows;
    Flow flow(flows);
    flow.open().say(Sender::client, "one");
    REQUIRE(flow.entries.size() == 4);
    CHECK(flow.entries[0].comments == Texts{*flow.whose});
    for (std::size_t i = 1; i < 4; ++i) CHECK(flow.entries[i].comments.empty());
    flows.begin_file();
    flow.say(Sender::server, "two").say(Sender::client, "three");
    CHECK(flow.entries[4].comments == Texts{*flow.whose});
    CHECK(flow.entries[5].comments.empty());
}

TEST_CASE("capture flows: a packet's own comment comes behind") {
    CaptureFlows flows;
    Flow flow(flows);
    flow.comment = "alert unknown_ca (48)";
    flow.open();
    CHECK(flow.entries[0].comments == Texts{*flow.whose, "alert unknown_ca (48)"});
}

TEST_CASE("capture flows: the rest of a message goes on in its file, and is left out of the next one") {
    CaptureFlows flows;
    Flow flow(flows);
    flow.open().say(Sender::server, "begins").say(Sender::server, "rest|next", 5);
    CHECK(flow.payload() == "rest|next");
    CHECK(flow.last().comments.empty());
    flow.say(Sender::server, "begins again");
    flows.begin_file();
    flow.say(Sender::server, "rest|next", 5);
    CHECK(flow.payload() == "next");
    CHECK(flow.last().comments == Texts{*flow.whose, cut});
    flow.say(Sender::server, "last", 4);  // of "next"
    CHECK(flow.payload() == "last");
    CHECK(flow.last().comments.empty());
}

TEST_CASE(
    "capture flows: a packet within a message that began in the file before is left out whole, and nobody knows it "
    "yet") {
    CaptureFlows flows;
    Flow flow(flows);
    flow.open().say(Sender::server, "begins");
    flows.begin_file();
    flow.say(Sender::server, "goes on", 7);
    CHECK(flow.last().left_out);
    CHECK(flow.last().comments.empty());
    flow.say(Sender::server, "end|next", 4);
    CHECK_FALSE(flow.last().left_out);
    CHECK(flow.payload() == "next");
    CHECK(flow.last().comments == Texts{*flow.whose, cut});
}

TEST_CASE("capture flows: what was left out whole is told at the next packet, although that begins with a message") {
    CaptureFlows flows;
    Flow flow(flows);
    flow.open().say(Sender::server, "begins");
    flows.begin_file();
    flow.say(Sender::server, "its end", 7).say(Sender::client, "asks").say(Sender::server, "next");
    CHECK(flow.payload() == "next");
    CHECK(flow.last().comments == Texts{cut});
    flow.say(Sender::server, "last");
    CHECK(flow.last().comments.empty());
}

TEST_CASE("capture flows: behind a gap the rest of a message is left out, of that direction alone") {
    CaptureFlows flows;
    Flow flow(flows);
    flow.open().say(Sender::server, "begins");
    flow.say(Sender::server, "dropped", 7, true);
    flow.say(Sender::client, "rest", 4);  // the client's began in this file
    CHECK_FALSE(flow.last().left_out);
    flow.say(Sender::server, "end|next", 4);
    CHECK(flow.payload() == "next");
    CHECK(flow.last().comments == Texts{cut});
}

TEST_CASE("capture flows: TLS records that go on in another file are said to, and those of a handshake there are not") {
    CaptureFlows flows;
    Flow flow(flows, 1, "session=s-1 leg=client content=tls-records");
    flow.open();
    CHECK(flow.entries[0].comments == Texts{*flow.whose});
    flow.say(Sender::client, "record");
    flows.begin_file();
    flow.say(Sender::client, "record").say(Sender::server, "record");
    CHECK(flow.entries[4].comments == Texts{*flow.whose, std::string(sentence(Absence::records_go_on))});
    CHECK(flow.last().comments.empty());
}

TEST_CASE("capture flows: what is over is forgotten, and a number that comes again begins anew") {
    for (const bool reset : {false, true}) {
        CaptureFlows flows;
        Flow flow(flows);
        flow.open();
        flow.tcp.close(Sender::client, reset, flow.sink());
        if (!reset) {
            flow.say(Sender::server, "still there");
            CHECK(flow.last().comments.empty());
            flow.tcp.close(Sender::server, false, flow.sink());
        }
        flow.say(Sender::server, "anew");
        CHECK(flow.last().comments == Texts{*flow.whose});
    }
}

TEST_CASE(
    "capture flows: beyond the bound those that are known begin anew, and nothing false is said of their records") {
    CaptureFlows flows;
    Flow first(flows, 1, "session=s-1 leg=client content=tls-records");
    first.open();
    const protocol::Buffer syn = first.packet.bytes;
    for (std::uint64_t i = 2; i < CaptureFlows::max_conversations + 2; ++i) {
        CapturePacket packet{.bytes = syn, .place = {.conversation = i}};
        flows.enter(packet);
    }
    first.say(Sender::client, "record");
    CHECK(first.last().comments == Texts{*first.whose});
}

TEST_CASE("capture flows: what is of no conversation, or no TCP, passes as it is") {
    CaptureFlows flows;
    for (const std::uint64_t conversation : {0, 1}) {
        CapturePacket packet{.bytes = protocol::Buffer(40, 'x'), .comment = "a comment"};
        packet.place.conversation = conversation;
        packet.place.of_before = 40;
        const auto entry = flows.enter(packet);
        CHECK_FALSE(entry.left_out);
        CHECK(entry.comments == Texts{"a comment"});
        CHECK(packet.bytes.size() == 40);
    }
}
