// From several inventories to one list of clients with all that was seen of each.
#include <algorithm>
#include <tuple>

#include "proxy/report.hpp"

namespace proxy {
namespace {

using protocol::Evidence;

constexpr Microseconds day_length = 86'400'000'000;

template <class Row, class Other>
void merge_times(Row& into, const Other& from) {
    into.first_seen = std::min(into.first_seen, from.first_seen);
    into.last_seen = std::max(into.last_seen, from.last_seen);
}

void add_evidence(std::vector<EvidenceRow>& all, const EvidenceRow& row) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const EvidenceRow& other) {
        return other.evidence == row.evidence && other.certificate == row.certificate && other.possible == row.possible;
    });
    if (same == all.end()) {
        all.push_back(row);
        return;
    }
    if (row.last_seen >= same->last_seen) same->session = row.session;
    merge_times(*same, row);
    same->count += row.count;
}

void add_client(ClientRow& into, const ClientRow& from) {
    if (from.last_seen > into.last_seen) {
        into.listener = from.listener;
        into.client_uid = from.client_uid;
        into.auth_method = from.auth_method;
        into.version = from.version;
    }
    merge_times(into, from);
    into.connections += from.connections;
    into.plain += from.plain;
    into.weak_tls += from.weak_tls;
    into.bridged += from.bridged;
    into.auth_failed += from.auth_failed;
    for (const EvidenceRow& row : from.evidence) add_evidence(into.evidence, row);
    into.ja4.insert(into.ja4.end(), from.ja4.begin(), from.ja4.end());
    for (const auto& [day, modes] : from.days) {
        for (const auto& [mode, connections] : modes) into.days[day][mode] += connections;
    }
}

void add_certificate(UpstreamCertificateRow& into, const UpstreamCertificateRow& from) {
    if (into.candidate_ok == from.candidate_ok) {
        if (from.candidate_since) into.candidate_since = std::min(into.candidate_since.value_or(*from.candidate_since), *from.candidate_since);
    } else if (!into.candidate_ok || (from.candidate_ok && from.last_seen > into.last_seen)) {
        // Proxies with different candidates: who saw it last is believed.
        into.candidate_ok = from.candidate_ok;
        into.candidate_since = from.candidate_since;
    }
    merge_times(into, from);
    into.count += from.count;
}

void add_probe(ProbeRow& into, const ProbeRow& from) {
    into.shown += from.shown;
    into.accepted += from.accepted;
    into.refused += from.refused;
    into.last_shown = std::max(into.last_shown, from.last_shown);
    into.last_refused = std::max(into.last_refused, from.last_refused);
}

Microseconds newest(const InventoryRows& inventory) {
    Microseconds newest = 0;
    for (const ClientRow& client : inventory.clients) newest = std::max(newest, client.last_seen);
    for (const HandshakeRow& handshake : inventory.handshakes) newest = std::max(newest, handshake.evidence.last_seen);
    return newest;
}

/// A proxy's file and a fleet's copy of it are the same knowledge: the newer is taken, nothing is counted twice.
std::vector<const InventoryRows*> distinct(const std::vector<InventoryRows>& inventories) {
    std::vector<const InventoryRows*> out;
    for (const InventoryRows& inventory : inventories) {
        const auto same = std::find_if(
            out.begin(), out.end(), [&](const InventoryRows* other) { return !inventory.instance.empty() && other->instance == inventory.instance; });
        if (same == out.end()) {
            out.push_back(&inventory);
        } else if (newest(inventory) >= newest(**same)) {
            *same = &inventory;
        }
    }
    return out;
}

template <class Key, class Row, class Add>
void collect(std::map<Key, Row>& rows, Key key, const Row& row, Add add) {
    const auto [at, inserted] = rows.try_emplace(std::move(key), row);
    if (!inserted) add(at->second, row);
}

template <class Key, class Row>
std::vector<Row> values(std::map<Key, Row>& rows) {
    std::vector<Row> out;
    for (auto& [key, row] : rows) out.push_back(std::move(row));
    return out;
}

/// A client that went on to accept a certificate, or had accepted it before, is not who refuses the same one later: another
/// program with the same address is. What was refused first and accepted afterwards is a client that was repaired.
bool is_another_programs(const EvidenceRow& handshake, const ClientRow& client) {
    const auto evidence = protocol::parse_evidence(handshake.evidence);
    if (evidence != Evidence::tls_refused && evidence != Evidence::tls_refused_silently && evidence != Evidence::no_client_hello) return false;
    return std::any_of(client.evidence.begin(), client.evidence.end(), [&](const EvidenceRow& row) {
        return row.evidence == protocol::label(Evidence::tls_startup) && row.certificate == handshake.certificate &&
               row.first_seen <= handshake.last_seen;
    });
}

