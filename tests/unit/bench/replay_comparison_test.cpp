#include "bench/replay/comparison.hpp"
#include "support/catch.hpp"

using namespace bench::replay;

namespace {

Result completed(std::string tag, std::uint64_t rows = 0, std::uint64_t hash = 0) {
    return {.text = std::move(tag), .sqlstate = "", .rows = rows, .hash = hash, .blanked = false};
}
Result failed(const std::string& sqlstate) {
    return {.text = "ERROR " + sqlstate + ": it failed", .sqlstate = sqlstate, .rows = 0, .hash = 0, .blanked = false};
}

Unit unit(std::vector<Result> expected, bool extended = false) {
    Unit made{.requests = {}, .statements = {{.number = 4, .sql = "select a"}}, .expected = {}, .extended = extended};
    if (extended) made.statements.push_back({.number = 5, .sql = "select b"});
    made.expected = {.results = std::move(expected), .transaction = 'I'};
    return made;
}

Outcome compared(const Unit& unit, std::vector<Result> is, bool rows = false, char transaction = 'I') {
    Outcome outcome;
    compare(unit, {.results = std::move(is), .transaction = transaction}, rows, outcome);
    return outcome;
}

}  // namespace

TEST_CASE("tags, row counts and SQLSTATEs are compared, messages of errors are not") {
    CHECK(compared(unit({completed("SELECT 1", 1)}), {completed("SELECT 1", 1)}).same());
    CHECK_FALSE(compared(unit({completed("SELECT 1", 1)}), {completed("SELECT 2", 2)}).same());
    CHECK_FALSE(compared(unit({completed("suspended", 1)}), {completed("suspended", 2)}).same());
    Result other = failed("42P01");
    other.text = "FEHLER 42P01: in another language";
    CHECK(compared(unit({failed("42P01")}), {other}).same());
    CHECK_FALSE(compared(unit({failed("42P01")}), {failed("42703")}).same());
}

TEST_CASE("rows are compared when that is asked for, and are not where they were blanked") {
    const Unit was = unit({completed("SELECT 1", 1, 11)});
    CHECK(compared(was, {completed("SELECT 1", 1, 12)}).same());
    const Outcome differs = compared(was, {completed("SELECT 1", 1, 12)}, true);
    REQUIRE(differs.first.has_value());
    CHECK(differs.first->was == "SELECT 1, rows hash 000000000000000b");
    CHECK(differs.first->is == "SELECT 1, rows hash 000000000000000c");
    Unit blanked = was;
    blanked.expected.results[0].blanked = true;
    const Outcome unknown = compared(blanked, {completed("SELECT 1", 1, 12)}, true);
    CHECK(unknown.same());
    CHECK(unknown.rows_unknown == 1);
}

TEST_CASE("the first difference says which statement, and what was and is") {
    const Outcome outcome =
        compared(unit({completed("SELECT 1"), completed("SELECT 2")}, true), {completed("SELECT 1"), failed("42P01")});
    REQUIRE(outcome.first.has_value());
    CHECK(outcome.first->statement == 5);
    CHECK(outcome.first->sql == "select b");
    CHECK(outcome.first->was == "SELECT 2");
    CHECK(outcome.first->is == "ERROR 42P01: it failed");
    CHECK(outcome.different == 1);
    CHECK(outcome.played == 2);
}

TEST_CASE("answers that are missing, or too many, are differences") {
    CHECK(compared(unit({completed("SELECT 1"), completed("SELECT 2")}, true), {completed("SELECT 1")}).first->is ==
          "nothing");
    CHECK(compared(unit({completed("SELECT 1")}, true), {completed("SELECT 1"), completed("SELECT 2")}).first->was ==
          "nothing");
}

TEST_CASE("a Query with several results is one different statement") {
    const Outcome outcome = compared(unit({completed("SELECT 1"), completed("SELECT 2")}), {failed("42P01")});
    CHECK(outcome.different == 1);
    CHECK(outcome.first->statement == 4);
}

TEST_CASE("the state of the transaction is compared, unless something of the unit was left out") {
    CHECK_FALSE(compared(unit({completed("BEGIN")}), {completed("BEGIN")}, false, 'T').same());
    Unit partial = unit({completed("SELECT 1")}, true);
    partial.statements[0].left_out = LeftOut::writes;
    CHECK(compared(partial, {completed("SELECT 1")}, false, 'T').same());
}

TEST_CASE("two targets that differ in the same way have the same digest") {
    const Unit was = unit({completed("SELECT 1")});
    CHECK(compared(was, {failed("42P01")}).digest == compared(was, {failed("42P01")}).digest);
    CHECK(compared(was, {failed("42P01")}).digest != compared(was, {completed("SELECT 2")}).digest);
    CHECK(compared(was, {completed("SELECT 1")}).digest == 0);
}
