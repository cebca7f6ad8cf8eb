// From several inventories to one. report_distinct.cpp knows which of them are the same knowledge,
// report_add.cpp how two rows become one, report_certificates.cpp how several of a certificate do.
#include <algorithm>
#include <set>
#include <tuple>

#include "proxy/report/report_rows.hpp"

namespace proxy::report {
namespace {

void add_probe(ProbeRow& into, const ProbeRow& from) {
    into.shown += from.shown;
    into.accepted += from.accepted;
    into.refused += from.refused;
    into.last_shown = std::max(into.last_shown, from.last_shown);
    into.last_refused = std::max(into.last_refused, from.last_refused);
}

/// In clear or with weak TLS: of others nothing is kept while they are open.
bool is_open(const std::string& mode, const DayFacts& facts, const ProxyRow& proxy) {
    if (mode_of(mode) != Mode::clear && facts.weak_tls == 0) return false;
    const bool at_the_heartbeat = facts.open_until > 0 && facts.open_until == proxy.last_seen;
    const bool since_then = facts.last_seen >= proxy.last_seen && facts.open_until < facts.last_seen;
    return facts.connections > 0 && (at_the_heartbeat || since_then);
}

/// What a proxy says every minute holds until the next one.
void keep_open(ClientRow& client, const ProxyRow& proxy, Timestamp now) {
    if (now <= proxy.last_seen || now - proxy.last_seen > silent_after) return;
    for (auto& [day, modes] : client.days) {
        for (auto& [mode, facts] : modes) {
            if (!is_open(mode, facts, proxy)) continue;
            facts.open_until = client.last_seen = now;
        }
    }
}

void add_proxy(std::vector<ProxyRow>& proxies, const InventoryRows& inventory) {
    if (inventory.instance.empty()) return;
    const auto same = std::find_if(proxies.begin(), proxies.end(),
                                   [&](const ProxyRow& proxy) { return proxy.id == inventory.instance; });
    if (same == proxies.end()) {
        proxies.push_back(inventory.proxy);
        proxies.back().id = inventory.instance;
    } else if (inventory.proxy.last_seen > same->last_seen) {
        *same = inventory.proxy;
        same->id = inventory.instance;
    }
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
    into.proxies.insert(from.proxies.begin(), from.proxies.end());
}

/// A row's key where there are rows of other hosts as well.
template <class Who>
Who at(Who who, const InventoryRows& inventory) {
    if (is_of_one_host(who.client_addr)) who.seen_by = inventory.instance;
    return who;
}

template <class Row, class Key>
Row with_key(Row row, Key Row::*member, Key key) {
    row.*member = std::move(key);
    return row;
}

void add_mark(MarkRow& into, const MarkRow& from) {
    if (from.changed_at > into.changed_at) into = from;
}

}  // namespace

bool is_local(const std::string& address) {
    return address.empty() || address == "::1" || address.starts_with("127.") || address.starts_with("::ffff:127.") ||
           address == "0.0.0.0" || address == "::";
}

bool is_of_one_host(const std::string& address) {
    constexpr std::string_view same_everywhere[]{"fe80:", "169.254.", "172.17.", "::ffff:172.17."};
    return is_local(address) || std::any_of(std::begin(same_everywhere), std::end(same_everywhere),
                                            [&](std::string_view start) { return address.starts_with(start); });
}

Knowledge merge(const std::vector<InventoryRows>& inventories, Timestamp now) {
    std::map<ClientIdentity, ClientRow> clients;
    std::map<ClientIdentity, MarkRow> marks;
    std::map<CertificateOfServer, std::vector<Sighting>> certificates;
    std::map<std::tuple<ClientOrigin, std::string>, ProbeRow> probes;
    std::map<std::tuple<ClientOrigin, std::string, std::string, std::string>, HandshakeRow> handshakes;
    Knowledge knowledge;
    InventoryRows& merged = knowledge.rows;
    for (const InventoryRows& inventory : inventories) {
        for (const MarkRow& row : inventory.marks) collect(marks, row.who, row, add_mark);
    }
    for (const InventoryRows* inventory : distinct(inventories, knowledge.apart)) {
        knowledge.inventories.push_back(inventory);
        add_proxy(knowledge.proxies, *inventory);
        for (const ClientRow& row : inventory->clients) {
            ClientRow here = with_key(row, &ClientRow::who, at(row.who, *inventory));
            here.proxies = {inventory->instance};
            keep_open(here, inventory->proxy, now);
            collect(clients, here.who, here, add_client);
        }
        for (const UpstreamCertificateRow& row : inventory->upstream_certificates) {
            certificates[certificate_of(row)].push_back({.row = &row, .instance = inventory->instance});
        }
        for (const ProbeRow& row : inventory->probes) {
            const ProbeRow here = with_key(row, &ProbeRow::from, at(row.from, *inventory));
            collect(probes, {here.from, here.kind}, here, add_probe);
        }
        for (const HandshakeRow& row : inventory->handshakes) {
            HandshakeRow here = with_key(row, &HandshakeRow::from, at(row.from, *inventory));
            here.proxies = {inventory->instance};
            collect(handshakes, {here.from, here.ja4, here.evidence.label, here.evidence.certificate}, here,
                    add_handshake);
        }
    }
    merged.clients = values(clients);
    for (ClientRow& client : merged.clients) unite(client.evidence);
    merged.handshakes = values(handshakes);
    for (const auto& [certificate, seen] : certificates)
        merged.upstream_certificates.push_back(merged_certificate(seen, knowledge.rehearsals[certificate]));
    merged.probes = values(probes);
    merged.marks = values(marks);
    return knowledge;
}

}  // namespace proxy::report
