#include "protocol/transcript.hpp"

#include "support/captured.hpp"
#include "support/catch.hpp"

namespace {

using support::Captured;
using support::CapturedSide;
using support::message;
using Lines = std::vector<std::string>;
using Kind = protocol::CapturedOpening::Kind;
using Outcome = protocol::CapturedLogin::Outcome;

std::string zeros(std::size_t n) { return std::string(n, '\0'); }
std::string row(std::size_t size = 8) { return message('D', std::string(size, 'r')); }
const std::string sync_message = message('S', "");
const std::string parsed = message('1', "");
const std::string bound = message('2', "");

/// SSLRequest, its answer, SCRAM, a query, a pipeline that fails, COPY in both directions, a
/// farewell.
void converse(Captured& session) {
    using C = Captured;
    session.open();
    session.client(protocol::as_text(protocol::serialize(protocol::SSLRequest{}))).server("S");
    session.client(protocol::as_text(protocol::serialize(
        protocol::StartupMessage{.version = 3 << 16, .parameters = {{"user", "app"}, {"database", "orders"}}})));
    const std::string plus_and_plain = std::string("SCRAM-SHA-256-PLUS") + '\0' + "SCRAM-SHA-256" + zeros(2);
    session.server(message('R', zeros(3) + '\x0a' + plus_and_plain));
    session.client(message('p', std::string("SCRAM-SHA-256") + zeros(4) + '\1' + 'x'));
    session.server(message('R', zeros(3) + '\x0b' + "challenge"));
    session.client(message('p', "proof"));
    session.server(message('R', zeros(3) + '\x0c' + "signature") + message('R', zeros(4)) +
                   message('S', std::string("server_version") + '\0' + "15.4" + '\0') + C::ready());

    session.client(C::query("begin; select * from t"));
    session.server(C::complete("BEGIN") + message('T', zeros(2)) + row() + row() + C::complete("SELECT 2") +
                   C::ready('T'));
    session.client(C::parse("s1", "select $1") + C::bind("", "s1") + message('D', "P" + zeros(1)) + C::execute("") +
                   C::bind("", "s1") + C::execute("") + sync_message);
    session.server(parsed + bound + message('T', zeros(2)) + row() + C::complete("SELECT 1") + C::error("22012") +
                   C::ready('E'));
    session.client(C::query("rollback")).server(C::complete("ROLLBACK") + C::ready());
    session.client(C::query("copy t from stdin")).server(message('G', zeros(3)));
    session.client(message('d', "1\n2\n") + message('d', std::string(70'000, 'c')) + message('c', ""));
    session.server(message('N', "SNOTICE" + zeros(2)) + C::complete("COPY 2") + C::ready());
    session.client(C::query("copy t to stdout"));
    session.server(message('H', zeros(3)) + message('d', "1\n") + message('c', "") + C::complete("COPY 1") +
                   C::ready());
    session.client(message('X', ""));
}

const Lines conversation{
    "query \"begin; select * from t\" completed [BEGIN] [SELECT 2] rows 2 after 1 T",
    "execute \"select $1\" named s1 completed [SELECT 1] rows 1 after 1 E",
    "prepare \"select $1\" named s1 failed error 22012 after 1 E",
    "execute \"select $1\" named s1 skipped E",
    "query \"rollback\" completed [ROLLBACK] after 1 I",
    "query \"copy t from stdin\" completed [COPY 2] rows 2 in 70004 notices 1 after 3 I",
    "query \"copy t to stdout\" completed [COPY 1] rows 1 out 2 after 1 I",
};

}  // namespace

TEST_CASE("a captured session is told the same however its bytes are cut into packets") {
    for (const std::size_t piece : {1UL, 2UL, 3UL, 5UL, 7UL, 64UL, 1000UL, 60'000UL}) {
        Captured session(piece);
        converse(session);
        CHECK(session.told == conversation);
        const auto& opening = session.transcript.opening();
        CHECK(opening.kind == Kind::session);
        CHECK((opening.ssl_requested && opening.ssl_answer == 'S'));
        CHECK((opening.startup && opening.startup->database() == "orders"));
        CHECK(session.transcript.login().outcome == Outcome::accepted);
        CHECK(session.transcript.login().method == "scram-sha-256");
        CHECK(session.transcript.login().server_version == "15.4");
        CHECK(session.transcript.how_it_ended().terminated);
        CHECK(session.transcript.missing(CapturedSide::client) + session.transcript.missing(CapturedSide::server) == 0);
    }
}

TEST_CASE("a file that is read twice tells everything once") {
    std::vector<protocol::CapturedSegment> segments;
    std::vector<std::string> told;
    protocol::Transcript transcript([&](protocol::CapturedEntry&& entry) { told.push_back(support::to_text(entry)); });
    const std::string query = Captured::query("select 1"), answer = Captured::complete("SELECT 1") + Captured::ready();
    std::uint32_t client = 100, server = 100;
    std::uint64_t time = 5;
    for (int i = 0; i < 2; ++i) {
        segments.push_back(
            {.from = CapturedSide::client, .time = ++time, .sequence = client, .payload = protocol::as_bytes(query)});
        segments.push_back(
            {.from = CapturedSide::server, .time = ++time, .sequence = server, .payload = protocol::as_bytes(answer)});
        client += static_cast<std::uint32_t>(query.size());
        server += static_cast<std::uint32_t>(answer.size());
    }
    transcript.begins_here(100);
    for (int times = 0; times < 2; ++times) {
        for (const auto& segment : segments) transcript.segment(segment);
    }
    CHECK(told == Lines(2, "query \"select 1\" completed [SELECT 1] rows 1 after 1 I"));
}

TEST_CASE("how a login failed is told") {
    Captured refused;
    refused.open().client(protocol::as_text(
        protocol::serialize(protocol::StartupMessage{.version = 3 << 16, .parameters = {{"user", "app"}}})));
    refused.server(message('R', zeros(3) + '\5' + "salt"))
        .client(message('p', "md5"))
        .server(Captured::error("28P01", "FATAL"));
    CHECK(refused.transcript.login().outcome == Outcome::refused);
    CHECK(refused.transcript.login().method == "md5");
    CHECK((refused.transcript.login().error && refused.transcript.login().error->sqlstate == "28P01"));

    Captured left;
    left.open().client(protocol::as_text(
        protocol::serialize(protocol::StartupMessage{.version = 3 << 16, .parameters = {{"user", "app"}}})));
    left.server(message('R', zeros(3) + '\3'));
    CHECK(left.transcript.login().outcome == Outcome::none);
    CHECK((left.transcript.login().asked && !left.transcript.login().answered));
}

TEST_CASE("cancel requests and raw TLS are told from sessions") {
    Captured cancel;
    cancel.open().client(
        protocol::as_text(protocol::serialize(protocol::CancelRequest{.pid = 4711, .key = {1, 2, 3, 4}})));
    CHECK(cancel.transcript.opening().kind == Kind::cancel);
    CHECK(cancel.transcript.opening().cancelled_pid == 4711);

    Captured tls;
    tls.open()
        .client(protocol::as_text(protocol::serialize(protocol::SSLRequest{})))
        .server("S")
        .client("\x16\x03\x01rest");
    CHECK(tls.transcript.opening().kind == Kind::encrypted);

    Captured direct;
    direct.open().client("\x16\x03\x01rest").server("\x16\x03\x03rest").client("Q more");
    CHECK(direct.transcript.opening().kind == Kind::encrypted);
    CHECK((cancel.told.empty() && tls.told.empty() && direct.told.empty()));
}

TEST_CASE("bytes that are missing within one message hide nothing else") {
    Captured session;
    session.log_in().client(Captured::query("select big"));
    const std::string big = row(10'000);
    session.server(big.substr(0, 500)).lose(CapturedSide::server, 9'000).server(big.substr(9'500));
    session.server(Captured::complete("SELECT 1") + Captured::ready());
    CHECK(session.told ==
          Lines{"gap of server 9000", "query \"select big\" completed [SELECT 1] rows 1 missing 9000 after 3 I"});
    CHECK_FALSE(session.transcript.lost(CapturedSide::server));
}

TEST_CASE("behind lost answers of the server, the next whole question and answer is found") {
    Captured session;
    session.log_in().client(Captured::query("select 1"));
    session.server(row()).lose(CapturedSide::server, 100).server(row().substr(3) + row() + Captured::ready());
    CHECK(session.transcript.lost(CapturedSide::server));
    session.client(Captured::query("select 2"));
    session.server(row()).server(Captured::complete("SELECT 1") + Captured::ready());
    session.client(Captured::query("select 3")).server(Captured::complete("SELECT 0") + Captured::ready());
    CHECK(session.told == Lines{"gap of server 100 lost", "query \"select 1\" unanswered rows 1 missing 100",
                                "found behind 29", "query \"select 2\" completed [SELECT 1] rows 1 after 2 I",
                                "query \"select 3\" completed [SELECT 0] after 1 I"});
    CHECK_FALSE(session.transcript.lost(CapturedSide::server));
}

TEST_CASE("rows that look like a ReadyForQuery are not taken for one") {
    Captured session;
    session.log_in().client(Captured::query("select 1")).server(row()).lose(CapturedSide::server, 100);
    session.server("within a row " + Captured::ready());  // as somebody's data might have it
    session.client(Captured::query("select 2"));          // pipelined
    session.server("still within it " + Captured::ready());
    CHECK(session.transcript.lost(CapturedSide::server));
    session.end();
    CHECK(session.told == Lines{"gap of server 100 lost", "query \"select 1\" unanswered rows 1 missing 100",
                                "query \"select 2\" unanswered"});
}

TEST_CASE("answers whose requests are missing are told without them") {
    Captured session;
    session.log_in().client(Captured::query("select 1")).server(Captured::complete("SELECT 1") + Captured::ready());
    session.lose(CapturedSide::client, Captured::query("delete from t").size());
    session.server(Captured::complete("DELETE 5") + Captured::ready());
    session.client(Captured::query("select 2"));
    CHECK(session.transcript.lost(CapturedSide::client));
    session.server(Captured::complete("SELECT 1") + Captured::ready());
    session.client(Captured::query("select 3")).server(Captured::complete("SELECT 3") + Captured::ready());
    session.end();
    CHECK(session.told == Lines{"query \"select 1\" completed [SELECT 1] rows 1 after 1 I", "gap of client 19 lost",
                                "unknown \"?\" completed [SELECT 1] rows 1 after 0 I", "found behind 14",
                                "query \"select 3\" completed [SELECT 3] rows 3 after 1 I"});
}

TEST_CASE("a capture that begins in the middle is read from the first whole turn on") {
    Captured session;
    session.server("the end of a row" + Captured::ready());
    session.client(Captured::parse("", "select 1") + Captured::bind("", "") + Captured::execute("") + sync_message);
    session.server(parsed + bound + Captured::complete("SELECT 1") + Captured::ready());
    session.client(Captured::bind("", "older") + Captured::execute("") + sync_message);
    session.server(bound + Captured::complete("UPDATE 7") + Captured::ready());
    CHECK(session.transcript.opening().kind == Kind::established);
    CHECK(session.told == Lines{"found behind 22", "execute \"select 1\" completed [SELECT 1] rows 1 after 1 I",
                                "execute \"?\" named older completed [UPDATE 7] rows 7 after 1 I"});
}

TEST_CASE("what is blanked because framing was lost is not read as messages") {
    Captured session;
    session.log_in().client(Captured::query("select 1")).server(std::string(500, '*')).client(std::string(500, '*'));
    session.end();
    CHECK(session.told == Lines{"gap of server 0 lost", "query \"select 1\" unanswered"});
    CHECK(session.transcript.unreadable() == 1000);
}

TEST_CASE("errors outside of statements are the session's farewell") {
    Captured session;
    session.log_in().server(Captured::error("57P01", "FATAL"));
    CHECK((session.transcript.farewell() && session.transcript.farewell()->sqlstate == "57P01"));
    Captured within;
    within.log_in().client(Captured::query("select pg_sleep(9)")).server(Captured::error("57P01", "FATAL")).end();
    CHECK((within.transcript.farewell() && within.transcript.farewell()->sqlstate == "57P01"));
    CHECK(within.told == Lines{"query \"select pg_sleep(9)\" failed error 57P01 after 1"});
}

TEST_CASE("pipelines are paired whatever fails in them") {
    using C = Captured;
    Captured session;
    session.log_in();
    session.client(C::parse("", "selec 1") + C::bind("", "") + C::execute("") + sync_message + C::query("select 2"));
    session.server(C::error("42601") + C::ready() + C::complete("SELECT 1") + C::ready());
    session.client(C::parse("", "insert") + C::bind("", "") + C::execute("") + sync_message);
    session.server(parsed + bound + C::complete("INSERT 0 3") + C::error("23503") + C::ready());
    session.client(C::parse("", "select 3") + message('H', ""));
    session.server(C::error("42P01"));
    session.client(C::bind("", "") + C::execute("") + sync_message).server(C::ready());
    session.client(C::parse("", "select 4") + C::bind("p", "") + message('E', std::string("p") + zeros(4) + '\2') +
                   sync_message);
    session.server(parsed + bound + row() + row() + message('s', "") + C::ready('T'));
    session.client(C::parse("", "") + C::bind("", "") + C::execute("") + sync_message);
    session.server(parsed + bound + message('I', "") + C::ready('T'));
    CHECK(session.told == Lines{"prepare \"selec 1\" failed error 42601 after 1 I", "execute \"selec 1\" skipped I",
                                "query \"select 2\" completed [SELECT 1] rows 1 after 1 I",
                                "execute \"insert\" completed [INSERT 0 3] rows 3 after 1 I",
                                "sync \"\" failed error 23503 after 1 I",
                                "prepare \"select 3\" failed error 42P01 after 1 I", "execute \"?\" skipped I",
                                "execute \"select 4\" suspended rows 2 after 1 T", "execute \"\" completed after 1 T"});
}

TEST_CASE("names that are blanked are not taken for one") {
    using C = Captured;
    Captured session;
    session.log_in();
    session.client(C::parse("***", "**** *") + C::parse("***", "*****") + C::bind("", "***") + C::execute("") +
                   sync_message);
    session.server(parsed + parsed + bound + C::complete("SELECT 1") + C::ready());
    CHECK(session.told == Lines{"execute \"?\" named *** completed [SELECT 1] rows 1 after 1 I"});
}
