#include "bench/replay/replay_report.hpp"

#include "support/catch.hpp"

using namespace bench::replay;
using Verdict = ReplayReport::Verdict;

namespace {

CapturedSession session(const std::string& name, std::uint32_t statements = 2) {
    CapturedSession made{.facts = {}, .plan = {}, .left_out = {}};
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
