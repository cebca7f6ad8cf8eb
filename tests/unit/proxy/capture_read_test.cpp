// What `capture read` makes of blocks: sessions, what is missing, text and JSON.
#include <boost/json.hpp>

#include "proxy/transcript/failure_words.hpp"
#include "proxy/transcript/transcript_json.hpp"
#include "proxy/transcript/transcript_text.hpp"
#include "proxy/transcript/words.hpp"
#include "support/catch.hpp"
#include "support/read_captures.hpp"

namespace {

namespace pcapng = protocol::pcapng;
namespace transcript = proxy::transcript;
using protocol::TcpConversation;
using support::Captured;
using support::Fed;
using support::ms;
using support::says;
using support::start;
using support::Talk;
using Sender = TcpConversation::Sender;

}  // namespace

TEST_CASE("a session ends with its last event, or a while after its connection") {
    Fed fed;
    Talk first(fed, start, 1, "session=s-1 user=app ssl=true version=TLSv1.3");
    first.log_in(start).close(start + 5 * ms);
    CHECK(fed.sessions.empty());
    fed.event(start + 6 * ms, R"({"event":"disconnected","session":"s-1","reason":"client_closed"})");
    Talk second(fed, start + 4000 * ms, 2, "session=s-2");
    CHECK(fed.sessions.empty());
    second.log_in(start + 5500 * ms);
    REQUIRE(fed.sessions.size() == 1);
    CHECK(fed.sessions[0].facts.session == "s-1");
    CHECK(fed.sessions[0].end_reason == "client_closed");
    fed.reading.end();
    REQUIRE(fed.sessions.size() == 2);
    CHECK_FALSE(fed.sessions[1].over);
    CHECK(says(fed.reading.lacks().texts(), "1 session had not ended"));
}

TEST_CASE("a client's port that is used again is another session") {
    Fed fed;
    Talk(fed, start, 1, "").log_in(start).close(start + ms);
    Talk(fed, start + 2 * ms, 1, "").log_in(start + 2 * ms).close(start + 3 * ms);
    Talk(fed, start + 4 * ms, 1, "session=s-3").log_in(start + 4 * ms);
    Talk(fed, start + 5 * ms, 1, "session=s-4").log_in(start + 5 * ms);
    fed.reading.end();
    CHECK(fed.sessions.size() == 4);
    CHECK(fed.summary.all().connections == 4);
}

