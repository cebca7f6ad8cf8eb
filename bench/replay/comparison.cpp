#include "bench/replay/comparison.hpp"

#include <algorithm>

namespace bench::replay {
namespace {

bool is_same(const Result& was, const Result& is, bool rows) {
    if (!was.sqlstate.empty() || !is.sqlstate.empty()) return was.sqlstate == is.sqlstate;
    return was.text == is.text && was.rows == is.rows && (!rows || was.blanked || was.hash == is.hash);
}

std::string words(const Result& result, const Result& other) {
    const bool only_rows = result.text == other.text && result.sqlstate.empty();
    if (!only_rows) return result.shown();
    const bool count = result.rows != other.rows;
    char hash[32];
    std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(result.hash));
    return result.shown() + (count ? ", " + std::to_string(result.rows) + " rows" : std::string(", rows hash ") + hash);
}

std::vector<const Statement*> played(const Unit& unit) {
    std::vector<const Statement*> out;
    for (const Statement& statement : unit.statements) {
        if (statement.left_out == LeftOut::no) out.push_back(&statement);
    }
    return out;
}

}  // namespace

void Outcome::differs(Difference difference) {
    ++different;
    const auto add_text = [&](std::string_view text) {
        for (const char c : text) digest = (digest ^ static_cast<std::uint8_t>(c)) * 1099511628211U;
    };
    add_text(std::to_string(difference.statement) + " ");
    add_text(difference.is);
    if (!first) first = std::move(difference);
}

void Outcome::add(const Outcome& other) {
    played += other.played;
    not_played += other.not_played;
    different += other.different;
    rows_unknown += other.rows_unknown;
    cancels_failed += other.cancels_failed;
    if (!first) first = other.first;
    if (failure.empty()) failure = other.failure;
    if (left_out.empty()) left_out = other.left_out;
    if (not_played_as.empty()) {
        not_played_as = other.not_played_as;
        why_not_played = other.why_not_played;
    }
    if (tls_left_out.empty()) tls_left_out = other.tls_left_out;
    own_groups = own_groups || other.own_groups;
    if (digest == 0) digest = other.digest;
}

void compare(const Unit& unit, const Answer& answer, bool rows, Outcome& outcome) {
    const auto statements = played(unit);
    const auto& was = unit.expected.results;
    const auto& is = answer.results;
    const std::uint32_t before = outcome.different;
    const Result nothing;
    const auto differs = [&](std::size_t i, std::string expected, std::string got) {
        const std::size_t at = unit.extended ? i : 0;
        const Statement* statement = statements.empty() ? nullptr : statements[std::min(at, statements.size() - 1)];
        outcome.differs({.statement = statement ? statement->number : 0,
                         .sql = statement ? statement->sql : "",
                         .was = std::move(expected),
                         .is = std::move(got)});
    };
    for (std::size_t i = 0; i < std::max(was.size(), is.size()); ++i) {
        const Result& expected = i < was.size() ? was[i] : nothing;
        const Result& got = i < is.size() ? is[i] : nothing;
        if (rows && expected.blanked) ++outcome.rows_unknown;
        if (!is_same(expected, got, rows)) differs(i, words(expected, got), words(got, expected));
    }
    // A Query's several results are one statement's.
    if (!unit.extended && outcome.different > before) outcome.different = before + 1;
    if (outcome.different == before && unit.expected.transaction != answer.transaction) {
        const bool left_out = statements.size() < unit.statements.size();
        if (!left_out)
            differs(0, std::string("transaction state ") + unit.expected.transaction,
                    std::string("transaction state ") + answer.transaction);
    }
    outcome.played += static_cast<std::uint32_t>(statements.size());
}

}  // namespace bench::replay
