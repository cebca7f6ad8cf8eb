// A session in a capture: what is held back, what is written, and what is in no file.
#include <boost/json.hpp>
#include <map>

#include "protocol/startup.hpp"
#include "proxy/capture/capture_comment.hpp"
#include "proxy/capture/capture_entry.hpp"
#include "proxy/capture/session_capture.hpp"
#include "support/capture_file.hpp"
#include "support/catch.hpp"
#include "support/messages.hpp"

namespace {

using namespace std::chrono_literals;
using protocol::as_bytes;
using proxy::Capture;
using proxy::CaptureEnd;
using proxy::CaptureOrder;
using proxy::Event;
using proxy::EventKind;
using proxy::HeldMemory;
using proxy::LegEnds;
using proxy::SessionCapture;
using proxy::SessionRecord;
using support::Folder;
using support::only;
using tls::Leg;
using Sender = SessionCapture::Sender;
using Packets = std::vector<protocol::pcapng::PacketBlock>;

const LegEnds client_ends{.client = protocol::endpoint("10.1.1.1", 40'000),
                          .server = protocol::endpoint("10.1.1.2", 5432),
                          .to = "10.1.1.2:6432"};
const LegEnds server_ends{.client = protocol::endpoint("10.1.1.2", 41'000),
                          .server = protocol::endpoint("10.2.2.2", 5432),
                          .to = "10.2.2.2:5433"};

std::string ssl_request() { return std::string("\0\0\0\x08\x04\xd2\x16\x2f", 8); }

std::string startup_message(const std::string& user) {
    const std::string body = std::string("\0\3\0\0user\0", 9) + user + std::string("\0\0", 2);
    return std::string("\0\0\0", 3) + static_cast<char>(body.size() + 4) + body;
}

std::string message(char type, const std::string& body) {
    std::string out{type, '\0', '\0', static_cast<char>((body.size() + 4) >> 8), static_cast<char>(body.size() + 4)};
    return out + body;
}

std::string record(char type, const std::string& body) {
    return std::string{type, '\3', '\3', '\0', static_cast<char>(body.size())} + body;
}

const std::string authentication_ok("R\0\0\0\x08\0\0\0\0", 9);
const std::string ready("Z\0\0\0\5I", 6);

/// A session and the capture that it may be in.
struct Tapped {
    explicit Tapped(CaptureOrder order = {}, bool from_start = true) {
        order.by = "test";
        capture = std::make_shared<Capture>(1, std::move(order),
                                            proxy::CaptureFiles::Settings{.dir = folder.file("captures"),
                                                                          .file = {},
                                                                          .max_file_size = 1 << 26,
                                                                          .max_total_size = 1 << 27,
                                                                          .min_free_space = 0,
                                                                          .max_file_age = 1h});
        facts.session = "s-1";
        facts.listener = "legacy";
        facts.upstream = "orders";
        one = std::make_unique<SessionCapture>(
            capture, SessionCapture::Session{.record = facts, .number = 1, .memory = memory}, from_start);
    }

    void client_says(const std::string& bytes) { one->said(Leg::client, Sender::client, as_bytes(bytes), {}); }
    void client_hears(const std::string& bytes) { one->said(Leg::client, Sender::server, as_bytes(bytes), {}); }
    void client_record(const std::string& bytes) { one->records(Leg::client, Sender::client, as_bytes(bytes), {}); }
    void our_record(const std::string& bytes) { one->records(Leg::client, Sender::server, as_bytes(bytes), {}); }
    void name(const std::string& user) {
        facts.usename = user;
        one->named();
    }
    void settle(EventKind kind, const std::string& text = {}, int alert = -1) {
        Event event{.kind = kind, .message = text};
        event.alert = alert;
        one->settled(event);
    }

    /// What is in the file, once the session and the capture are over.
    Packets written() {
        one.reset();
        capture->end(CaptureEnd::stopped);
        std::string why;
        capture->run(why);
        const auto blocks = support::blocks_of(support::content(capture->status().file));
        for (const auto& entry : only<protocol::pcapng::JournalBlock>(blocks)) {
            const std::string event(entry.value("PGAIRLOCK_EVENT"));
            const auto line = boost::json::parse(entry.value("MESSAGE")).as_object();
            const auto* reason = line.if_contains("reason");
            if (event == "capture_absence" && reason)
                absences.push_back(std::string(entry.value("PGAIRLOCK_SESSION")) + " " +
                                   std::string(reason->as_string()));
            if (event == "capture_absence" && !reason) totals = boost::json::serialize(line);
            if (event != "capture_absence") events.push_back(event);
        }
        return only<protocol::pcapng::PacketBlock>(blocks);
    }
    /// As a session does: what it was, and then its line in the file.
    void record(EventKind kind) {
        const Event event{.kind = kind, .record = facts, .message = "why"};
        one->settled(event);
        one->journal(proxy::event_entry(event, ""));
    }

    std::vector<std::string> absences;  // in the file, as "session label"
    std::vector<std::string> events;
    std::string totals;  // at the end of the file

    const Folder folder;
    HeldMemory memory;
    SessionRecord facts;
    std::shared_ptr<Capture> capture;
    std::unique_ptr<SessionCapture> one;
};

CaptureOrder order_for(const std::string& user) {
    CaptureOrder order;
    order.filter.users = {user};
    return order;
}

bool has_records(const Packets& packets) {
    return std::any_of(packets.begin(), packets.end(), [](const auto& packet) {
        return !packet.comments.empty() && packet.comments[0].find("content=tls-records") != std::string::npos;
    });
}

}  // namespace

TEST_CASE(
    "captured session: an opening in clear is written once its login is over, with who it is on its first packet") {
    Tapped tapped;
    tapped.one->opened(Leg::client, client_ends, false);
    tapped.client_says(startup_message("alice"));
    tapped.name("alice");
    tapped.client_hears(authentication_ok + ready);
    CHECK(tapped.capture->status().sessions == 0);
    tapped.settle(EventKind::connected);
    CHECK(tapped.capture->status().sessions == 1);
    const Packets packets = tapped.written();
    REQUIRE(packets.size() == 5);  // SYN, SYN and ACK, ACK, and what was said
    REQUIRE(packets[0].comments.size() == 1);
    CHECK(packets[0].comments[0].starts_with("session=s-1 user=alice ssl=false sslmode="));
    CHECK(packets[0].comments[0].find(" leg=client to=10.1.1.2:6432") != std::string::npos);
    CHECK(packets[0].direction == protocol::pcapng::Direction::inbound);
    CHECK(packets[4].direction == protocol::pcapng::Direction::outbound);
    CHECK(support::payloads(packets) == startup_message("alice") + authentication_ok + ready);
    CHECK(tapped.memory.take(HeldMemory::max_bytes));  // all of it is given back
}

TEST_CASE("captured session: SSLRequest and its answer belong to the records, not to what is said inside TLS") {
    for (const bool fails : {false, true}) {
        Tapped tapped;
        tapped.one->opened(Leg::client, client_ends, false);
        tapped.client_says(ssl_request());
        tapped.client_hears("S");
        tapped.client_record(record(22, "\1hello"));
        tapped.our_record(record(22, "\1hello too"));
        if (fails) {
            tapped.client_record(record(21, "\2\x30"));
            tapped.settle(EventKind::tls_failed, "alert unknown_ca (48)", 48);
            const Packets packets = tapped.written();
            CHECK(has_records(packets));
            CHECK(support::payloads(packets) ==
                  ssl_request() + "S" + record(22, "\1hello") + record(22, "\1hello too") + record(21, "\2\x30"));
            CHECK(packets.back().comments ==
                  std::vector<std::string>{"tls_failed: alert unknown_ca (48): the client does not trust the CA of "
                                           "the certificate that it was shown"});
            const auto first = protocol::decode_tcp_packet(packets[0].bytes);
            REQUIRE(first);
            CHECK(first->from.v6);  // an IPv4 session's: no other conversation has these addresses
            CHECK(first->to.port == 5432);
        } else {
            tapped.client_says(startup_message("alice"));
            tapped.name("alice");
            tapped.settle(EventKind::connected);
            const Packets packets = tapped.written();
            CHECK_FALSE(has_records(packets));
            CHECK(support::payloads(packets) == startup_message("alice"));
        }
    }
}

TEST_CASE("captured session: a declined SSLRequest stays in what is said in clear") {
    Tapped tapped;
    tapped.one->opened(Leg::client, client_ends, false);
    tapped.client_says(ssl_request());
    tapped.client_hears("N");
    tapped.client_says(startup_message("alice"));
    tapped.name("alice");
    tapped.settle(EventKind::connected);
    CHECK(support::payloads(tapped.written()) == ssl_request() + "N" + startup_message("alice"));
}

TEST_CASE("captured session: what is said in clear where TLS has to be is in no file") {
    Tapped tapped;
    tapped.one->opened(Leg::client, client_ends, false);
    tapped.client_says(ssl_request());
    tapped.client_hears("S");
    tapped.client_record(message('p', std::string("planted-password\0", 17)));
    tapped.settle(EventKind::tls_failed, "wrong version number");
    CHECK(support::payloads(tapped.written()).find("planted") == std::string::npos);
}

TEST_CASE("captured session: with failures alone, one that succeeds is left out, and one that fails has its records") {
    for (const bool fails : {false, true}) {
        CaptureOrder order;
        order.failures_only = true;
        Tapped tapped(order);
        tapped.one->opened(Leg::client, client_ends, false);
        tapped.client_says(ssl_request());
        tapped.client_hears("S");
        tapped.client_record(record(22, "\1hello"));
        tapped.client_says(startup_message("alice"));
        tapped.name("alice");
        tapped.settle(fails ? EventKind::auth_failed : EventKind::connected, "no");
        if (!fails) CHECK(tapped.one->is_over());
        const Packets packets = tapped.written();
        CHECK(packets.empty() == !fails);
        CHECK(has_records(packets) == fails);
        CHECK(tapped.memory.take(HeldMemory::max_bytes));
    }
}

TEST_CASE("captured session: another user's is forgotten as soon as the name is known") {
    Tapped tapped(order_for("bob"));
    tapped.one->opened(Leg::client, client_ends, false);
    tapped.client_says(startup_message("alice"));
    CHECK_FALSE(tapped.one->is_over());
    tapped.name("alice");
    CHECK(tapped.one->is_over());
    CHECK(tapped.memory.take(HeldMemory::max_bytes));
    CHECK(tapped.written().empty());
    CHECK(tapped.capture->left_out() == 0);
}

TEST_CASE("captured session: one that says too much before it is known is left out, counted, and named in the file") {
    for (const bool fails : {true, false}) {
        CaptureOrder order;
        order.failures_only = true;
        Tapped tapped(order);
        tapped.one->opened(Leg::client, client_ends, false);
        tapped.name("alice");
        tapped.client_says(startup_message("alice"));
        const std::string much = message('N', std::string(40'000, '\0'));
        for (int i = 0; i < 10; ++i) tapped.client_hears(much);
        CHECK(tapped.memory.take(HeldMemory::max_bytes));
        tapped.memory.give_back(HeldMemory::max_bytes);
        CHECK(tapped.capture->left_out() == 0);  // nobody knows so far whether it is to be there
        tapped.record(fails ? EventKind::auth_failed : EventKind::connected);
        CHECK(tapped.one->is_over() == !fails);
        CHECK(tapped.capture->left_out() == (fails ? 1 : 0));
        CHECK(tapped.written().empty());
        using Texts = std::vector<std::string>;
        CHECK(tapped.absences == (fails ? Texts{"s-1 opening_too_large"} : Texts{}));
        CHECK(tapped.events == (fails ? Texts{"auth_failed"} : Texts{}));
        CHECK(tapped.totals.empty() == !fails);
        if (fails)
            CHECK(tapped.totals ==
                  R"({"event":"capture_absence","capture":1,"left_out":1,"not_entered":0,"entries_dropped":0})");
    }
}

TEST_CASE("captured session: an opening of many tiny pieces is left out and named as a large one is") {
    Tapped tapped(order_for("alice"));
    tapped.one->opened(Leg::client, client_ends, false);
    tapped.client_record(record(22, "\1hello"));
    for (int i = 0; i < 3000; ++i) tapped.client_record(std::string(1, '\1'));
    CHECK(tapped.capture->left_out() == 0);
    tapped.facts.usename = "alice";
    tapped.one->named();
    tapped.record(EventKind::connected);
    tapped.record(EventKind::disconnected);
    CHECK(tapped.capture->left_out() == 1);
    CHECK(tapped.written().empty());
    CHECK(tapped.absences == std::vector<std::string>{"s-1 opening_too_large"});
    CHECK(tapped.events == std::vector<std::string>{"connected", "disconnected"});
}

TEST_CASE("captured session: one that says too much and is another user's is not missing") {
    Tapped tapped(order_for("bob"));
    tapped.one->opened(Leg::client, client_ends, false);
    tapped.client_record(record(22, "\1hello"));
    for (int i = 0; i < 3000; ++i) tapped.client_record(std::string(1, '\1'));
    tapped.name("alice");
    CHECK(tapped.one->is_over());
    CHECK(tapped.capture->left_out() == 0);
    tapped.written();
    CHECK(tapped.absences.empty());
}

TEST_CASE("captured session: without memory it is left out from there on, and the file says so") {
    Tapped tapped;
    tapped.one->opened(Leg::client, client_ends, false);
    tapped.client_says(startup_message("alice"));
    tapped.name("alice");
    tapped.settle(EventKind::connected);
    tapped.one->leave(protocol::Absence::no_memory);
    tapped.client_hears(ready);
    CHECK(tapped.capture->left_out() == 1);
    CHECK(support::payloads(tapped.written()) == startup_message("alice"));
    CHECK(tapped.absences == std::vector<std::string>{"s-1 no_memory"});
}

TEST_CASE("captured session: one that cannot enter is counted and named until it does") {
    for (const bool enters : {false, true}) {
        Tapped tapped({}, false);
        tapped.facts.usename = "alice";
        tapped.one->wait();
        tapped.one->wait();
        CHECK(tapped.capture->sessions_not_entered == 1);
        CHECK(tapped.one->is_waiting());
        if (enters) tapped.one->enter({client_ends, server_ends}, {});
        CHECK(tapped.capture->sessions_not_entered == (enters ? 0 : 1));
        tapped.record(EventKind::disconnected);
        CHECK(tapped.written().empty() == !enters);
        CHECK(tapped.absences == std::vector<std::string>{"s-1 not_entered"});
        CHECK(tapped.events == std::vector<std::string>{"disconnected"});
        CHECK(tapped.totals.empty() == enters);
        CHECK(tapped.capture->sessions_not_entered == (enters ? 0 : 1));
    }
}

TEST_CASE("captured session: one that cannot enter, and is not to, is not missing") {
    CaptureOrder failures;
    failures.failures_only = true;
    for (const CaptureOrder& order : {failures, order_for("bob")}) {
        Tapped tapped(order, false);
        tapped.facts.usename = "alice";
        tapped.one->wait();
        CHECK(tapped.one->is_over());
        CHECK(tapped.capture->sessions_not_entered == 0);
        tapped.written();
        CHECK(tapped.absences.empty());
    }
}

TEST_CASE("captured session: a login that had begun before and failed is in the file as its event alone") {
    CaptureOrder failures;
    failures.failures_only = true;
    for (const EventKind how : {EventKind::auth_failed, EventKind::tls_failed, EventKind::upstream_failed}) {
        Tapped tapped(failures, false);
        tapped.record(how);
        CHECK(tapped.capture->sessions_not_entered == 1);
        CHECK(tapped.written().empty());
        CHECK(tapped.absences == std::vector<std::string>{"s-1 login_begun_before"});
        CHECK(tapped.events == std::vector<std::string>{std::string(label(how))});
    }
    Tapped connects({}, false);
    connects.record(EventKind::connected);
    CHECK(connects.one->is_waiting());
    CHECK(connects.capture->sessions_not_entered == 0);
}

TEST_CASE("captured session: a login that has not ended when the capture does is counted and named") {
    enum class Was { held, lost, begun_before };
    for (const Was was : {Was::held, Was::lost, Was::begun_before}) {
        CaptureOrder failures;
        failures.failures_only = was == Was::lost;
        Tapped tapped(failures, was != Was::begun_before);
        tapped.one->opened(Leg::client, client_ends, false);
        tapped.client_says(startup_message("alice"));
        tapped.name("alice");
        if (was == Was::lost) tapped.one->leave(protocol::Absence::opening_too_large);
        CHECK(tapped.capture->status().not_entered == 0);  // it may end yet
        tapped.capture->end(CaptureEnd::time);
        CHECK(tapped.capture->status().not_entered == 1);
        tapped.settle(EventKind::connected);  // too late
        CHECK(tapped.one->is_over());
        CHECK(tapped.written().empty());
        CHECK(tapped.absences == std::vector<std::string>{"s-1 login_outlived"});
        CHECK(tapped.totals ==
              R"({"event":"capture_absence","capture":1,"left_out":0,"not_entered":1,"entries_dropped":0})");
        CHECK(tapped.capture->status().not_entered == 1);
        CHECK(tapped.capture->status().sessions == 0);
        CHECK(tapped.memory.take(HeldMemory::max_bytes));
    }
}

TEST_CASE("captured session: a login that has ended, or is not the capture's, does not outlive it") {
    for (const std::string whose : {"alice", "bob"}) {
        for (const bool from_start : {true, false}) {
            Tapped tapped(order_for(whose), from_start);
            tapped.one->opened(Leg::client, client_ends, false);
            tapped.client_says(startup_message("alice"));
            tapped.name("alice");
            tapped.settle(EventKind::connected);
            if (!from_start) tapped.one->enter({client_ends, server_ends}, {});
            tapped.capture->end(CaptureEnd::stopped);
            CHECK(tapped.capture->status().not_entered == 0);
            CHECK(tapped.capture->status().sessions == (whose == "alice" ? 1 : 0));
            tapped.written();
            CHECK(tapped.absences.empty());
            CHECK(tapped.totals.empty());
        }
    }
    Tapped gone;
    gone.one->opened(Leg::client, client_ends, false);
    gone.one.reset();  // before its capture
    gone.capture->end(CaptureEnd::stopped);
    CHECK(gone.capture->status().not_entered == 0);
}

TEST_CASE("captured session: where framing is lost in a login that fails, the file says both") {
    Tapped tapped;
    tapped.one->opened(Leg::client, client_ends, false);
    tapped.client_says(startup_message("alice"));
    tapped.name("alice");
    tapped.client_says("\1garbage garbage garbage");
    tapped.settle(EventKind::rejected, "no such thing");
    std::vector<std::string> last;
    for (const auto& packet : tapped.written()) {
        if (!packet.comments.empty()) last = packet.comments;
    }
    REQUIRE(last.size() == 2);
    CHECK(last[0] == sentence(protocol::Absence::framing_lost));
    CHECK(last[1] == "rejected: no such thing");
}

TEST_CASE("captured session: without room for its keys it is left out once, however many there are") {
    CaptureOrder order;
    order.keylog = true;
    Tapped tapped(order);
    tapped.one->opened(Leg::client, client_ends, true);
    tapped.client_says(startup_message("alice"));
    tapped.name("alice");
    tapped.settle(EventKind::connected);
    CHECK(tapped.capture->write_secrets(99, std::string(Capture::max_secrets, 'x')));
    for (int i = 0; i < 5; ++i) tapped.one->key("CLIENT_RANDOM 00 11");
    CHECK(tapped.capture->left_out() == 1);
    tapped.one->leave(protocol::Absence::no_memory);
    CHECK(tapped.capture->left_out() == 1);
}

TEST_CASE("captured session: a server's connection that was there before is said to be, and no other one") {
    for (const bool ready_before : {false, true}) {
        CaptureOrder order;
        order.failures_only = true;
        Tapped tapped(order);
        tapped.one->opened(Leg::client, client_ends, false);
        tapped.client_says(startup_message("alice"));
        tapped.name("alice");
        tapped.one->opened(Leg::server, server_ends, ready_before);
        tapped.one->said(Leg::server, Sender::client, as_bytes(startup_message("alice")), {});
        tapped.settle(EventKind::auth_failed);
        std::string of_client, of_server;
        for (const auto& packet : tapped.written()) {
            for (const std::string& comment : packet.comments)
                (comment.find(" leg=server") != std::string::npos ? of_server : of_client) += comment + "\n";
        }
        CHECK(of_server.starts_with("session=s-1"));
        CHECK((of_server.find(" prewarmed=true") != std::string::npos) == ready_before);
        CHECK(of_client.find("prewarmed") == std::string::npos);
    }
}

TEST_CASE("captured session: without a question left to answer, one that says too much is written at once") {
    Tapped tapped(order_for("alice"));
    tapped.one->opened(Leg::client, client_ends, false);
    tapped.client_says(startup_message("alice"));
    tapped.name("alice");
    const std::string much = message('N', std::string(40'000, '\0'));
    for (int i = 0; i < 10; ++i) tapped.client_hears(much);
    CHECK_FALSE(tapped.one->is_over());
    CHECK(tapped.capture->status().sessions == 1);
    tapped.settle(EventKind::connected);
    CHECK(tapped.capture->status().sessions == 1);
    CHECK(support::payloads(tapped.written()).size() == startup_message("alice").size() + 10 * much.size());
}

TEST_CASE("captured session: all of them together hold back no more than is allowed") {
    Tapped tapped;
    REQUIRE(tapped.memory.take(HeldMemory::max_bytes - 100));
    tapped.one->opened(Leg::client, client_ends, false);
    tapped.client_record(record(22, "\1hello"));
    tapped.client_record(record(22, "\1more"));
    tapped.settle(EventKind::tls_failed);
    CHECK(tapped.capture->left_out() == 1);
    CHECK(tapped.written().empty());
}

TEST_CASE("captured session: in the relay both legs have the same blanked bytes under the same number") {
    Tapped tapped;
    tapped.one->opened(Leg::client, client_ends, false);
    tapped.client_says(startup_message("alice"));
    tapped.name("alice");
    tapped.one->opened(Leg::server, server_ends, false);
    tapped.one->said(Leg::server, Sender::client, as_bytes(startup_message("alice")), {});
    tapped.one->said(Leg::server, Sender::server, as_bytes(authentication_ok + ready), {});
    tapped.client_hears(authentication_ok + ready);
    tapped.settle(EventKind::connected);
    protocol::Buffer scratch;
    const std::string query = message('Q', std::string("SELECT 'planted'\0", 17));
    tapped.one->came(Leg::client, as_bytes(query), scratch, {});
    tapped.one->passed_on(Leg::server, scratch, {});
    const std::string terminate = message('X', {});
    tapped.one->added(Leg::server, as_bytes(terminate), {});
    const Packets packets = tapped.written();
    std::map<std::uint64_t, std::vector<std::uint32_t>> numbered;
    for (const auto& packet : packets) {
        if (packet.id) numbered[*packet.id].push_back(packet.interface);
    }
    REQUIRE(numbered.size() == 1);
    CHECK(numbered.begin()->second == std::vector<std::uint32_t>{0, 1});
    const std::string all = support::payloads(packets);
    CHECK(all.find("planted") == std::string::npos);
    CHECK(all.find("SELECT '*******'") != all.rfind("SELECT '*******'"));  // twice
    CHECK(all.ends_with(terminate));
}

TEST_CASE("captured session: one that was open before begins where it enters, and says so") {
    Tapped tapped({}, false);
    tapped.facts.usename = "alice";
    CHECK(tapped.one->is_waiting());
    protocol::Buffer scratch;
    tapped.one->came(Leg::client, as_bytes(message('Q', std::string("SELECT 1\0", 9))), scratch, {});
    tapped.one->enter({client_ends, server_ends}, {});
    CHECK_FALSE(tapped.one->is_waiting());
    tapped.one->came(Leg::client, as_bytes(message('Q', std::string("SELECT a\0", 9))), scratch, {});
    const Packets packets = tapped.written();
    CHECK(support::payloads(packets) == message('Q', std::string("SELECT a\0", 9)));
    CHECK(packets[0].comments.at(0).ends_with(" joined=true"));
}

TEST_CASE("captured session: one that was open before has not failed, and may be another user's") {
    CaptureOrder order;
    order.failures_only = true;
    Tapped failures(order, false);
    failures.one->enter({client_ends, server_ends}, {});
    CHECK(failures.one->is_over());
    Tapped other(order_for("bob"), false);
    other.facts.usename = "alice";
    other.one->enter({client_ends, server_ends}, {});
    CHECK(other.one->is_over());
}

TEST_CASE("captured session: keys are written before the records that they open, when they are wanted") {
    for (const bool wanted : {false, true}) {
        CaptureOrder order;
        order.keylog = wanted;
        Tapped tapped(order);
        tapped.one->opened(Leg::client, client_ends, false);
        tapped.client_record(record(22, "\1hello"));
        tapped.one->key("CLIENT_RANDOM 00 11");
        tapped.name("alice");
        tapped.client_says(startup_message("alice"));
        tapped.settle(EventKind::connected);
        tapped.client_record(record(23, "later"));
        tapped.written();
        const auto blocks = support::blocks_of(support::content(tapped.capture->status().file));
        bool keys = false, packets_before = false;
        for (const auto& block : blocks) {
            if (std::holds_alternative<protocol::pcapng::SecretsBlock>(block)) keys = true;
            if (std::holds_alternative<protocol::pcapng::PacketBlock>(block) && !keys) packets_before = true;
        }
        CHECK(keys == wanted);
        if (wanted) CHECK_FALSE(packets_before);
        const auto text = support::content(tapped.capture->status().file);
        CHECK((text.find("later") != std::string::npos) == wanted);
    }
}

TEST_CASE("captured session: conversations end as their streams did, once") {
    Tapped tapped;
    tapped.one->opened(Leg::client, client_ends, false);
    tapped.client_says(startup_message("alice"));
    tapped.name("alice");
    tapped.settle(EventKind::connected);
    tapped.one->ended(Leg::client, Sender::client, false, {});
    tapped.one->ended(Leg::client, Sender::client, false, {});
    tapped.one->ended(Leg::client, Sender::server, true, {});
    tapped.one->ended(Leg::client, Sender::server, false, {});
    const Packets packets = tapped.written();
    REQUIRE(packets.size() == 6);
    const auto flags = [&](std::size_t i) { return protocol::decode_tcp_packet(packets[i].bytes)->flags; };
    CHECK((flags(4) & protocol::tcp_flag::fin) != 0);
    CHECK((flags(5) & protocol::tcp_flag::rst) != 0);
}

TEST_CASE("capture comments: values that are no single word are quoted, and nothing in them ends a line") {
    SessionRecord facts;
    facts.session = "s";
    facts.application_name = "my \"app\"\n=x";
    const std::string comment = opening_comment(facts, {.leg = Leg::client, .to = "unix"});
    CHECK(comment.find("application_name=\"my \\\"app\\\"") != std::string::npos);
    CHECK(comment.find('\n') == std::string::npos);
    CHECK(comment.find("user=") == std::string::npos);
}

TEST_CASE("captured session: below full no comment repeats what the server says, which may quote anything") {
    for (const auto payload : {protocol::Payload::headers, protocol::Payload::redacted, protocol::Payload::full}) {
        CaptureOrder order;
        order.payload = payload;
        Tapped tapped(order);
        tapped.one->opened(Leg::client, client_ends, false);
        tapped.client_says(startup_message("alice"));
        Event denied{
            .kind = EventKind::auth_failed, .reason = proxy::Reason::server_denied, .message = "no \"secret\""};
        denied.sqlstate = "22023";
        tapped.one->settled(denied);
        const bool full = payload == protocol::Payload::full;
        CHECK(proxy::as_captured(denied, payload).message == (full ? denied.message : ""));
        const Packets packets = tapped.written();
        std::string comments;
        for (const auto& packet : packets) {
            for (const std::string& comment : packet.comments) comments += comment + "\n";
        }
        CHECK(comments.find("sqlstate=22023") != std::string::npos);
        CHECK((comments.find("secret") != std::string::npos) == full);
    }
    // Words of ours stay.
    const Event left{.kind = EventKind::auth_failed, .reason = proxy::Reason::client_left, .message = "it left"};
    CHECK(proxy::as_captured(left, protocol::Payload::headers).message == "it left");
}
