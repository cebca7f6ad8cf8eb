// Whose a handshake was that came to no StartupMessage, and what probing cost whom.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "proxy/report/report.hpp"

namespace proxy::report {
namespace {

using protocol::Evidence;

/// When a client first accepted the certificate that was refused; nullopt: never.
std::optional<Timestamp> first_accepted(const EvidenceRow& handshake, const ClientRow& client) {
    std::optional<Timestamp> first;
    if (!handshake.evidence || !protocol::facts(*handshake.evidence).perhaps_anothers) return first;
    for (const EvidenceRow& row : client.evidence) {
        if (row.evidence != Evidence::tls_startup || row.certificate != handshake.certificate) continue;
        first = std::min(first.value_or(row.first_seen), row.first_seen);
    }
    return first;
}

/// Whoever was only ever seen in clear, and not after a failure, was not seen to try TLS at all.
bool never_tried_tls(const ClientRow& client) {
    return !client.evidence.empty() &&
           std::all_of(client.evidence.begin(), client.evidence.end(),
                       [](const EvidenceRow& row) { return row.evidence == Evidence::clear_startup; });
}

/// What connections that have no names can be told apart by.
struct Trace {
    ClientOrigin from;
    std::string ja4;  ///< only where the executable is not known
    auto operator<=>(const Trace&) const = default;
};

/// Without the user: inventories of version 1 did not have it.
ClientOrigin anybodys(ClientOrigin origin) {
    origin.client_uid = -1;
    return origin;
}

Trace trace(const HandshakeRow& handshake) {
    return {anybodys(handshake.from), handshake.from.client_exe.empty() ? handshake.ja4 : ""};
}

/// Unless both are known, and differ.
bool may_be_one_user(const ClientOrigin& a, const ClientOrigin& b) {
    return a.client_uid < 0 || b.client_uid < 0 || a.client_uid == b.client_uid;
}

bool is_anybodys(const Trace& trace) { return trace.from.client_exe.empty() && trace.ja4.empty(); }

/// Looked up, not searched: strangers can fill both tables (docs/inventory.md).
std::map<Trace, std::vector<std::size_t>> by_trace(const std::vector<ClientRow>& clients) {
    std::map<Trace, std::vector<std::size_t>> out;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        const ClientIdentity& who = clients[i].who;
        const auto add = [&](const std::string& exe, const std::string& ja4) {
            ClientOrigin origin = anybodys(who);
            origin.client_exe = exe;
            auto& indexes = out[{std::move(origin), ja4}];
            if (indexes.empty() || indexes.back() != i) indexes.push_back(i);
        };
        if (!who.client_exe.empty()) add(who.client_exe, "");
        for (const std::string& ja4 : clients[i].ja4) add("", ja4);
    }
    return out;
}

bool has_seen(const ClientRow& client, Evidence evidence) {
    return std::any_of(client.evidence.begin(), client.evidence.end(),
                       [&](const EvidenceRow& row) { return row.evidence == evidence; });
}

/// A client that falls back to clear text comes within seconds. The rest of the minute is for the
/// clocks of two proxies that differ, and for connections that are recorded when they end.
constexpr Timestamp fallback_time = 60'000'000;

/// A client connected in clear shortly after somebody at its address had failed with TLS: it, or
/// another.
struct Fallback {
    std::size_t client;
    const ClientOrigin* from;
    bool after_no;  // it was told that there is no TLS
    Timestamp first_seen;
    Timestamp last_seen;
};

/// By upstream, host and address.
using Fallbacks = std::map<std::tuple<std::string, std::string, std::string>, std::vector<Fallback>>;

auto place(const ClientOrigin& origin) { return std::tuple(origin.upstream, origin.seen_by, origin.client_addr); }

Fallbacks fallbacks(const std::vector<ClientRow>& clients) {
    Fallbacks out;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        const ClientIdentity& who = clients[i].who;
        // Whoever came in clear also when nobody had failed before does not fall back: that is how
        // it connects. But on this host it may have been another program with the same names.
        const bool from_this_host = who.client_uid >= 0;
        if (!from_this_host && has_seen(clients[i], Evidence::clear_startup)) continue;
        for (const EvidenceRow& row : clients[i].evidence) {
            const bool after_no = row.evidence == Evidence::clear_startup_after_declined;
            if (!after_no && row.evidence != Evidence::clear_startup_after_tls &&
                row.evidence != Evidence::clear_startup_after_refusal &&
                row.evidence != Evidence::clear_startup_after_tls_login)
                continue;
            out[place(who)].push_back({i, &who, after_no, row.first_seen, row.last_seen});
        }
    }
    return out;
}

