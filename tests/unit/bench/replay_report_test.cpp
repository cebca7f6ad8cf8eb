#include "bench/replay/replay_report.hpp"

#include "support/catch.hpp"

using namespace bench::replay;
using Verdict = ReplayReport::Verdict;

namespace {

CapturedSession session(const std::string& name, std::uint32_t statements = 2) {
    CapturedSession made{.facts = {}, .plan = {}, .offer = {}, .left_out = {}};
    made.facts.session = name;
    made.facts.user = "app";
    made.facts.database = "shop";
    made.plan.statements = statements;
    return made;
}

Outcome same() {
    Outcome outcome;
    outcome.played = 2;
    return outcome;
}

Outcome different() {
    Outcome outcome = same();
    outcome.differs({.statement = 2, .sql = "select * from t", .was = "SELECT 1", .is = "ERROR 42P01: no t\x1b[31m"});
    return outcome;
}

ReplayReport report(std::vector<Outcome> outcomes) {
    ReplayReport made{.version = "1", .files = {"a.pcapng"}, .rules = {}, .capture = {}, .targets = {}};
    made.capture.payloads = {"full"};
    for (std::size_t i = 0; i < outcomes.size(); ++i)
        made.capture.sessions.push_back(session("s" + std::to_string(i + 1)));
    made.targets.push_back({.name = "old",
                            .address = "127.0.0.1:5432",
                            .outcomes = outcomes,
                            .begun = std::vector<bool>(outcomes.size(), true),
                            .latency = {}});
    return made;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a replay is the same when all of it is, and something was compared") {
    CHECK(report({same(), same()}).same());
    CHECK_FALSE(report({same(), different()}).same());
    CHECK_FALSE(report({}).same());
    ReplayReport nothing_played = report({Outcome()});
    CHECK(nothing_played.verdict(0, 0) == Verdict::left_out);
    CHECK_FALSE(nothing_played.same());
    ReplayReport stopped = report({same()});
    stopped.interrupted = true;
    CHECK_FALSE(stopped.same());
}

TEST_CASE("what was left out is said first") {
    ReplayReport made = report({same(), same()});
    CHECK(to_table(made).starts_with("left out: nothing\n"));
    made.capture.sessions[0].plan.left_out = {0, 1, 0, 1, 1};
    made.capture.sessions[0].plan.startup_guarded = true;
    made.capture.sessions[1].left_out = "was open before the capture began";
    made.capture.cancels_left_out = 1;
    made.targets[0].begun[1] = false;
    CHECK(made.left_out() ==
          std::vector<std::string>{"1 session left out: was open before the capture began",
                                   "1 of 2 statements may write and were left out; --writes plays them",
                                   "1 of 2 statements call functions that are not known to read only, and were left "
                                   "out; --writes plays them",
                                   "1 of 2 statements have no answer in the capture, and were left out",
                                   "1 session opened without the startup parameters that could lift the read-only "
                                   "mode, or that are not known",
                                   "1 cancel request left out: what they were to end is not played"});
    CHECK(to_table(made).starts_with("left out, or not compared:\n  1 session left out: was open"));
    CHECK(to_json(made).find("left_out") < to_json(made).find("sessions"));
    CHECK(to_html(made).find("was open before") < to_html(made).find("Played"));
}

TEST_CASE("the first difference is shown, with nothing in it that reaches a terminal") {
    const ReplayReport made = report({same(), different()});
    const std::string table = to_table(made);
    CHECK(has(table, "session s2 (app on shop): different in 1 of 2 statements, first in statement 2\n"));
    CHECK(has(table, "    select * from t\n    was SELECT 1\n    is  ERROR 42P01: no t"));
    for (const std::string& text : {table, to_json(made), to_html(made)}) CHECK_FALSE(has(text, "\x1b"));
}

TEST_CASE("two targets are compared with each other too") {
    ReplayReport made = report({same(), different()});
    made.targets.push_back(made.targets[0]);
    made.targets[1].name = "new";
    CHECK(made.apart(1, 0) == 0);
    made.targets[1].outcomes[1] = same();
    CHECK(made.apart(1, 0) == 1);
    CHECK(has(to_table(made), "answered unlike old: 1"));
}

TEST_CASE("a capture that has blanks says so before all else") {
    ReplayReport made = report({same()});
    made.capture.payloads = {"redacted"};
    CHECK(made.left_out().at(0).starts_with("payload=redacted: literals, parameters and rows were blanked"));
}

TEST_CASE("beside a full capture, a session that is blanked is opened and compared, and the others are played") {
    ReplayReport made = report({same(), Outcome()});
    made.capture.payloads = {"full", "redacted"};
    made.capture.sessions[1].openings = true;
    made.capture.repeated = 2;
    CHECK(made.verdict(1, 0) == Verdict::same);
    CHECK(made.left_out().at(0).ends_with(
        "no statement of a session that is only in it is played: only how sessions open"));
    CHECK(made.left_out().at(1) ==
          "2 sessions in several of these captures: each is played once, from the one that "
          "tells most");
    CHECK(has(to_json(made), "\"statements\":2,\"openings\":true"));
}

TEST_CASE("sessions that could not be opened are a class of their own, and are told first") {
    Outcome refused;
    refused.not_played_as = "wrong password, or no such user (28P01)";
    refused.why_not_played = "authentication: FATAL 28P01: password authentication failed for user \"app\"";
    refused.not_played = 2;
    ReplayReport made = report({same(), refused, refused, different()});
    CHECK(made.verdict(1, 0) == Verdict::not_played);
    CHECK(made.count(0, Verdict::not_played) == 2);
    CHECK(made.count(0, Verdict::same) == 1);
    CHECK(made.count(0, Verdict::different) == 1);
    CHECK_FALSE(report({same(), refused}).same());
    CHECK(made.left_out().at(0) == "2 sessions not played at old: wrong password, or no such user (28P01)");
    CHECK(summary(made, 0).starts_with("2 sessions not played; 1 session same, 1 different, 0 left out"));
    CHECK(has(to_table(made),
              "session s2 (app on shop): not played: wrong password, or no such user (28P01)\n"
              "    authentication: FATAL 28P01: "));
    CHECK(has(to_json(made), "\"verdict\":\"not played\""));
    CHECK(has(to_json(made), "\"not_played\":2,\"unlike_first\""));
    CHECK(has(to_html(made), "not played"));
    made.targets.push_back(made.targets[0]);
    made.targets[1].outcomes[1] = same();
    CHECK(made.apart(1, 0) == 0);  // one of them was not played: there is nothing to compare
}

TEST_CASE("a session of several clients of which one could not be opened is not the same") {
    Outcome both = same(), refused;
    refused.not_played_as = "too many connections (53300)";
    both.add(refused);
    CHECK(report({both}).verdict(0, 0) == Verdict::not_played);
}

TEST_CASE("what of the key exchange is not offered again is told for each opening, and counted") {
    Outcome outcome = same();
    outcome.tls_left_out = {"GREASE", "X25519MLKEM768"};
    Outcome own = same();
    own.own_groups = true;
    ReplayReport made = report({outcome, outcome, own});
    made.rules.openings = true;
    CHECK(made.left_out() ==
          std::vector<std::string>{
              "2 sessions opened without what had been offered for the key exchange, at old: GREASE, X25519MLKEM768",
              "1 opening with the TLS groups of this OpenSSL: what clients had offered is not in the capture"});
    CHECK(has(to_table(made), "  session s2 (app on shop): opened without GREASE, X25519MLKEM768\n"));
    CHECK(has(to_json(made), "\"tls_left_out\":[\"GREASE\",\"X25519MLKEM768\"]"));
    CHECK(made.same());
}
