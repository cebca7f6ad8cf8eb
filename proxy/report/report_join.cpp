// Whose a handshake was that came to no StartupMessage, and what probing cost whom.
#include <algorithm>
#include <map>

#include "proxy/report/report.hpp"

namespace proxy::report {
namespace {

using protocol::Evidence;

/// A client that went on to accept a certificate, or had accepted it before, is not who refuses the
/// same one later: another program with the same address is. What was refused first and accepted
/// afterwards is a client that was repaired.
bool is_another_programs(const EvidenceRow& handshake, const ClientRow& client) {
    const auto evidence = protocol::parse_evidence(handshake.evidence);
    if (!evidence || !protocol::facts(*evidence).perhaps_anothers) return false;
    return std::any_of(client.evidence.begin(), client.evidence.end(), [&](const EvidenceRow& row) {
        return row.evidence == protocol::label(Evidence::tls_startup) && row.certificate == handshake.certificate &&
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
                       [&](const EvidenceRow& row) { return row.evidence == protocol::label(evidence); });
}

/// A client that falls back comes within seconds (recent_clients.cpp); the clocks of two proxies,
/// and what is noted late, take the rest.
constexpr Timestamp fallback_time = 60'000'000;

/// A client went on in clear after what may have been its own failure with TLS, or somebody else's.
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
        // Whoever came in clear also when nobody had failed does so by itself. On this host that
        // may have been another program with these names.
        const bool from_this_host = clients[i].client_uid.has_value();
        if (!from_this_host && has_seen(clients[i], Evidence::clear_startup)) continue;
        for (const EvidenceRow& row : clients[i].evidence) {
            const auto evidence = protocol::parse_evidence(row.evidence);
            const bool after_no = evidence == Evidence::clear_startup_after_declined;
            if (!after_no && evidence != Evidence::clear_startup_after_tls &&
                evidence != Evidence::clear_startup_after_tls_login)
                continue;
            out[{who.upstream, who.client_addr}].push_back(
                {i, &who.client_exe, after_no, row.first_seen, row.last_seen});
        }
    }
    return out;
}

/// Another client than `owners`, one whose executable was not found or that was never seen with
/// TLS, went on in clear after what looks like this handshake. So it may be that client's: one that
/// does not insist.
bool another_may_have_gone_on(const Fallbacks& fallbacks, const std::vector<std::size_t>& owners,
                              const HandshakeRow& handshake) {
    const auto there = fallbacks.find({handshake.from.upstream, handshake.from.client_addr});
    if (there == fallbacks.end()) return false;
    const bool after_no = protocol::parse_evidence(handshake.evidence.evidence) == Evidence::closed_after_no;
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

void was_there(ClientRow& client, const EvidenceRow& row) {
    client.first_seen = std::min(client.first_seen, row.first_seen);
    client.last_seen = std::max(client.last_seen, row.last_seen);
}

void give(ReportClient& client, const HandshakeRow& handshake, bool possible) {
    EvidenceRow row = handshake.evidence;
    row.possible = possible;
    add_evidence(client.row.evidence, row);
    if (possible) return;
    if (row.last_seen >= client.row.last_seen) client.error = handshake.error;
    was_there(client.row, row);
}

/// Report rows for handshakes that no known client can be named for.
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
    give(client, handshake, possible);
    was_there(client.row, handshake.evidence);
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
            give(client, handshake, possible || is_another_programs(handshake.evidence, client.row));
        }
    }
    for (auto& [key, client] : strangers) clients.push_back(std::move(client));
    attach_probes(clients, inventory.probes);
    return clients;
}

}  // namespace proxy::report