/// Where connections come from before they have names: upstream, address, executable; where that is not known, fingerprint.
using Source = std::tuple<std::string, std::string, std::string, std::string>;

Source source(const HandshakeRow& handshake) {
    return {handshake.upstream, handshake.client_addr, handshake.client_exe, handshake.client_exe.empty() ? handshake.ja4 : ""};
}

bool is_nowhere(const Source& source) { return std::get<2>(source).empty() && std::get<3>(source).empty(); }

/// Looked up, not searched: strangers can fill both tables (docs/inventory.md).
std::map<Source, std::vector<std::size_t>> by_source(const std::vector<ClientRow>& clients) {
    std::map<Source, std::vector<std::size_t>> out;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        const ClientIdentity& who = clients[i].who;
        const auto add = [&](const std::string& exe, const std::string& ja4) {
            auto& indexes = out[{who.upstream, who.client_addr, exe, ja4}];
            if (indexes.empty() || indexes.back() != i) indexes.push_back(i);
        };
        if (!who.client_exe.empty()) add(who.client_exe, "");
        for (const std::string& ja4 : clients[i].ja4) add("", ja4);
    }
    return out;
}

/// A client that falls back comes within seconds (sources.cpp); the clocks of two proxies, and what is noted late, take the rest.
constexpr Microseconds fallback_time = 60'000'000;

/// Both kinds of evidence may be of one moment.
bool may_meet(const EvidenceRow& a, const EvidenceRow& b) {
    return a.first_seen <= b.last_seen + fallback_time && b.first_seen <= a.last_seen + fallback_time;
}

/// Clients that went on in clear after what may have been another's failure with TLS, by upstream and address.
using Fallbacks = std::map<std::pair<std::string, std::string>, std::vector<std::size_t>>;

bool is_fallback(Evidence evidence) {
    return evidence == Evidence::clear_startup_after_tls || evidence == Evidence::clear_startup_after_tls_login ||
           evidence == Evidence::clear_startup_after_declined;
}

Fallbacks fallbacks(const std::vector<ClientRow>& clients) {
    Fallbacks out;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        const bool any = std::any_of(clients[i].evidence.begin(), clients[i].evidence.end(), [](const EvidenceRow& row) {
            const auto evidence = protocol::parse_evidence(row.evidence);
            return evidence && is_fallback(*evidence);
        });
        if (any) out[{clients[i].who.upstream, clients[i].who.client_addr}].push_back(i);
    }
    return out;
}

/// The client, which is of that address, went on in clear after what looks like this handshake, so it may be that client's: one that does
/// not insist.
bool may_have_gone_on(const HandshakeRow& handshake, const ClientRow& client) {
    if (!handshake.client_exe.empty() && !client.who.client_exe.empty() && handshake.client_exe != client.who.client_exe) return false;
    const bool after_no = protocol::parse_evidence(handshake.evidence.evidence) == Evidence::closed_after_no;
    return std::any_of(client.evidence.begin(), client.evidence.end(), [&](const EvidenceRow& row) {
        const auto evidence = protocol::parse_evidence(row.evidence);
        return evidence && is_fallback(*evidence) && (*evidence == Evidence::clear_startup_after_declined) == after_no &&
               may_meet(row, handshake.evidence);
    });
}

/// Another than these clients may have: one whose executable was not found, or that was never seen with TLS.
bool others_may_have_gone_on(const Fallbacks& fallbacks, const std::vector<ClientRow>& clients, const std::vector<std::size_t>& these,
                             const HandshakeRow& handshake) {
    const auto there = fallbacks.find({handshake.upstream, handshake.client_addr});
    if (there == fallbacks.end()) return false;
    return std::any_of(there->second.begin(), there->second.end(), [&](std::size_t index) {
        return std::find(these.begin(), these.end(), index) == these.end() && may_have_gone_on(handshake, clients[index]);
    });
}

void give(ReportClient& client, const HandshakeRow& handshake, bool possible) {
    EvidenceRow row = handshake.evidence;
    row.possible = possible;
    add_evidence(client.row.evidence, row);
    if (possible) return;
    if (row.last_seen >= client.row.last_seen) client.error = handshake.error;
    merge_times(client.row, row);
}

/// Rows for what nobody can be named for.
using Strangers = std::map<Source, ReportClient>;

void add_stranger(Strangers& strangers, const HandshakeRow& handshake, bool possible) {
    ReportClient& client = strangers[source(handshake)];
    if (client.known) {
        client.known = false;
        client.row.who.upstream = handshake.upstream;
        client.row.who.client_addr = handshake.client_addr;
        client.row.who.client_exe = handshake.client_exe;
        client.row.first_seen = handshake.evidence.first_seen;
    }
    if (handshake.evidence.last_seen >= client.row.last_seen) {
        client.row.listener = handshake.listener;
        client.error = handshake.error;
    }
    give(client, handshake, possible);
    merge_times(client.row, handshake.evidence);
}

