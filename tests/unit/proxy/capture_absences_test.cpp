// What `capture read` says of sessions that a capture does not have, or not wholly.
#include <boost/json.hpp>

#include "proxy/capture/capture_entry.hpp"
#include "proxy/transcript/transcript_json.hpp"
#include "proxy/transcript/transcript_text.hpp"
#include "support/capture_file.hpp"
#include "support/catch.hpp"
#include "support/read_captures.hpp"

namespace {

using protocol::Absence;
using support::Fed;
using support::ms;
using support::says;
using support::start;
using support::Talk;
namespace pcapng = protocol::pcapng;
namespace transcript = proxy::transcript;
using Texts = std::vector<std::string>;

protocol::Buffer section() {
    protocol::Buffer out;
    pcapng::append_section(out, "test", {});
    return out;
}

/// As the proxy writes it.
pcapng::Block absence(const std::string& session, Absence why, const std::string& user = "app") {
    proxy::SessionRecord record;
    record.session = session;
    record.listener = "orders";
    record.client_addr = "10.0.0.7";
    record.client_port = 40'000;
    record.usename = user;
    record.datname = "orders";
    const protocol::Buffer entry = proxy::absence_entry(record, why, 1);
    return support::blocks_of(std::string(protocol::as_text(section())) + std::string(protocol::as_text(entry))).back();
}

pcapng::Block totals(std::uint64_t left_out, std::uint64_t not_entered, std::uint64_t entries = 0) {
    const protocol::Buffer entry =
        proxy::absences_entry({.left_out = left_out, .not_entered = not_entered, .entries = entries}, 1);
    return support::blocks_of(std::string(protocol::as_text(section())) + std::string(protocol::as_text(entry))).back();
}

std::string first_text(const Fed& fed) { return fed.reading.lacks().texts().front(); }

void end(Fed& fed) {
    fed.reading.end();
    fed.reading.end_of_all();
}

}  // namespace

