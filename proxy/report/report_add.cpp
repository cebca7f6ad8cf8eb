// Several rows as one client: numbers are added, times and evidence merged, names that never repeat
// folded.
#include <map>
#include <string_view>
#include <tuple>

#include "proxy/inventory/key_exchange_groups.hpp"
#include "proxy/inventory/name_pattern.hpp"
#include "proxy/report/report_rows.hpp"

namespace proxy::report {
namespace {

/// Names of which fewer differ in a number alone are those of programs: app1, app2.
constexpr std::size_t most_numbered_names = 8;

void add_facts(DayFacts& into, const DayFacts& from) {
    into.connections += from.connections;
    into.weak_tls += from.weak_tls;
    into.bridged += from.bridged;
    into.failures += from.failures;
    into.auth_failed += from.auth_failed;
    into.open_until = std::max(into.open_until, from.open_until);
    merge_times(into, from);
}

}  // namespace

void add_client(ClientRow& into, const ClientRow& from) {
    const bool is_newer = from.last_seen > into.last_seen;
    into.groups = is_newer ? merged_groups(from.groups, into.groups) : merged_groups(into.groups, from.groups);
    if (is_newer) {
        into.listener = from.listener;
        into.auth_method = from.auth_method;
        into.version = from.version;
        into.not_probed = from.not_probed;
    }
    merge_times(into, from);
    into.connections += from.connections;
    into.plain += from.plain;
    into.weak_tls += from.weak_tls;
    into.bridged += from.bridged;
    into.auth_failed += from.auth_failed;
    into.failures += from.failures;
    if (from.last_failure > into.last_failure) {
        into.last_failure = from.last_failure;
        into.failure_reason = from.failure_reason;
        into.failure_error = from.failure_error;
    }
    into.evidence.insert(into.evidence.end(), from.evidence.begin(), from.evidence.end());
    into.ja4.insert(into.ja4.end(), from.ja4.begin(), from.ja4.end());
    into.proxies.insert(from.proxies.begin(), from.proxies.end());
    into.names.insert(into.names.end(), from.names.begin(), from.names.end());
    for (const auto& [day, modes] : from.days) {
        for (const auto& [mode, facts] : modes) {
            const auto [there, is_new] = into.days[day].try_emplace(mode, facts);
            if (!is_new) add_facts(there->second, facts);
        }
    }
}

void fold_names(std::vector<ClientRow>& clients) {
    std::map<ClientIdentity, std::vector<std::size_t>> by_pattern;
    const auto pattern = [](ClientIdentity who) {
        who.application_name = name_pattern(who.application_name);
        return who;
    };
    for (std::size_t i = 0; i < clients.size(); ++i) by_pattern[pattern(clients[i].who)].push_back(i);
    std::vector<bool> gone(clients.size());
    for (const auto& [who, rows] : by_pattern) {
        if (rows.size() <= most_numbered_names) continue;
        ClientRow& first = clients[rows.front()];
        for (const std::size_t i : rows) clients[i].names = {clients[i].who.application_name};
        for (auto i = rows.begin() + 1; i != rows.end(); ++i) {
            add_client(first, clients[*i]);
            gone[*i] = true;
        }
        unite(first.evidence);
        first.who = who;
    }
    std::size_t i = 0;
    std::erase_if(clients, [&](const ClientRow&) { return gone[i++]; });
}

void unite(std::vector<EvidenceRow>& rows) {
    if (rows.size() < 2) return;
    std::map<std::tuple<std::string_view, std::string_view, bool>, std::size_t> kinds;
    std::vector<EvidenceRow> united;
    united.reserve(rows.size());  // the keys are parts of it
    for (EvidenceRow& row : rows) {
        const auto found = kinds.find({row.label, row.certificate, row.possible});
        if (found == kinds.end()) {
            const EvidenceRow& kind = united.emplace_back(std::move(row));
            kinds.try_emplace({kind.label, kind.certificate, kind.possible}, united.size() - 1);
            continue;
        }
        EvidenceRow& kind = united[found->second];
        if (row.last_seen >= kind.last_seen) kind.session = row.session;
        merge_times(kind, row);
        kind.count += row.count;
    }
    rows = std::move(united);
}

}  // namespace proxy::report
