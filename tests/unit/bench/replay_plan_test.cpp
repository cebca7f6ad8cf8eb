#include "bench/replay/plan_builder.hpp"
#include "support/captured.hpp"
#include "support/catch.hpp"

using namespace bench::replay;
using namespace std::string_literals;
using bench::Duration;
using protocol::CapturedSide;
using support::Captured;
using support::message;

namespace {

/// What two peers say, one turn each ten nanoseconds.
class Talk {
   public:
    explicit Talk(PlanRules rules = {}, std::size_t piece = 60'000) : builder_(rules), piece_(piece) {}

    Talk& client(const std::string& bytes) { return say(CapturedSide::client, bytes); }
    Talk& server(const std::string& bytes) { return say(CapturedSide::server, bytes); }
    Talk& lose(CapturedSide side, std::uint32_t size) {
        sequence_[static_cast<std::size_t>(side)] += size;
        return *this;
    }
    Talk& log_in(std::vector<std::pair<std::string, std::string>> parameters = {{"user", "app"}}) {
        client(std::string(protocol::as_text(
            protocol::serialize(protocol::StartupMessage{.version = 3 << 16, .parameters = std::move(parameters)}))));
        return server(message('R', std::string(4, '\0')) + message('K', "\0\0\0\7\0\0\0\0"s) + Captured::ready());
    }
    SessionPlan plan() { return builder_.finish(); }
    PlanBuilder& builder() { return builder_; }

   private:
    Talk& say(CapturedSide side, std::string_view bytes) {
        time_ += 10;
        for (std::size_t at = 0; at < bytes.size(); at += piece_) {
            const std::string_view part = bytes.substr(at, piece_);
            std::uint32_t& sequence = sequence_[static_cast<std::size_t>(side)];
            builder_.segment({.from = side, .time = time_, .sequence = sequence, .payload = protocol::as_bytes(part)});
            sequence += static_cast<std::uint32_t>(part.size());
        }
        return *this;
    }

    PlanBuilder builder_;
    std::size_t piece_;
    std::uint64_t time_ = 1000;
    std::uint32_t sequence_[2] = {1, 1};
};

std::string row() { return message('D', "\0\1\0\0\0\1x"s); }
std::string end_of_unit() { return message('S', ""); }

/// The types of all messages of a unit, a space between two requests.
std::string said(const Unit& unit) {
    std::string out;
    for (const Request& request : unit.requests) out += (out.empty() ? "" : " ") + support::types(request.bytes);
    return out;
}

}  // namespace

TEST_CASE("a query is a unit with its answer, its thinking and its latency, in pieces of any size") {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{60'000}}) {
        Talk talk({}, piece);
        talk.log_in().client(Captured::query("select 1"));
        talk.server(row() + row() + Captured::complete("SELECT 2") + Captured::ready());
        const SessionPlan plan = talk.plan();
        CHECK(plan.login == Login::accepted);
        CHECK(plan.backend_pid == 7);
        REQUIRE(plan.units.size() == 1);
        const Unit& unit = plan.units[0];
        CHECK(said(unit) == "Q");
        CHECK(unit.requests[0].awaited == Awaited{});
        CHECK(unit.requests[0].delay == Duration(10));
        CHECK(unit.took == Duration(10));
        REQUIRE(unit.expected.results.size() == 1);
        CHECK(unit.expected.results[0].text == "SELECT 2");
        CHECK(unit.expected.results[0].rows == 2);
        CHECK(unit.expected.transaction == 'I');
        REQUIRE(unit.statements.size() == 1);
        CHECK(unit.statements[0].number == 1);
        CHECK(unit.statements[0].sql == "select 1");
    }
}

TEST_CASE("what may write is left out and counted, and only what reads is sent") {
    Talk talk;
    talk.log_in();
    talk.client(Captured::query("begin")).server(Captured::complete("BEGIN") + Captured::ready('T'));
    talk.client(Captured::query("delete from t")).server(Captured::complete("DELETE 3") + Captured::ready('T'));
    talk.client(Captured::query("select 1; drop table t"));
    talk.server(Captured::complete("SELECT 1") + Captured::complete("DROP TABLE") + Captured::ready('T'));
    const SessionPlan plan = talk.plan();
    REQUIRE(plan.units.size() == 3);
    CHECK(said(plan.units[0]) == "Q");
    CHECK(plan.units[1].requests.empty());
    CHECK(plan.units[1].left_out == LeftOut::writes);
    CHECK(plan.units[2].requests.empty());
    CHECK(plan.statements == 3);
    CHECK(plan.left_out[static_cast<std::size_t>(LeftOut::writes)] == 2);
}

TEST_CASE("with --writes everything is played") {
    Talk talk({.writes = true});
    talk.log_in().client(Captured::query("delete from t")).server(Captured::complete("DELETE 3") + Captured::ready());
    CHECK(said(talk.plan().units.at(0)) == "Q");
}

TEST_CASE("of a pipeline what writes is taken out, with what stands on it, and its answer too") {
    Talk talk;
    talk.log_in();
    talk.client(Captured::parse("w", "insert into t values ($1)") + Captured::parse("r", "select 1") + end_of_unit());
    talk.server(message('1', "") + message('1', "") + Captured::ready());
    talk.client(Captured::bind("", "w") + Captured::execute("") + Captured::bind("", "r") + Captured::execute("") +
                end_of_unit());
    talk.server(message('2', "") + Captured::complete("INSERT 0 1") + message('2', "") + row() +
                Captured::complete("SELECT 1") + Captured::ready());
    const SessionPlan plan = talk.plan();
    REQUIRE(plan.units.size() == 2);
    CHECK(said(plan.units[0]) == "PS");
    CHECK(said(plan.units[1]) == "BES");
    REQUIRE(plan.units[1].expected.results.size() == 1);
    CHECK(plan.units[1].expected.results[0].text == "SELECT 1");
    CHECK(plan.units[1].statements[0].left_out == LeftOut::writes);
    CHECK(plan.units[1].statements[1].sql == "select 1");
}

TEST_CASE("nothing that was blanked is ever sent, with --writes neither") {
    for (const bool writes : {false, true}) {
        Talk talk({.writes = writes});
        talk.log_in();
        talk.client(Captured::query("alter role app password '********'"));
        talk.server(Captured::complete("ALTER ROLE") + Captured::ready());
        talk.client(Captured::query("select dblink_connect('*')"));
        talk.server(Captured::complete("SELECT 1") + Captured::ready());
        talk.client(Captured::parse("", "select $1 as secret") + message('B', "\0\0\0\0\0\1\0\0\0\3***\0\0"s) +
                    Captured::execute("") + end_of_unit());
        talk.server(Captured::complete("SELECT 1") + Captured::ready());
        const SessionPlan plan = talk.plan();
        REQUIRE(plan.units.size() == 3);
        CHECK(plan.units[0].requests.empty());
        CHECK(plan.units[1].requests.empty());
        CHECK(said(plan.units[2]) == "PS");  // its text has nothing blanked; its values have
        CHECK(plan.left_out[static_cast<std::size_t>(LeftOut::blanked)] == 3);
    }
}

TEST_CASE("a COPY with blanked data is left out as a whole") {
    Talk talk({.writes = true});
    talk.log_in().client(Captured::query("copy t from stdin")).server(message('G', "\0\0\0"s));
    talk.client(message('d', "name\t****\n") + message('c', ""));
    talk.server(Captured::complete("COPY 1") + Captured::ready());
    const SessionPlan plan = talk.plan();
    REQUIRE(plan.units.size() == 1);
    CHECK(plan.units[0].requests.empty());
    CHECK(plan.units[0].left_out == LeftOut::blanked);
}

TEST_CASE("the data of a COPY waits for the server's word, in both protocols") {
    Talk talk({.writes = true});
    talk.log_in().client(Captured::query("copy t from stdin")).server(message('G', "\0\0\0"s));
    talk.client(message('d', "1\n") + message('c', ""));
    talk.server(Captured::complete("COPY 1") + Captured::ready());
    talk.client(Captured::parse("", "copy t from stdin") + Captured::bind("", "") + Captured::execute("") +
                end_of_unit());
    talk.server(message('1', "") + message('2', "") + message('G', "\0\0\0"s));
    talk.client(message('d', "1\n") + message('c', "") + end_of_unit());
    talk.server(Captured::complete("COPY 1") + Captured::ready());
    const SessionPlan plan = talk.plan();
    REQUIRE(plan.units.size() == 2);
    CHECK(said(plan.units[0]) == "Q dc");
    CHECK(plan.units[0].requests[1].awaited == Awaited{.unit = 0, .parts = 1});
    CHECK(plan.units[0].copies_in);
    CHECK(said(plan.units[1]) == "PBES dcS");
    CHECK(plan.units[1].requests[1].awaited == Awaited{.unit = 1, .parts = 3});
}

TEST_CASE("what was sent without waiting is sent so again") {
    Talk talk;
    talk.log_in();
    const std::string one =
        Captured::parse("", "select 1") + Captured::bind("", "") + Captured::execute("") + end_of_unit();
    talk.client(one + one).server(Captured::complete("SELECT 1") + Captured::ready() + Captured::error("57014") +
                                  Captured::ready());
    const SessionPlan plan = talk.plan();
    REQUIRE(plan.units.size() == 2);
    CHECK(plan.units[1].requests[0].awaited == Awaited{});
    CHECK(plan.units[1].expected.results[0].sqlstate == "57014");
}

TEST_CASE("where bytes are missing the plan ends, and what has no answer is left out") {
    Talk talk;
    talk.log_in().client(Captured::query("select 1")).server(Captured::complete("SELECT 1") + Captured::ready());
    talk.client(Captured::query("select 2")).lose(CapturedSide::server, 100);
    talk.server(Captured::complete("SELECT 1") + Captured::ready());
    const SessionPlan plan = talk.plan();
    CHECK_FALSE(plan.cut.empty());
    REQUIRE(plan.units.size() == 2);
    CHECK(plan.units[1].left_out == LeftOut::unanswered);
    CHECK(plan.units[1].requests.empty());
    CHECK(plan.left_out[static_cast<std::size_t>(LeftOut::unanswered)] == 1);
}

TEST_CASE("zeros, as framing that was lost leaves them, are no message") {
    Talk talk;
    talk.log_in().client(std::string(64, '\0'));
    CHECK_FALSE(talk.plan().cut.empty());
}

TEST_CASE("startup parameters that were blanked are not kept") {
    Talk talk;
    talk.log_in({{"user", "app"}, {"options", "-c x.key=****"}, {"DateStyle", "ISO"}});
    const SessionPlan plan = talk.plan();
    REQUIRE(plan.startup.has_value());
    CHECK(plan.startup_blanked);
    CHECK(plan.startup->find("options").empty());
    CHECK(plan.startup->find("DateStyle") == "ISO");
}

TEST_CASE("startup parameters that lift the read-only mode are not kept, unless writes or nothing is played") {
    const auto plan = [](PlanRules rules) {
        Talk talk(rules);
        talk.log_in({{"user", "app"}, {"default_transaction_read_only", "off"}, {"options", "-c role=a -c a.b=1"}});
        return talk.plan();
    };
    const SessionPlan made = plan({});
    CHECK(made.startup_guarded);
    CHECK(made.startup->find("default_transaction_read_only").empty());
    CHECK(made.startup->find("options") == "-c a.b=1");
    for (const PlanRules rules : {PlanRules{.writes = true}, PlanRules{.openings = true}}) {
        CHECK_FALSE(plan(rules).startup_guarded);
        CHECK(plan(rules).startup->parameters.size() == 3);
    }
}

TEST_CASE("a statement that calls an unknown function is left out and counted for it") {
    Talk talk;
    talk.log_in().client(Captured::query("select wipe()")).server(Captured::complete("SELECT 1") + Captured::ready());
    const SessionPlan plan = talk.plan();
    CHECK(plan.units.at(0).requests.empty());
    CHECK(plan.left_out[static_cast<std::size_t>(LeftOut::calls)] == 1);
}

TEST_CASE("of an opening nothing behind the login is kept") {
    Talk talk({.openings = true});
    talk.log_in().client(Captured::query("select '****'")).server(Captured::complete("SELECT 1") + Captured::ready());
    const SessionPlan plan = talk.plan();
    CHECK(plan.login == Login::accepted);
    CHECK(plan.units.empty());
    CHECK(plan.cut.empty());
}

TEST_CASE("a refused login and a cancel request are known") {
    Talk refused;
    refused.client(std::string(protocol::as_text(protocol::serialize(protocol::SSLRequest{}))));
    refused.server("N").client(std::string(protocol::as_text(
        protocol::serialize(protocol::StartupMessage{.version = 3 << 16, .parameters = {{"user", "app"}}}))));
    refused.server(Captured::error("3D000", "FATAL"));
    const SessionPlan plan = refused.plan();
    CHECK(plan.ssl_requested);
    CHECK(plan.login == Login::refused);
    CHECK(plan.sqlstate == "3D000");
    Talk cancel;
    cancel.client(
        std::string(protocol::as_text(protocol::serialize(protocol::CancelRequest{.pid = 7, .key = {0, 0, 0, 0}}))));
    CHECK(cancel.plan().cancels_pid == std::optional<std::uint32_t>(7));
}

TEST_CASE("the hash of rows is the same in any order, and unknown where some are blanked") {
    const auto hash = [](const std::string& rows) {
        Talk talk({.hash_rows = true});
        talk.log_in()
            .client(Captured::query("select x from t"))
            .server(rows + Captured::complete("SELECT 2") + Captured::ready());
        return talk.plan().units.at(0).expected.results.at(0);
    };
    const std::string a = message('D', "a"), b = message('D', "b"), blank = message('D', "md5****");
    CHECK(hash(a + b).hash == hash(b + a).hash);
    CHECK(hash(a + b).hash != hash(a + a).hash);
    CHECK_FALSE(hash(a + b).blanked);
    CHECK(hash(a + blank).blanked);
}

TEST_CASE("what stands on a statement or cursor of SQL that was left out is left out with it") {
    Talk talk;
    talk.log_in();
    const auto played = [&](const std::string& sql) {
        talk.client(Captured::query(sql)).server(Captured::complete("X") + Captured::ready());
    };
    for (const char* sql :
         {"prepare w as insert into t values (1)", "execute w", "explain analyze execute w", "deallocate w",
          "declare c cursor for select f()", "fetch all from c", "close c", "execute of_another_session"})
        played(sql);
    for (const char* sql : {"prepare r as select 1", "execute r", "deallocate prepare r", "deallocate all",
                            "declare c cursor for select 1", "fetch all from c", "close c"})
        played(sql);
    const SessionPlan plan = talk.plan();
    REQUIRE(plan.units.size() == 15);
    for (std::size_t i = 0; i < plan.units.size(); ++i) {
        INFO(i);
        CHECK(plan.units[i].requests.empty() == (i < 8));
    }
}

TEST_CASE("a Bind of what this session has not prepared is not sent, unless writes are asked for") {
    for (const bool writes : {false, true}) {
        Talk talk({.writes = writes});
        talk.log_in().client(Captured::bind("", "of_another_session") + Captured::execute("") + end_of_unit());
        talk.server(message('2', "") + Captured::complete("SELECT 1") + Captured::ready());
        CHECK(talk.plan().units.at(0).requests.empty() == !writes);
    }
    Talk talk;
    talk.log_in().client(Captured::query("prepare r as select 1"));
    talk.server(Captured::complete("PREPARE") + Captured::ready());
    talk.client(Captured::bind("", "r") + Captured::execute("") + end_of_unit());
    talk.server(message('2', "") + Captured::complete("SELECT 1") + Captured::ready());
    CHECK_FALSE(talk.plan().units.at(1).requests.empty());
}