void attach_probes(std::vector<ReportClient>& clients, const std::vector<ProbeRow>& probes) {
    std::map<std::tuple<std::string, std::string, std::string>, std::vector<ReportClient*>> probed;
    for (ReportClient& client : clients) {
        const ClientIdentity& who = client.row.who;
        probed[{who.upstream, who.client_addr, who.client_exe}].push_back(&client);
    }
    for (const ProbeRow& probe : probes) {
        const auto found = probed.find({probe.upstream, probe.client_addr, probe.client_exe});
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

void add_handshake(HandshakeRow& into, const HandshakeRow& from) {
    if (from.evidence.last_seen >= into.evidence.last_seen) {
        into.listener = from.listener;
        into.error = from.error;
        into.evidence.session = from.evidence.session;
    }
    merge_times(into.evidence, from.evidence);
    into.evidence.count += from.evidence.count;
}

}  // namespace

InventoryRows merge(const std::vector<InventoryRows>& inventories) {
    std::map<ClientIdentity, ClientRow> clients;
    std::map<std::tuple<std::string, std::string, std::string>, UpstreamCertificateRow> certificates;
    std::map<std::tuple<std::string, std::string, std::string, std::string>, ProbeRow> probes;
    std::map<std::tuple<Source, std::string, std::string>, HandshakeRow> handshakes;
    InventoryRows merged;
    for (const InventoryRows* inventory : distinct(inventories)) {
        for (const ClientRow& row : inventory->clients) collect(clients, row.who, row, add_client);
        for (const UpstreamCertificateRow& row : inventory->upstream_certificates) {
            collect(certificates, {row.upstream, row.upstream_addr, row.sha256}, row, add_certificate);
        }
        for (const ProbeRow& row : inventory->probes) collect(probes, {row.upstream, row.client_addr, row.client_exe, row.kind}, row, add_probe);
        for (const HandshakeRow& row : inventory->handshakes) {
            collect(handshakes, {source(row), row.evidence.evidence, row.evidence.certificate}, row, add_handshake);
        }
    }
    merged.clients = values(clients);
    merged.handshakes = values(handshakes);
    merged.upstream_certificates = values(certificates);
    merged.probes = values(probes);
    return merged;
}

std::vector<ReportClient> join(const InventoryRows& inventory) {
    std::vector<ReportClient> clients;
    for (const ClientRow& row : inventory.clients) clients.emplace_back().row = row;
    const auto sources = by_source(inventory.clients);
    const Fallbacks in_clear = fallbacks(inventory.clients);
    Strangers strangers;
    for (const HandshakeRow& handshake : inventory.handshakes) {
        const Source from = source(handshake);
        const auto found = is_nowhere(from) ? sources.end() : sources.find(from);
        const std::vector<std::size_t> owners = found == sources.end() ? std::vector<std::size_t>() : found->second;
        const bool possible = owners.size() > 1 || others_may_have_gone_on(in_clear, inventory.clients, owners, handshake);
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

bool restrict_to(ReportClient& client, Microseconds since) {
    ClientRow& row = client.row;
    if (row.last_seen < since) return false;
    std::erase_if(row.evidence, [&](const EvidenceRow& evidence) { return evidence.last_seen < since; });
    std::erase_if(client.probes, [&](const ProbeCost& probe) { return probe.last_shown < since; });
    if (row.days.empty()) return true;

    // Ciphers are not in `days`; but versions are, and TLS 1.3 has no weak cipher.
    const auto is_old = [](const std::string& mode) { return mode == "TLSv1" || mode == "TLSv1.1" || mode == "SSLv3"; };
    std::uint64_t old_versions = 0;
    for (const auto& [day, modes] : row.days) {
        for (const auto& [mode, connections] : modes) old_versions += is_old(mode) ? connections : 0;
    }
    const std::uint64_t weak_ciphers = row.weak_tls > old_versions ? row.weak_tls - old_versions : 0;
    std::erase_if(row.days, [&](const auto& day) { return (day.first + 1) * day_length <= since; });
    row.connections = row.plain = row.weak_tls = 0;
    std::uint64_t tls12 = 0;
    for (const auto& [day, modes] : row.days) {
        for (const auto& [mode, connections] : modes) {
            row.connections += connections;
            if (mode == "plain") row.plain += connections;
            if (mode == "TLSv1.2") tls12 += connections;
            if (is_old(mode)) row.weak_tls += connections;
        }
    }
    row.weak_tls += std::min(weak_ciphers, tls12);
    row.bridged = std::min(row.bridged, row.connections);
    return true;
}

}  // namespace proxy
