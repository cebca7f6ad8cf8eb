#include "proxy/transcript/read_session.hpp"

#include <algorithm>

namespace proxy::transcript {
namespace {

using protocol::CapturedStatement;

constexpr std::size_t most_slow = 10;
constexpr std::size_t most_sqlstates = 200;

}  // namespace

std::uint64_t duration(const CapturedStatement& statement) noexcept {
    const bool known = statement.kind != CapturedStatement::Kind::unknown && statement.ended > statement.begun;
    return known ? statement.ended - statement.begun : 0;
}

bool ReadSession::absent() const noexcept {
    return std::any_of(absences.begin(), absences.end(), [](protocol::Absence why) {
        return protocol::kind(why) == protocol::AbsenceKind::left_out ||
               protocol::kind(why) == protocol::AbsenceKind::not_entered;
    });
}

void keep_slowest(std::vector<CapturedStatement>& slowest, const CapturedStatement& statement) {
    const std::uint64_t took = duration(statement);
    if (took == 0 || (slowest.size() >= most_slow && duration(slowest.back()) >= took)) return;
    const auto place = std::find_if(slowest.begin(), slowest.end(),
                                    [&](const CapturedStatement& other) { return duration(other) < took; });
    slowest.insert(place, statement);
    if (slowest.size() > most_slow) slowest.pop_back();
}

void count(SessionTotals& totals, const protocol::CapturedEntry& entry) {
    if (std::holds_alternative<protocol::CapturedGap>(entry)) ++totals.gaps;
    const auto* statement = std::get_if<CapturedStatement>(&entry);
    if (!statement) return;
    ++totals.statements;
    switch (statement->outcome) {
        case CapturedStatement::Outcome::failed: ++totals.failed; break;
        case CapturedStatement::Outcome::skipped: ++totals.skipped; break;
        case CapturedStatement::Outcome::unanswered: ++totals.unanswered; break;
        case CapturedStatement::Outcome::completed:
        case CapturedStatement::Outcome::suspended: break;
    }
    totals.rows += statement->rows;
    totals.copied_in += statement->copied_in;
    totals.copied_out += statement->copied_out;
    totals.notices += statement->notices;
    keep_slowest(totals.slowest, *statement);
    if (!statement->error) return;
    if (totals.errors.size() >= most_sqlstates && !totals.errors.contains(statement->error->sqlstate)) return;
    ErrorCount& error = totals.errors[statement->error->sqlstate];
    if (error.count++ == 0) error.example = statement->error->message;
}

}  // namespace proxy::transcript
