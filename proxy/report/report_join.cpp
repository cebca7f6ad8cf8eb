// Whose a handshake was that came to no StartupMessage, and what probing cost whom.
#include <algorithm>
#include <map>

#include "proxy/report/report.hpp"

namespace proxy::report {
namespace {

using protocol::Evidence;

/// Whoever accepted a certificate does not refuse the same one later: that was another program at
/// its address. Refused first and accepted afterwards it was by a client that was repaired.
bool is_another_programs(const EvidenceRow& handshake, const ClientRow& client) {
    if (!handshake.evidence || !protocol::facts(*handshake.evidence).perhaps_anothers) return false;
    return std::any_of(client.evidence.begin(), client.evidence.end(), [&](const EvidenceRow& row) {
        return row.evidence == Evidence::tls_startup && row.certificate == handshake.certificate &&
               row.first_seen <= handshake.last_seen;
    });
}

/// What connections that have no names can be told apart by.
struct Trace {
    ClientOrigin from;
    std::string ja4;  ///< only where the executable is not known
    auto operator<=>(const Trace&) const = default;
};

Trace trace(const HandshakeRow& handshake) {
    return {handshake.from, handshake.from.client_exe.empty() ? handshake.ja4 : ""};
}

bool is_anybodys(const Trace& trace) { return trace.from.client_exe.empty() && trace.ja4.empty(); }

/// Looked up, not searched: strangers can fill both tables (docs/inventory.md).
std::map<Trace, std::vector<std::size_t>> by_trace(const std::vector<ClientRow>& clients) {
    std::map<Trace, std::vector<std::size_t>> out;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        const ClientIdentity& who = clients[i].who;
        const auto add = [&](const std::string& exe, const std::string& ja4) {
            auto& indexes = out[{{who.upstream, who.client_addr, exe}, ja4}];
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
    const std::string* exe;
    bool after_no;  // it was told that there is no TLS
    Timestamp first_seen;
    Timestamp last_seen;
};

/// By upstream and address.
using Fallbacks = std::map<std::pair<std::string, std::string>, std::vector<Fallback>>;

Fallbacks fallbacks(const std::vector<ClientRow>& clients) {
    Fallbacks out;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        const ClientIdentity& who = clients[i].who;
        // Whoever came in clear also when nobody had failed before does not fall back: that is how
        // it connects. But on this host it may have been another program with the same names.
        const bool from_this_host = clients[i].client_uid.has_value();
        if (!from_this_host && has_seen(clients[i], Evidence::clear_startup)) continue;
        for (const EvidenceRow& row : clients[i].evidence) {
            const bool after_no = row.evidence == Evidence::clear_startup_after_declined;
            if (!after_no && row.evidence != Evidence::clear_startup_after_tls &&
                row.evidence != Evidence::clear_startup_after_tls_login)
                continue;
            out[{who.upstream, who.client_addr}].push_back(
                {i, &who.client_exe, after_no, row.first_seen, row.last_seen});
        }
    }
    return out;
}

/// Whether another client than `owners` connected in clear shortly after this handshake. Then the
/// handshake may have been that client's, which does not insist on TLS. It cannot be found among
/// the owners when its executable was not found, or when it was never seen with TLS.
bool another_may_have_gone_on(const Fallbacks& fallbacks, const std::vector<std::size_t>& owners,
                              const HandshakeRow& handshake) {
    const auto there = fallbacks.find({handshake.from.upstream, handshake.from.client_addr});
    if (there == fallbacks.end()) return false;
    const bool after_no = handshake.evidence.evidence == Evidence::closed_after_no;
    const EvidenceRow& failed = handshake.evidence;
    return std::any_of(there->second.begin(), there->second.end(), [&](const Fallback& fallback) {
        const bool is_another_program =
            !handshake.from.client_exe.empty() && !fallback.exe->empty() && handshake.from.client_exe != *fallback.exe;
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

void attribute(const HandshakeRow& handshake, ReportClient& client, bool possible) {
    EvidenceRow row = handshake.evidence;
    row.possible = possible;
    add_evidence(client.row.evidence, row);
    if (possible) return;
    if (row.last_seen >= client.row.last_seen) client.error = handshake.error;
    extend_presence(client.row, row);
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

}  // namespace

std::vector<ReportClient> join(const InventoryRows& inventory) {
    std::vector<ReportClient> clients;
    for (const ClientRow& row : inventory.clients) clients.emplace_back().row = row;
    const auto known = by_trace(inventory.clients);
    const Fallbacks in_clear = fallbacks(inventory.clients);
    Strangers strangers;
    for (const HandshakeRow& handshake : inventory.handshakes) {
        const Trace left = trace(handshake);
        const auto found = is_anybodys(left) ? known.end() : known.find(left);
        const std::vector<std::size_t> owners = found == known.end() ? std::vector<std::size_t>() : found->second;
        const bool possible = owners.size() > 1 || another_may_have_gone_on(in_clear, owners, handshake);
        if (owners.empty()) add_stranger(strangers, handshake, possible);
        for (const std::size_t index : owners) {
            ReportClient& client = clients[index];
            attribute(handshake, client, possible || is_another_programs(handshake.evidence, client.row));
        }
    }
    for (auto& [key, client] : strangers) clients.push_back(std::move(client));
    attach_probes(clients, inventory.probes);
    return clients;
}

}  // namespace proxy::report