TEST_CASE("what the server leg repeats is not told twice") {
    Fed fed;
    Talk talk(fed, start, 1, "session=s-1 client_addr=10.0.0.7");
    talk.log_in(start).say(start + ms, Sender::client, Captured::query("select 1"));
    TcpConversation leg(protocol::endpoint("10.0.0.1", 40'000), protocol::endpoint("10.0.0.2", 5432));
    const std::string query = Captured::query("select 1");
    leg.data(Sender::client, protocol::as_bytes(query), [&](Sender, protocol::Bytes bytes) {
        fed.reading.block(
            pcapng::PacketBlock{.interface = 1,
                                .time = start,
                                .bytes = {bytes.begin(), bytes.end()},
                                .original_size = bytes.size(),
                                .direction = pcapng::Direction::outbound,
                                .id = {},
                                .process = {},
                                .comments = {"session=s-1 user=app", "the server's certificate was refused"}});
    });
    fed.reading.end();
    REQUIRE(fed.sessions.size() == 1);
    CHECK(fed.sessions[0].totals.statements == 1);
    CHECK(fed.sessions[0].notes == std::vector<std::string>{"the server's certificate was refused"});
    CHECK(fed.sessions[0].facts.client_addr == "10.0.0.7");
}

TEST_CASE("statements beyond the bound are counted and said to be left out") {
    Fed fed({}, {.sessions = 2, .kept = 1 << 20, .session_kept = 50 * sizeof(protocol::CapturedEntry)});
    Talk talk(fed, start, 1, "session=s-1");
    talk.log_in(start);
    for (unsigned i = 0; i < 100; ++i) {
        talk.say(start + i * ms, Sender::client, Captured::query("select 1"));
        talk.say(start + i * ms + i + 1, Sender::server, Captured::error("42601") + Captured::ready());
    }
    Talk(fed, start, 2, "");
    Talk(fed, start, 3, "");  // one too many
    fed.reading.end();
    REQUIRE(fed.sessions.size() == 2);
    const auto& session = fed.sessions[0];
    CHECK(session.totals.statements == 100);
    CHECK(session.totals.errors.at("42601").count == 100);
    CHECK(session.entries.size() + session.entries_left_out == 100);
    CHECK(session.entries.size() < 60);
    CHECK(session.totals.slowest.size() == 10);
    CHECK(transcript::duration(session.totals.slowest.front()) == 100);
    CHECK(says(fed.reading.lacks().texts(), "counted but not listed"));
    CHECK(says(fed.reading.lacks().texts(), "1 session was left out"));
}

TEST_CASE("files that are missing between and before the given ones are named") {
    Fed fed;
    fed.begin("/c/capture-20260301T020000Z-4.pcapng");
    fed.begin("/c/capture-20260301T020000Z-7.pcapng");
    const auto texts = fed.reading.lacks().texts();
    CHECK(says(texts, "files 1 to 3 of /c/capture-20260301T020000Z-*.pcapng are not among these"));
    CHECK(says(texts, "between the files that were given, 5 to 6 of"));
    CHECK(says(texts, "payload is headers"));
    CHECK(says(texts, "only connections that failed were captured"));
}

TEST_CASE("a comment of a first packet is taken, and false events harm nobody") {
    transcript::SessionFacts facts;
    const auto marks = transcript::take_comment(
        facts,
        "session=s-1 ssl=false sslmode=allow..require leg=server to=10.0.0.2:5432 content=tls-records joined=true");
    CHECK((marks && marks->records && marks->joined && facts.upstream_addr == "10.0.0.2:5432"));
    CHECK((facts.ssl && !*facts.ssl && facts.sslmode_min == "allow" && facts.sslmode_max == "require"));
    CHECK_FALSE(transcript::take_comment(facts, "alert unknown_ca (48)"));
    for (const char* broken : {"", "{", "[]", "{\"event\":5}", "{\"event\":\"x\",\"client_port\":1e99}", "\xff"})
        transcript::parse_event(broken);
}

TEST_CASE("every alert of a client has its words") {
    transcript::SessionFailure failure{.event = "tls_failed", .reason = "tls_abandoned"};
    CHECK(transcript::in_words(failure, {.alert = 48}).find("does not trust the CA") != std::string::npos);
    CHECK(transcript::in_words(failure, {.certificate_shown = true}).find("had seen the certificate") !=
          std::string::npos);
    CHECK(transcript::in_words(failure, {.alert = 255}) == transcript::in_words(failure, {}));
    failure = {.event = "rejected", .reason = "too_many_connections"};
    CHECK(transcript::in_words(failure, {}) == "sorry, too many clients already");
}

TEST_CASE("text and JSON of a session say the same") {
    Fed fed;
    Talk talk(fed, start, 1, "session=s-1 client_addr=10.0.0.7 ssl=true");
    talk.log_in(start);
    talk.say(start + 10 * ms, Sender::client, Captured::query("select\n\t1"));
    talk.say(start + 12 * ms, Sender::server,
             support::message('D', "row") + Captured::complete("SELECT 1") + Captured::ready());
    talk.close(start + 20 * ms);
    fed.reading.end();
    REQUIRE(fed.sessions.size() == 1);
    const std::string text = transcript::session_text(fed.sessions[0]);
    CHECK(text.find("    02:00:00.010    2.00 ms  SELECT 1                select 1\n") != std::string::npos);
    CHECK(text.find("login by trust accepted after 1.00 ms") != std::string::npos);
    const auto json = boost::json::parse(transcript::session_json(fed.sessions[0])).as_object();
    const auto& statement = json.at("statements").as_array().at(0).as_object();
    CHECK(statement.at("text").as_string() == "select\n\t1");
    CHECK(statement.at("duration_us").to_number<int>() == 2000);
    CHECK(json.at("login").as_string() == "accepted");
    CHECK(json.at("opening").as_string() == "session");
    CHECK(json.at("started").as_string() == "2026-03-01T02:00:00.000000Z");
    const auto summary = boost::json::parse(transcript::summary_json(fed.summary, fed.reading)).as_object();
    CHECK(summary.at("before").as_object().at("tls").to_number<int>() == 1);
    CHECK(summary.at("since").as_object().at("connections").to_number<int>() == 0);
    CHECK(transcript::summary_text(fed.summary, fed.reading, {}).substr(0, 27) == "Summary: 1 connection from ");
}

TEST_CASE("numbers and times are written for people") {
    using namespace transcript;
    CHECK(duration_text(1'234'567) == "1.23 ms");
    CHECK(duration_text(12'345'678'900) == "12.3 s");
    CHECK(duration_text(125'000'000'000) == "2 min 5 s");
    CHECK(duration_text(9'000'000'000'000) == "2 h 30 min");
    CHECK(bytes_text(1) == "1 byte");
    CHECK(bytes_text(70'004) == "70.0 KB");
    CHECK(one_line("a \n\t b\x1b[2J", 100) == "a b\xef\xbf\xbd[2J");
    CHECK(one_line("äöü", 2) == "äö…");
    CHECK(one_line("  ", 5).empty());
}

namespace {

/// What the audit says when a client connects, or its handshake fails.
std::string audit(const std::string& event, const std::string& session, const std::string& more) {
    return R"({"event":")" + event + R"(","session":")" + session + R"(","client_addr":"127.0.0.1",)" + more + "}";
}

struct Rotation : Fed {
    static constexpr std::uint64_t before = start, since = start + 2000 * ms;

    void connects(std::uint64_t time, const std::string& user, const std::string& exe, const std::string& more = {}) {
        const std::string name = "s-" + std::to_string(++number_);
        Talk talk(*this, time, static_cast<std::uint16_t>(number_),
                  "session=" + name + " client_addr=127.0.0.1 user=" + user + more);
        talk.log_in(time).close(time + ms);
        event(time + ms, audit("disconnected", name,
                               R"("usename":")" + user + R"(","client_process":{"pid":1,"exe":")" + exe +
                                   R"(","uid":1000},"reason":"client_closed")"));
    }
    void fails(std::uint64_t time, const std::string& exe) {
        event(time, audit("tls_failed", "s-" + std::to_string(++number_),
                          R"("alert":48,"reason":"tls_abandoned","client_process":{"pid":1,"exe":")" + exe +
                              R"(","uid":1000})"));
    }
    std::string text() {
        reading.end();
        return transcript::summary_text(summary, reading, {});
    }

   private:
    unsigned number_ = 0;
};

bool has(const std::string& text, std::string_view what) { return text.find(what) != std::string::npos; }

}  // namespace

TEST_CASE("a healthy application at the same address hides none that is dead since the rotation") {
    Rotation fed;
    for (const auto time : {Rotation::before, Rotation::since}) fed.connects(time, "healthy", "/usr/bin/java");
    fed.connects(Rotation::before + 10 * ms, "billing", "/usr/bin/psql");
    fed.fails(Rotation::since + 10 * ms, "/usr/bin/psql");
    const std::string text = fed.text();
    CHECK(has(text,
              "127.0.0.1 billing (/usr/bin/psql uid 1000) connected before and only fails since: the client does "
              "not trust the CA"));
    CHECK_FALSE(has(text, "healthy (/usr/bin/java uid 1000) connected"));
    CHECK(fed.summary.clients().size() == 2);
}

TEST_CASE("where several have the process of a failed handshake, it has a row and the silent ones are named") {
    Rotation fed;
    fed.connects(Rotation::before, "alive", "/usr/bin/python3");
    fed.connects(Rotation::since, "alive", "/usr/bin/python3");
    fed.connects(Rotation::before + 10 * ms, "dead", "/usr/bin/python3");
    fed.fails(Rotation::since + 10 * ms, "/usr/bin/python3");
    const std::string text = fed.text();
    CHECK(has(text, "127.0.0.1 dead (/usr/bin/python3 uid 1000) connected before and not since"));
    CHECK_FALSE(has(text, "alive (/usr/bin/python3 uid 1000) connected"));
    CHECK(fed.summary.clients().size() == 3);
}

TEST_CASE("who was only ever in clear is silent since, and blamed for no failed handshake") {
    const std::string in_clear = " ssl=false";
    SECTION("of a process that is known to be its own") {
        Rotation fed;
        fed.connects(Rotation::before, "nightly", "/usr/bin/python3", in_clear);
        fed.fails(Rotation::since + 10 * ms, "/usr/bin/python3");
        const std::string text = fed.text();
        CHECK_FALSE(has(text, "nightly (/usr/bin/python3 uid 1000) connected"));
        CHECK(fed.summary.clients().size() == 2);
    }
    SECTION("of a process that is not known") {
        Rotation fed;
        fed.connects(Rotation::before, "nightly", "/usr/bin/python3", in_clear);
        fed.fails(Rotation::since + 10 * ms, "");
        const std::string text = fed.text();
        CHECK_FALSE(has(text, "nightly (/usr/bin/python3 uid 1000) connected"));
        CHECK(fed.summary.clients().size() == 2);
    }
    SECTION("beside one that had TLS, which may be it") {
        Rotation fed;
        fed.connects(Rotation::before, "nightly", "/usr/bin/python3", in_clear);
        fed.connects(Rotation::before + 10 * ms, "billing", "/usr/bin/java", " ssl=true");
        fed.fails(Rotation::since + 10 * ms, "");
        const std::string text = fed.text();
        CHECK_FALSE(has(text, "nightly (/usr/bin/python3 uid 1000) connected"));
        CHECK(has(text, "127.0.0.1 billing (/usr/bin/java uid 1000) connected before and not since"));
    }
    SECTION("who had both is named") {
        Rotation fed;
        fed.connects(Rotation::before, "both", "/usr/bin/python3", in_clear);
        fed.connects(Rotation::before + 10 * ms, "both", "/usr/bin/python3", " ssl=true");
        fed.fails(Rotation::since + 10 * ms, "/usr/bin/python3");
        CHECK(has(fed.text(), "127.0.0.1 both (/usr/bin/python3 uid 1000) connected before and only fails since"));
    }
}

TEST_CASE("a failed handshake of a process that was gone already points to who is silent at its address") {
    Rotation fed;
    for (const auto time : {Rotation::before, Rotation::since}) fed.connects(time, "healthy", "/usr/bin/java");
    fed.connects(Rotation::before + 10 * ms, "nightly", "/usr/bin/psql");
    fed.event(Rotation::since, audit("tls_failed", "s-100", R"("alert":48,"client_process":null)"));
    const std::string text = fed.text();
    CHECK(has(text, "127.0.0.1 nightly (/usr/bin/psql uid 1000) connected before and not since"));
    CHECK(has(text, "127.0.0.1 was not seen before and fails since, 1 of 1"));
    CHECK_FALSE(has(text, "healthy (/usr/bin/java uid 1000) connected"));
}

TEST_CASE("a client that fails more often since is said to") {
    Rotation fed;
    for (unsigned i = 0; i < 3; ++i) {
        fed.connects(Rotation::before + i * 10 * ms, "app", "/bin/app");
        fed.connects(Rotation::since + i * 10 * ms, "app", "/bin/app");
    }
    fed.fails(Rotation::before + 50 * ms, "/bin/app");
    for (unsigned i = 0; i < 2; ++i) fed.fails(Rotation::since + (50 + i) * ms, "/bin/app");
    CHECK(has(fed.text(), "app (/bin/app uid 1000) fails more since, 1 of 4 before and 2 of 5 since"));
}

TEST_CASE("a refused certificate of the server is no missing server, and no refused login") {
    Fed fed;
    Talk talk(fed, start, 1, "session=s-1 client_addr=10.0.0.7");
    talk.log_in(start - ms);
    fed.event(start + ms, R"({"event":"upstream_failed","session":"s-1","reason":"server_certificate_rejected"})");
    fed.event(start + ms, R"({"event":"upstream_failed","session":"s-2","reason":"server_not_accepted"})");
    fed.event(start + ms, R"({"event":"upstream_failed","session":"s-3","reason":"server_not_reached"})");
    fed.reading.end();
    const auto& all = fed.summary.all();
    CHECK((all.upstream_failed == 3 && all.server_certificate_refused == 1 && all.server_tls_failed == 1));
    CHECK(all.no_server() == 1);
    CHECK(has(transcript::summary_text(fed.summary, fed.reading, {}),
              "1 server certificate refused, 1 TLS to the server failed, 1 no server"));
    transcript::ReadSession session;
    session.login.outcome = protocol::CapturedLogin::Outcome::refused;
    session.failures.push_back({.event = "upstream_failed", .reason = "server_certificate_rejected"});
    CHECK(has(transcript::session_json(session), R"("login":"none")"));
}

TEST_CASE("a session of two captures is counted once, and the captures are said first") {
    Fed fed;
    fed.begin("/c/capture-20260301T020000Z-1.pcapng", "capture 7 by uid 0; payload=redacted");
    for (int i = 0; i < 2; ++i) {
        Talk talk(fed, start, 1, "session=s-1 client_addr=10.0.0.7");
        talk.log_in(start).say(start + ms, Sender::client, Captured::query("select 1"));
        talk.close(start + 2 * ms);
        fed.event(start + 2 * ms, R"({"event":"tls_failed","session":"s-9","reason":"tls_failed"})");
        fed.reading.end();
        fed.begin("/c/capture-20260301T020001Z-1.pcapng", "capture 8 by uid 0; payload=headers");
    }
    CHECK(fed.sessions.size() == 2);
    CHECK(fed.summary.all().connections == 2);
    const auto texts = fed.reading.lacks().texts();
    CHECK(has(texts.front(), "7, payload redacted; 8, payload headers"));
    CHECK(has(texts.front(), "each session is counted once"));
}

TEST_CASE("a file without its end is said to have none") {
    Fed fed;
    const pcapng::BlockReader whole;
    fed.event(start, R"({"event":"capture_stopped","session":null,"capture":3,"reason":"disk","message":"No space"})");
    fed.reading.end_file(whole);
    CHECK(says(fed.reading.lacks().texts(), "capture-20260301T020000Z-1.pcapng has no closing statistics"));
    CHECK(says(fed.reading.lacks().texts(), "capture 3 stopped: disk, No space"));
    Fed ended;
    ended.reading.block(pcapng::Statistics{});
    ended.reading.end_file(whole);
    CHECK_FALSE(says(ended.reading.lacks().texts(), "no closing statistics"));
}

TEST_CASE("what is blanked, and what undoes that, is said of every payload") {
    Fed fed;
    fed.event(start, R"({"event":"auth_failed","session":"s-0","reason":"client_left","message":"it left"})");
    fed.event(start, R"({"event":"auth_failed","session":"s-0","reason":"server_denied","message":null})");
    CHECK_FALSE(says(fed.reading.lacks().texts(), "audit events in the file hold"));
    fed.event(start, R"({"event":"auth_failed","session":"s-1","reason":"server_denied","message":"for app"})");
    CHECK(says(fed.reading.lacks().texts(), "audit events in the file hold the messages"));
    CHECK_FALSE(says(fed.reading.lacks().texts(), "keys are in here"));
    fed.reading.block(pcapng::SecretsBlock{});
    CHECK(has(fed.reading.lacks().texts().front(), "keys are in here (keylog)"));
    Fed full;
    full.begin("x.pcapng", "capture 1 by uid 0; payload=full");
    CHECK(says(full.reading.lacks().texts(), "passwords and keys are blanked"));
}

TEST_CASE("failures that had no name yet are counted where a filter by name leaves them out") {
    Fed fed({.session = {}, .user = "app", .database = {}, .client = {}});
    fed.event(start, R"({"event":"tls_failed","session":"s-1","client_addr":"10.0.0.7","reason":"tls_abandoned"})");
    fed.event(start, R"({"event":"auth_failed","session":"s-2","usename":"other"})");
    fed.reading.end();
    CHECK(fed.sessions.empty());
    CHECK(has(fed.reading.lacks().texts().front(), "1 connection failed before user and database were known"));
}

TEST_CASE("failures are not told for more than what is known") {
    using transcript::in_words;
    CHECK(in_words({.event = "auth_failed", .sqlstate = "28P01"}, {}) == "wrong password, no such user, or expired");
    CHECK(has(in_words({.event = "auth_failed", .reason = "client_left"}, {}), "requires channel binding"));
    transcript::ReadSession session;
    session.over = true;
    session.end.closed_by = protocol::CapturedSide::server;
    session.failures.push_back({.event = "tls_failed", .reason = "tls_abandoned"});
    CHECK(has(transcript::session_text(session), "the client aborted the TLS handshake"));
}

TEST_CASE("who had TLS and goes on in clear since the rotation is said") {
    Rotation fed;
    for (const auto time : {Rotation::before, Rotation::since}) {
        fed.connects(time, "steady", "/usr/bin/java", " ssl=true");
        fed.connects(time + 10 * ms, "plain", "/usr/bin/perl", " ssl=false");
    }
    fed.connects(Rotation::before + 20 * ms, "prefers", "/usr/bin/psql", " ssl=true");
    fed.connects(Rotation::since + 20 * ms, "prefers", "/usr/bin/psql", " ssl=false");
    const std::string text = fed.text();
    CHECK(has(text,
              "127.0.0.1 prefers (/usr/bin/psql uid 1000) had TLS before and connects in clear text since, 1 time"));
    CHECK_FALSE(has(text, "steady (/usr/bin/java uid 1000) had TLS"));
    CHECK_FALSE(has(text, "plain (/usr/bin/perl uid 1000) had TLS"));
    CHECK_FALSE(has(text, "nothing is compared"));
}

TEST_CASE("a moment at which nothing divides is said to compare nothing") {
    for (const auto time : {Rotation::before, Rotation::since}) {
        Rotation fed;
        fed.connects(time, "only", "/usr/bin/java");
        CHECK(has(fed.text(), time == Rotation::before ? "Nothing here began since that moment: nothing is compared"
                                                       : "Nothing here began before that moment: nothing is compared"));
    }
}
