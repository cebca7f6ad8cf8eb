#include "proxy/transcript/summary.hpp"

#include <algorithm>

namespace proxy::transcript {
namespace {

constexpr std::size_t most_clients = 10'000;
constexpr std::size_t most_slow_of_all = 10;
constexpr std::size_t most_sqlstates_of_all = 500;

ClientCounts counts_of(const ReadSession& session) {
    ClientCounts counts{.connections = 1};
    if (session.opening.kind == protocol::CapturedOpening::Kind::cancel) {
        counts.cancels = 1;
        return counts;
    }
    const std::string reason = session.failures.empty() ? "" : session.failures.back().reason;
    const std::string event = session.failures.empty() ? "" : session.failures.back().event;
    if (event == "tls_failed") {
        counts.tls_failed = 1;
    } else if (event == "auth_failed") {
        counts.login_failed = 1;
    } else if (event == "rejected") {
        counts.rejected = 1;
    } else if (event == "upstream_failed") {
        counts.upstream_failed = 1;
        if (reason == "server_certificate_rejected") counts.server_certificate_refused = 1;
        if (reason == "server_not_accepted") counts.server_tls_failed = 1;
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
    server_certificate_refused += other.server_certificate_refused;
    server_tls_failed += other.server_tls_failed;
    cancels += other.cancels;
}

bool ClientSummary::fails_more() const noexcept {
    if (fails_since() || since.failures() == 0) return false;
    return before.connections == 0 || since.failures() * before.connections > before.failures() * since.connections;
}

void Summary::add(const ReadSession& session) {
    const ClientCounts counts = counts_of(session);
    const bool is_since = compare_at_ && session.started >= *compare_at_;
    all_.add(counts);
    (is_since ? since_ : before_).add(counts);
    add_statements(session);

    const SessionFacts& facts = session.facts;
    ClientKey key{.address = facts.client_addr,
                  .user = facts.user,
                  .application_name = facts.application_name,
                  .exe = facts.client_exe,
                  .uid = facts.client_uid};
    if (clients_.size() >= most_clients && !clients_.contains(key)) {
        ++others_;
        return;
    }
    ClientSummary& client = clients_[std::move(key)];
    client.all.add(counts);
    (is_since ? client.since : client.before).add(counts);
    if (!session.failures.empty()) {
        const SessionFailure& failure = session.failures.back();
        client.last_failure = failure.words.empty() ? failure.detail : failure.words;
    }
}

std::map<ClientKey, ClientSummary> Summary::clients() const {
    std::map<ClientKey, ClientSummary> clients = clients_;
    for (const auto& [key, client] : clients_) {
        if (!key.has_name() && client.all.tls_failed > 0) give_to_names(clients, key);
    }
    return clients;
}

/// What failed without a name, to the one that has the same process. Where several have, or only
/// the address is known, nobody can tell: it stays, and those that are silent since are told so.
void Summary::give_to_names(std::map<ClientKey, ClientSummary>& clients, const ClientKey& nameless) const {
    std::vector<ClientSummary*> same, possible;
    for (auto at = clients.lower_bound({.address = nameless.address});
         at != clients.end() && at->first.address == nameless.address; ++at) {
        if (!at->first.has_name()) continue;
        const bool blameless = compare_at_ && at->second.left_in_clear();
        if (at->first.is_process_of(nameless) && !blameless) same.push_back(&at->second);
        if (at->first.may_be(nameless)) possible.push_back(&at->second);
    }
    const ClientSummary failing = clients.at(nameless);
    // The only one at its address that has gone silent is the one that fails.
    const auto went_silent = [&](const ClientSummary& client) { return compare_at_ && client.may_have_lost_tls(); };
    const bool only_silent = same.empty() && possible.size() == 1 && went_silent(*possible.front());
    if (same.size() == 1 || only_silent) {
        ClientSummary& client = *(only_silent ? possible : same).front();
        client.all.add(failing.all);
        client.before.add(failing.before);
        client.since.add(failing.since);
        client.last_failure = failing.last_failure;
        clients.erase(nameless);
        return;
    }
    if (failing.since.tls_failed == 0) return;
    for (ClientSummary* client : possible) {
        if (went_silent(*client)) client->silent_while = failing.last_failure;
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