/// Whether another client than `owners` connected in clear shortly after this handshake. Then the
/// handshake may have been that client's, which does not insist on TLS. It cannot be found among
/// the owners when its executable was not found, or when it was never seen with TLS.
bool another_may_have_gone_on(const Fallbacks& fallbacks, const std::vector<std::size_t>& owners,
                              const HandshakeRow& handshake) {
    const auto there = fallbacks.find(place(handshake.from));
    if (there == fallbacks.end()) return false;
    const bool after_no = handshake.evidence.evidence == Evidence::closed_after_no;
    const EvidenceRow& failed = handshake.evidence;
    return std::any_of(there->second.begin(), there->second.end(), [&](const Fallback& fallback) {
        const bool is_another_program = !may_be_one_user(handshake.from, *fallback.from) ||
                                        (!handshake.from.client_exe.empty() && !fallback.from->client_exe.empty() &&
                                         handshake.from.client_exe != fallback.from->client_exe);
        const bool at_the_time = fallback.first_seen <= failed.last_seen + fallback_time &&
                                 failed.first_seen <= fallback.last_seen + fallback_time;
        return fallback.after_no == after_no && at_the_time && !is_another_program &&
               !std::binary_search(owners.begin(), owners.end(), fallback.client);
    });
}

void extend_presence(ClientRow& client, const EvidenceRow& row) {
    client.first_seen = std::min(client.first_seen, row.first_seen);
    client.last_seen = std::max(client.last_seen, row.last_seen);
}

bool lost_to_a_probe(const EvidenceRow& row) { return row.evidence && protocol::facts(*row.evidence).probe; }

void attribute(const HandshakeRow& handshake, ReportClient& client, bool possible) {
    EvidenceRow row = handshake.evidence;
    row.possible = possible;
    add_evidence(client.row.evidence, row);
    if (possible) return;
    if (lost_to_a_probe(row)) return extend_presence(client.row, row);
    if (row.last_seen >= client.row.last_failure) client.error = handshake.error;
    extend_presence(client.row, row);
    client.row.last_failure = std::max(client.row.last_failure, row.last_seen);
}

/// Rows of the report for handshakes that no known client can be named for.
using Strangers = std::map<Trace, ReportClient>;

void add_stranger(Strangers& strangers, const HandshakeRow& handshake, bool possible) {
    ReportClient& client = strangers[trace(handshake)];
    if (client.known) {
        client.known = false;
        client.row.who = {handshake.from, {}};
        client.row.first_seen = handshake.evidence.first_seen;
    }
    if (handshake.evidence.last_seen >= client.row.last_seen) {
        client.row.listener = handshake.listener;
        client.error = handshake.error;
    }
    attribute(handshake, client, possible);
    extend_presence(client.row, handshake.evidence);
    client.row.proxies.insert(handshake.proxies.begin(), handshake.proxies.end());
}

/// Somebody cannot connect, and it was no accident.
bool is_broken(const EvidenceRow& row) {
    return row.evidence && protocol::facts(protocol::amounts_to(*row.evidence, row.count)).broken_trust;
}

