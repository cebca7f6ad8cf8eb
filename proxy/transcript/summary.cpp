#include "proxy/transcript/summary.hpp"

#include <algorithm>

namespace proxy::transcript {
namespace {

constexpr std::size_t most_clients = 10'000;
constexpr std::size_t most_users = 5;
constexpr std::size_t most_slow_of_all = 10;
constexpr std::size_t most_sqlstates_of_all = 500;

ClientCounts counts_of(const ReadSession& session) {
    ClientCounts counts{.connections = 1};
    if (session.opening.kind == protocol::CapturedOpening::Kind::cancel) {
        counts.cancels = 1;
        return counts;
    }
    const std::string event = session.failures.empty() ? "" : session.failures.back().event;
    if (event == "tls_failed") {
        counts.tls_failed = 1;
    } else if (event == "auth_failed") {
        counts.login_failed = 1;
    } else if (event == "rejected") {
        counts.rejected = 1;
    } else if (event == "upstream_failed") {
        counts.upstream_failed = 1;
    }
    if (session.facts.ssl && event != "tls_failed") ++(*session.facts.ssl ? counts.tls : counts.plain);
    return counts;
}

}  // namespace

std::uint64_t ClientCounts::good() const noexcept {
    const std::uint64_t others = failures() + cancels;
    return connections - std::min(others, connections);
}

void ClientCounts::add(const ClientCounts& other) noexcept {
    connections += other.connections;
    plain += other.plain;
    tls += other.tls;
    tls_failed += other.tls_failed;
    login_failed += other.login_failed;
    rejected += other.rejected;
    upstream_failed += other.upstream_failed;
    cancels += other.cancels;
}

void Summary::add(const ReadSession& session) {
    const ClientCounts counts = counts_of(session);
    const bool is_since = compare_at_ && session.started >= *compare_at_;
    all_.add(counts);
    (is_since ? since_ : before_).add(counts);
    add_statements(session);

    const std::string& address = session.facts.client_addr;
    if (clients_.size() >= most_clients && !clients_.contains(address)) {
        ++others_;
        return;
    }
    ClientSummary& client = clients_[address];
    client.all.add(counts);
    (is_since ? client.since : client.before).add(counts);
    if (!session.facts.user.empty() && client.users.size() < most_users) client.users.insert(session.facts.user);
    if (!session.failures.empty()) {
        const SessionFailure& failure = session.failures.back();
        client.last_failure = failure.words.empty() ? failure.detail : failure.words;
    }
}

void Summary::add_statements(const ReadSession& session) {
    const SessionTotals& from = session.totals;
    totals_.statements += from.statements;
    totals_.failed += from.failed;
    totals_.skipped += from.skipped;
    totals_.unanswered += from.unanswered;
    totals_.rows += from.rows;
    totals_.copied_in += from.copied_in;
    totals_.copied_out += from.copied_out;
    totals_.notices += from.notices;
    totals_.gaps += from.gaps;
    for (const auto& [sqlstate, error] : from.errors) {
        if (totals_.errors.size() >= most_sqlstates_of_all && !totals_.errors.contains(sqlstate)) continue;
        ErrorCount& known = totals_.errors[sqlstate];
        if (known.count == 0) known.example = error.example;
        known.count += error.count;
    }
    for (const auto& statement : from.slowest)
        slowest_.push_back({.statement = statement, .session = session.facts.session, .user = session.facts.user});
    std::stable_sort(slowest_.begin(), slowest_.end(), [](const SlowStatement& a, const SlowStatement& b) {
        return duration(a.statement) > duration(b.statement);
    });
    if (slowest_.size() > most_slow_of_all) slowest_.resize(most_slow_of_all);
}

}  // namespace proxy::transcript