TEST_CASE("read: a session that was left out is named, and said first of all") {
    for (const Absence why : {Absence::opening_too_large, Absence::no_memory, Absence::not_entered}) {
        Fed fed;
        Talk(fed, start, 1, "session=s-1").log_in(start).close(start + ms);
        fed.reading.block(absence("s-2", why));
        fed.event(start + ms, R"({"event":"connected","session":"s-2","ssl":true})");
        fed.event(start + 2 * ms, R"({"event":"disconnected","session":"s-2","reason":"client_closed"})");
        end(fed);
        CHECK(first_text(fed) == "1 session " + std::string(sentence(why)));
        REQUIRE(fed.sessions.size() == 2);
        const auto& session = fed.sessions[1];
        CHECK((session.facts.session == "s-2" && session.facts.user == "app" && session.facts.client_port == 40'000));
        CHECK((session.over && session.end_reason == "client_closed"));
        CHECK(fed.summary.all().connections == 2);
        CHECK(transcript::session_text(session).find(sentence(why)) != std::string::npos);
        const auto json = boost::json::parse(transcript::session_json(session)).as_object();
        CHECK(json.at("absences") == boost::json::array{label(why)});
        CHECK(json.at("login").as_string() == "not_captured");
        const auto count = fed.reading.lacks().absent_sessions();
        CHECK(count.left_out + count.not_entered == 1);
    }
}

TEST_CASE("read: how a login ended that had begun before is told with its failure") {
    Fed fed;
    fed.reading.block(absence("s-2", Absence::login_begun_before));
    fed.event(start, R"({"event":"auth_failed","session":"s-2","reason":"server_denied","sqlstate":"28P01"})");
    end(fed);
    REQUIRE(fed.sessions.size() == 1);
    REQUIRE(fed.sessions[0].failures.size() == 1);
    CHECK(fed.summary.all().login_failed == 1);
    CHECK(transcript::absent_json(fed.reading.lacks().absent_sessions()) == R"({"left_out":0,"not_entered":1})");
}

TEST_CASE("read: a session that enters later is not told as one that never did") {
    Fed fed;
    fed.reading.block(absence("s-1", Absence::not_entered));
    fed.reading.block(totals(0, 1));  // the end of a file
    fed.begin("capture-20260301T020000Z-2.pcapng");
    Talk(fed, start, 1, "session=s-1 joined=true").close(start + ms);
    fed.reading.block(absence("s-2", Absence::not_entered));
    fed.reading.block(totals(0, 1));
    end(fed);
    CHECK(first_text(fed) == "1 session " + std::string(sentence(Absence::not_entered)));
    REQUIRE(fed.sessions.size() == 2);
    CHECK(fed.sessions[0].absences == std::set<Absence>{Absence::joined});
    CHECK(says(fed.reading.lacks().texts(), "1 session " + std::string(sentence(Absence::joined))));
}

TEST_CASE("read: what the ends of files count is said, also where no entry names it") {
    Fed fed;
    fed.reading.block(absence("s-2", Absence::no_memory));
    fed.reading.block(totals(3, 2));
    end(fed);
    const Texts texts = fed.reading.lacks().texts();
    CHECK(texts[0] == "1 session " + std::string(sentence(Absence::no_memory)));
    CHECK(texts[1].starts_with("2 sessions left out of the capture"));
    CHECK(texts[2].starts_with("2 sessions open before the capture"));
    CHECK(transcript::absent_json(fed.reading.lacks().absent_sessions()) == R"({"left_out":3,"not_entered":2})");
}

TEST_CASE("read: a session that is absent for a reason of a later version is said to be") {
    Fed fed;
    const std::string entry = R"({"event":"capture_absence","capture":1,"session":"s-9","reason":"eaten_by_moths"})";
    fed.event(start, entry);
    fed.event(start, entry);
    fed.reading.block(totals(1, 0));
    end(fed);
    CHECK(first_text(fed) == "1 session absent for a reason that this version does not know (eaten_by_moths)");
    CHECK(transcript::absent_json(fed.reading.lacks().absent_sessions()) == R"({"left_out":1,"not_entered":0})");
}

TEST_CASE("read: files by name are captures of their own, whatever numbers and comments they share") {
    const std::string comment = "capture 1 by uid 0 (root); payload=redacted";
    Fed fed({}, {}, comment);
    const auto file = [&](const char* name, std::uint64_t dropped, std::uint64_t left_out, std::uint64_t not_entered) {
        fed.begin(name, comment);
        if (left_out + not_entered > 0) fed.reading.block(totals(left_out, not_entered));
        fed.reading.block(pcapng::Statistics{.interface = 0, .time = start, .received = 0, .dropped = dropped});
        fed.reading.end();
    };
    file("/a/named.pcapng", 100, 0, 7);
    file("/b/named.pcapng", 50, 1, 0);
    // The files of one ring count on.
    file("/c/capture-20260301T020000Z-1.pcapng", 1, 0, 0);
    file("/c/capture-20260301T020000Z-2.pcapng", 2, 0, 0);
    end(fed);
    const Texts texts = fed.reading.lacks().texts();
    CHECK(texts[0].starts_with("1 session left out of the capture"));
    CHECK(texts[1].starts_with("7 sessions open before the capture"));
    CHECK(says(texts, "these are files of 3 captures"));
    CHECK(says(texts, "152 packets found no room and were dropped (orders client leg)"));
}

TEST_CASE("read: a payload that only a later version knows is said to be unknown, and known ones tell the sessions") {
    Fed fed;
    fed.begin("x.pcapng", "capture 1 by uid 0; payload=sampled");
    CHECK(says(fed.reading.lacks().texts(), "payload is sampled, which this version does not know"));
    const auto richness = [](const std::string& payload) {
        const pcapng::SectionBlock section{.application = {}, .system = {}, .comments = {"payload=" + payload}};
        return transcript::capture_name("x.pcapng", section).richness();
    };
    CHECK(richness("sampled") < richness("headers"));
}

TEST_CASE("read: audit events that found no room in the capture are said to be missing") {
    Fed fed;
    fed.reading.block(totals(0, 0, 3));
    fed.begin("capture-20260301T020000Z-2.pcapng");
    fed.reading.block(totals(0, 0, 5));  // the same capture: so far
    end(fed);
    CHECK(first_text(fed).starts_with("5 audit events found no room in the capture"));
}

TEST_CASE("read: a session that one capture lacks is told from another one, and is not missing") {
    for (const bool comes_later : {false, true}) {
        Fed fed;
        const auto lacks = [&] {
            fed.begin("capture-20260301T020000Z-1.pcapng", "capture 1 by uid 0; payload=full");
            fed.reading.block(absence("s-1", Absence::opening_too_large));
            fed.event(start, R"({"event":"disconnected","session":"s-1","reason":"client_closed"})");
            fed.reading.block(totals(1, 0));
            fed.reading.end();
        };
        const auto has = [&] {
            fed.begin("capture-20260301T020001Z-1.pcapng", "capture 2 by uid 0; payload=headers");
            Talk(fed, start, 1, "session=s-1").log_in(start).close(start + ms);
            fed.reading.end();
        };
        if (comes_later) lacks();
        has();
        if (!comes_later) lacks();
        fed.reading.end_of_all();
        REQUIRE(fed.sessions.size() == 1);
        CHECK_FALSE(fed.sessions[0].absent());
        CHECK(transcript::absent_json(fed.reading.lacks().absent_sessions()) == R"({"left_out":0,"not_entered":0})");
        CHECK_FALSE(says(fed.reading.lacks().texts(), sentence(Absence::opening_too_large)));
    }
}

TEST_CASE("read: a filter hides no session that was left out") {
    Fed fed({.session = {}, .user = "other", .database = {}, .client = {}});
    fed.reading.block(absence("s-1", Absence::opening_too_large));
    end(fed);
    CHECK(fed.sessions.empty());
    CHECK(first_text(fed) == "1 session " + std::string(sentence(Absence::opening_too_large)));
}

TEST_CASE("read: the handshake of a connection that was there before is said to be, where records were wanted") {
    for (const std::string capture :
         {"capture 1 by uid 0; payload=full; failures only", "capture 1 by uid 0; payload=full"}) {
        Fed fed({}, {}, capture);
        Talk(fed, start, 1, "session=s-1").log_in(start).close(start + ms);
        protocol::TcpConversation leg(protocol::endpoint("10.0.0.1", 40'000), protocol::endpoint("10.0.0.2", 5432));
        leg.open([&](auto, protocol::Bytes bytes) {
            fed.reading.block(
                pcapng::PacketBlock{.interface = 1,
                                    .time = start,
                                    .bytes = {bytes.begin(), bytes.end()},
                                    .original_size = bytes.size(),
                                    .direction = pcapng::Direction::outbound,
                                    .id = {},
                                    .process = {},
                                    .comments = {"session=s-1 leg=server to=10.0.0.2:5433 prewarmed=true"}});
        });
        end(fed);
        REQUIRE(fed.sessions.size() == 1);
        CHECK(fed.sessions[0].facts.upstream_prewarmed == true);
        CHECK(fed.sessions[0].absences == std::set<Absence>{Absence::prewarmed});
        CHECK(transcript::session_text(fed.sessions[0]).find("(its handshake was before: prewarm)") !=
              std::string::npos);
        const bool failures_only = capture.find("failures") != std::string::npos;
        CHECK(says(fed.reading.lacks().texts(), sentence(Absence::prewarmed)) == failures_only);
    }
}

TEST_CASE("read: what files and comments say of a part is said of its sessions") {
    for (const Absence part :
         {Absence::message_begun, Absence::records_go_on, Absence::framing_lost, Absence::framing_lost_unseen}) {
        Fed fed;
        Talk talk(fed, start, 1, "session=s-1");
        talk.log_in(start);
        talk.tcp.data(support::Sender::client, protocol::as_bytes(support::Captured::query("select 1")),
                      fed.sink(start, {std::string(sentence(part))}));
        end(fed);
        CHECK(says(fed.reading.lacks().texts(), "of 1 session: " + std::string(sentence(part))));
        CHECK(fed.sessions.at(0).absences.contains(part));
    }
}

TEST_CASE("read: a ring that does not begin with its first file, has gaps, or goes on, is never called whole") {
    const auto texts = [](std::initializer_list<int> numbers, const std::string& next) {
        Fed fed;
        for (const int number : numbers)
            fed.begin("/c/capture-20260301T030000Z-" + std::to_string(number) + ".pcapng", "no words of a payload");
        if (!next.empty()) fed.reading.ring_goes_on(next);
        end(fed);
        return fed.reading.lacks().texts();
    };
    CHECK(says(texts({2, 3}, ""), "file 1 of /c/capture-20260301T030000Z-*.pcapng is not among these"));
    CHECK(says(texts({1, 3}, ""), "2 of /c/capture-20260301T030000Z-*.pcapng are missing"));
    CHECK(says(texts({1, 2}, "/c/capture-20260301T030000Z-3.pcapng"), "the ring goes on with /c/"));
    CHECK_FALSE(says(texts({1, 2}, ""), "20260301T030000Z"));
}

TEST_CASE("read: false words about absences harm nobody") {
    Fed fed;
    for (const char* line :
         {R"({"event":"capture_absence"})", R"({"event":"capture_absence","reason":"x","session":"s-1"})",
          R"({"event":"capture_absence","reason":"no_memory"})",
          R"({"event":"capture_absence","left_out":-1,"not_entered":1})",
          R"({"event":"capture_absence","left_out":"many","not_entered":[]})",
          R"({"event":"capture_absence","reason":5,"session":{}})"})
        fed.event(start, line);
    end(fed);
    CHECK(fed.sessions.empty());
    CHECK(first_text(fed) == "1 session absent for a reason that this version does not know (x)");
    CHECK(transcript::absent_json(fed.reading.lacks().absent_sessions()) == R"({"left_out":1,"not_entered":0})");
}

TEST_CASE("read: what a capture was filtered by is said first, and whom that leaves out") {
    Fed fed;
    pcapng::SectionBlock section;
    section.comments = {"capture 1 by uid 0; payload=full; sessions of listener=legacy"};
    fed.reading.block(section);
    section.comments = {"capture 2 by uid 0; payload=full; sessions of user=billing"};
    fed.reading.block(section);
    end(fed);
    const Texts texts = fed.reading.lacks().texts();
    CHECK(texts[0] == "only sessions of listener=legacy were captured");
    CHECK(texts[1].starts_with("only sessions of user=billing were captured: whoever failed before that was known"));
}

TEST_CASE("read: the last file that was given says when it was not the last one") {
    const auto followed = [](std::uint64_t number, bool goes_on) {
        Fed fed;
        fed.begin("capture-20260301T020000Z-" + std::to_string(number) + ".pcapng");
        if (goes_on) {
            const protocol::Buffer entry = proxy::absences_entry({.goes_on = true}, 1);
            fed.reading.block(
                support::blocks_of(std::string(protocol::as_text(section())) + std::string(protocol::as_text(entry)))
                    .back());
        }
        fed.reading.end_file({});
        end(fed);
        return fed.reading.lacks().texts();
    };
    CHECK(says(followed(1, true),
               "the ring capture-20260301T020000Z-*.pcapng goes on behind file 1: the ring has removed "
               "them, or they were not given"));
    for (const std::string& text : followed(1, false)) CHECK(text.find("goes on") == std::string::npos);
}
