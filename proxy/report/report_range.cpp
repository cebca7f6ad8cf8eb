// What of a client belongs to a range of time.
#include <algorithm>

#include "proxy/report/report.hpp"

namespace proxy::report {
namespace {

/// Days are whole in the inventory, and their times say from when to when: bad news count as soon
/// as they may have been within.
bool may_be_within(Timestamp first_seen, Timestamp last_seen, const Range& range) {
    return last_seen >= range.since && first_seen <= range.until;
}

bool is_within(Timestamp time, const Range& range) { return time >= range.since && time <= range.until; }

/// Clear text, a certificate that nobody should accept, a refused candidate, a failure, and what is
/// not understood.
bool is_bad_news(const EvidenceRow& row) {
    if (!row.evidence) return true;
    const protocol::Facts& facts = protocol::facts(*row.evidence);
    const bool refused_ours = facts.broken_trust || (facts.is_refusal() && !facts.probe);
    return facts.proves.max <= protocol::SslMode::require || refused_ours ||
           (facts.is_refusal() && facts.probe == protocol::ProbeKind::candidate);
}

/// What speaks for a client must have been seen within.
bool counts(const EvidenceRow& row, const Range& range) {
    if (!may_be_within(row.first_seen, row.last_seen, range)) return false;
    if (is_bad_news(row)) return true;
    return is_within(row.first_seen, range) || is_within(row.last_seen, range);
}

/// Failures have no times of their own within a day that has connections. Of connections that went
/// on it is not known which: all that were as bad.
bool day_counts(std::int64_t day, DayFacts& facts, const Range& range) {
    if (may_be_within(facts.first_seen, facts.last_seen, range)) return true;
    const bool failed = facts.failures > 0 && may_be_within(day * day_length, (day + 1) * day_length - 1, range);
    const bool went_on = may_be_within(facts.first_seen, facts.open_until, range);
    if (!failed) facts.failures = facts.auth_failed = 0;
    if (!went_on) facts.connections = facts.weak_tls = facts.bridged = 0;
    if (facts.weak_tls > 0) facts.connections = facts.weak_tls;
    return failed || went_on;
}

void count_anew(ClientRow& row) {
    row.connections = row.plain = row.weak_tls = row.bridged = row.failures = row.auth_failed = 0;
    for (const auto& [day, modes] : row.days) {
        for (const auto& [mode, facts] : modes) {
            row.connections += facts.connections;
            if (mode_of(mode) == Mode::clear) row.plain += facts.connections;
            row.weak_tls += facts.weak_tls;
            row.bridged += facts.bridged;
            row.failures += facts.failures;
            row.auth_failed += facts.auth_failed;
        }
    }
}

}  // namespace

bool restrict_to(ReportClient& client, const Range& range) {
    ClientRow& row = client.row;
    if (!may_be_within(row.first_seen, row.last_seen, range)) return false;
    std::erase_if(row.evidence, [&](const EvidenceRow& evidence) { return !counts(evidence, range); });
    std::erase_if(client.probes, [&](const ProbeCost& probe) { return probe.last_shown < range.since; });
    row.last_seen = std::min(row.last_seen, range.until);
    for (EvidenceRow& evidence : row.evidence) evidence.last_seen = std::min(evidence.last_seen, range.until);
    if (row.days.empty()) return !row.evidence.empty();  // never seen but in handshakes
    for (auto& [day, modes] : row.days) {
        for (auto mode = modes.begin(); mode != modes.end();)
            mode = day_counts(day, mode->second, range) ? std::next(mode) : modes.erase(mode);
    }
    std::erase_if(row.days, [](const auto& day) { return day.second.empty(); });
    count_anew(row);
    if (row.failures == 0 || row.last_failure > range.until) {  // they are of another
        row.failure_reason.reset();
        row.failure_error.clear();
    }
    if (row.failures == 0) row.last_failure = 0;
    row.last_failure = std::min(row.last_failure, range.until);
    return !row.days.empty() || !row.evidence.empty();
}

}  // namespace proxy::report