void add_unattributed(std::map<ClientOrigin, Unattributed>& all, const HandshakeRow& handshake,
                      const std::vector<std::size_t>& owners, const std::vector<ReportClient>& clients) {
    if (lost_to_a_probe(handshake.evidence)) return;
    const auto [at, is_new] = all.try_emplace(handshake.from, Unattributed{.from = handshake.from});
    Unattributed& same = at->second;
    if (is_new) {
        for (const std::size_t i : owners) same.candidates.push_back(clients[i].row.who);
    }
    if (handshake.evidence.last_seen >= same.last_seen) same.error = handshake.error;
    add_failure(same, handshake.evidence);
}

void attach_probes(std::vector<ReportClient>& clients, const std::vector<ProbeRow>& probes) {
    std::map<ClientOrigin, std::vector<ReportClient*>> probed;
    for (ReportClient& client : clients) probed[client.row.who].push_back(&client);
    for (const ProbeRow& probe : probes) {
        const auto found = probed.find(probe.from);
        if (found == probed.end()) continue;
        for (ReportClient* client : found->second) {
            client->probes.push_back({.kind = probe.kind,
                                      .shown = probe.shown,
                                      .accepted = probe.accepted,
                                      .refused = probe.refused,
                                      .last_shown = probe.last_shown,
                                      .shared = found->second.size() > 1});
        }
    }
}

/// Where somebody refuses the certificate that the only known client accepts, there is another
/// program that never logs in: what else is refused there may be that one's.
std::set<Trace> shared_with_others(const InventoryRows& inventory,
                                   const std::map<Trace, std::vector<std::size_t>>& known) {
    std::set<Trace> shared;
    for (const HandshakeRow& handshake : inventory.handshakes) {
        const auto found = known.find(trace(handshake));
        if (found == known.end()) continue;
        for (const std::size_t i : found->second) {
            const auto accepted = first_accepted(handshake.evidence, inventory.clients[i]);
            if (accepted && *accepted <= handshake.evidence.last_seen) shared.insert(found->first);
        }
    }
    return shared;
}

}  // namespace

void add_failure(Unattributed& into, const EvidenceRow& row) {
    if (lost_to_a_probe(row)) return;
    into.count += row.count;
    into.first_seen = std::min(into.first_seen, row.first_seen);
    into.last_seen = std::max(into.last_seen, row.last_seen);
    into.broken |= is_broken(row);
}

Joined join(const InventoryRows& inventory) {
    Joined joined;
    std::vector<ReportClient>& clients = joined.clients;
    for (const ClientRow& row : inventory.clients) clients.emplace_back().row = row;
    const auto known = by_trace(inventory.clients);
    const Fallbacks in_clear = fallbacks(inventory.clients);
    const std::set<Trace> shared = shared_with_others(inventory, known);
    Strangers strangers;
    std::map<ClientOrigin, Unattributed> unattributed;
    for (const HandshakeRow& handshake : inventory.handshakes) {
        const Trace left = trace(handshake);
        const auto found = is_anybodys(left) ? known.end() : known.find(left);
        std::vector<std::size_t> owners = found == known.end() ? std::vector<std::size_t>() : found->second;
        std::erase_if(owners, [&](std::size_t i) { return !may_be_one_user(handshake.from, clients[i].row.who); });
        const bool possible =
            owners.size() > 1 || shared.contains(left) || another_may_have_gone_on(in_clear, owners, handshake);
        if (owners.empty()) add_stranger(strangers, handshake, possible);
        bool attributed = owners.empty();
        for (const std::size_t index : owners) {
            ReportClient& client = clients[index];
            // Whoever accepts a certificate does not refuse it: another did, or it was repaired
            // since.
            const bool not_known = first_accepted(handshake.evidence, inventory.clients[index]) ||
                                   never_tried_tls(inventory.clients[index]);
            attribute(handshake, client, possible || not_known);
            attributed |= !possible && !not_known;
        }
        if (!attributed) add_unattributed(unattributed, handshake, owners, clients);
    }
    for (auto& [from, one] : unattributed) joined.unattributed.push_back(std::move(one));
    for (auto& [key, client] : strangers) clients.push_back(std::move(client));
    attach_probes(clients, inventory.probes);
    return joined;
}

}  // namespace proxy::report
