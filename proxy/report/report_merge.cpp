// From several inventories to one.
#include <algorithm>
#include <tuple>

#include "proxy/report/report.hpp"

namespace proxy::report {
namespace {

template <class Row, class Other>
void merge_times(Row& into, const Other& from) {
    into.first_seen = std::min(into.first_seen, from.first_seen);
    into.last_seen = std::max(into.last_seen, from.last_seen);
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
        if (from.candidate_since)
            into.candidate_since =
                std::min(into.candidate_since.value_or(*from.candidate_since), *from.candidate_since);
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

Timestamp newest(const InventoryRows& inventory) {
    Timestamp newest = 0;
    for (const ClientRow& client : inventory.clients) newest = std::max(newest, client.last_seen);
    for (const HandshakeRow& handshake : inventory.handshakes) newest = std::max(newest, handshake.evidence.last_seen);
    return newest;
}

/// A proxy's file and a fleet's copy of it are the same knowledge: the newer is taken, nothing is
/// counted twice.
std::vector<const InventoryRows*> distinct(const std::vector<InventoryRows>& inventories) {
    std::vector<const InventoryRows*> out;
    for (const InventoryRows& inventory : inventories) {
        const auto same = std::find_if(out.begin(), out.end(), [&](const InventoryRows* other) {
            return !inventory.instance.empty() && other->instance == inventory.instance;
        });
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

void add_evidence(std::vector<EvidenceRow>& all, const EvidenceRow& row) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const EvidenceRow& other) {
        return other.label == row.label && other.certificate == row.certificate && other.possible == row.possible;
    });
    if (same == all.end()) {
        all.push_back(row);
        return;
    }
    if (row.last_seen >= same->last_seen) same->session = row.session;
    merge_times(*same, row);
    same->count += row.count;
}

InventoryRows merge(const std::vector<InventoryRows>& inventories) {
    std::map<ClientIdentity, ClientRow> clients;
    std::map<std::tuple<std::string, std::string, std::string>, UpstreamCertificateRow> certificates;
    std::map<std::tuple<ClientOrigin, std::string>, ProbeRow> probes;
    std::map<std::tuple<ClientOrigin, std::string, std::string, std::string>, HandshakeRow> handshakes;
    InventoryRows merged;
    for (const InventoryRows* inventory : distinct(inventories)) {
        for (const ClientRow& row : inventory->clients) collect(clients, row.who, row, add_client);
        for (const UpstreamCertificateRow& row : inventory->upstream_certificates) {
            collect(certificates, {row.upstream, row.upstream_addr, row.sha256}, row, add_certificate);
        }
        for (const ProbeRow& row : inventory->probes) collect(probes, {row.from, row.kind}, row, add_probe);
        for (const HandshakeRow& row : inventory->handshakes) {
            collect(
                handshakes,
                {row.from, row.from.client_exe.empty() ? row.ja4 : "", row.evidence.label, row.evidence.certificate},
                row, add_handshake);
        }
    }
    merged.clients = values(clients);
    merged.handshakes = values(handshakes);
    merged.upstream_certificates = values(certificates);
    merged.probes = values(probes);
    return merged;
}

bool restrict_to(ReportClient& client, Timestamp since) {
    ClientRow& row = client.row;
    if (row.last_seen < since) return false;
    std::erase_if(row.evidence, [&](const EvidenceRow& evidence) { return evidence.last_seen < since; });
    std::erase_if(client.probes, [&](const ProbeCost& probe) { return probe.last_shown < since; });
    if (row.days.empty()) return true;

    // Ciphers are not in `days`; but versions are, and TLS 1.3 has no weak cipher.
    std::uint64_t old_versions = 0;
    for (const auto& [day, modes] : row.days) {
        for (const auto& [mode, connections] : modes) old_versions += mode_of(mode) == Mode::old_tls ? connections : 0;
    }
    const std::uint64_t weak_ciphers = row.weak_tls > old_versions ? row.weak_tls - old_versions : 0;
    std::erase_if(row.days, [&](const auto& day) { return (day.first + 1) * day_length <= since; });
    row.connections = row.plain = row.weak_tls = 0;
    std::uint64_t tls12 = 0;
    for (const auto& [day, modes] : row.days) {
        for (const auto& [mode, connections] : modes) {
            row.connections += connections;
            if (mode_of(mode) == Mode::clear) row.plain += connections;
            if (mode_of(mode) == Mode::tls12) tls12 += connections;
            if (mode_of(mode) == Mode::old_tls) row.weak_tls += connections;
        }
    }
    row.weak_tls += std::min(weak_ciphers, tls12);
    row.bridged = std::min(row.bridged, row.connections);
    return true;
}

}  // namespace proxy::report
