// From several inventories to one, and from several rows to one client.
#include <algorithm>
#include <set>
#include <tuple>

#include "proxy/inventory/name_pattern.hpp"
#include "proxy/report/report.hpp"

namespace proxy::report {
namespace {

template <class Row, class Other>
void merge_times(Row& into, const Other& from) {
    into.first_seen = std::min(into.first_seen, from.first_seen);
    into.last_seen = std::max(into.last_seen, from.last_seen);
}

void add_facts(DayFacts& into, const DayFacts& from) {
    into.connections += from.connections;
    into.weak_tls += from.weak_tls;
    into.bridged += from.bridged;
    into.failures += from.failures;
    into.auth_failed += from.auth_failed;
    into.open_until = std::max(into.open_until, from.open_until);
    merge_times(into, from);
}

/// Names of which fewer differ in a number alone are those of programs: app1, app2.
constexpr std::size_t most_numbered_names = 8;

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
    Timestamp newest = inventory.proxy.last_seen;
    for (const ClientRow& client : inventory.clients) newest = std::max(newest, client.last_seen);
    for (const HandshakeRow& handshake : inventory.handshakes) newest = std::max(newest, handshake.evidence.last_seen);
    return newest;
}

/// One that was in use at the same time as the other: a copy of a file knows nothing of a later
/// start.
bool are_of_two_proxies(const ProxyRow& one, const ProxyRow& other) {
    return one.started != other.started &&
           std::max(one.started, other.started) < std::min(one.last_seen, other.last_seen);
}

/// What an earlier copy of a file knows, the later one knows as well, but for what was forgotten.
bool knows_more(const InventoryRows& older, const InventoryRows& newer) {
    if (older.proxy.rows_left_out != newer.proxy.rows_left_out) return false;
    std::map<ClientIdentity, Timestamp> known;
    for (const ClientRow& client : newer.clients) {
        ClientIdentity who = client.who;
        who.application_name = name_pattern(who.application_name);  // a name may have been folded since
        Timestamp& last = known[std::move(who)];
        last = std::max(last, client.last_seen);
    }
    return std::any_of(older.clients.begin(), older.clients.end(), [&](const ClientRow& client) {
        if (client.last_seen < newer.proxy.pruned_before) return false;
        ClientIdentity who = client.who;
        who.application_name = name_pattern(who.application_name);
        const auto found = known.find(who);
        return found == known.end() || found->second < client.last_seen;
    });
}

bool went_apart(const InventoryRows& one, const InventoryRows& other) {
    const bool is_newer = newest(one) >= newest(other);
    return are_of_two_proxies(one.proxy, other.proxy) || (is_newer ? knows_more(other, one) : knows_more(one, other));
}

/// A proxy's file and a fleet's copy of it are the same knowledge: the newer is taken, nothing is
/// counted twice. Copies that went apart count both, since each knows what the other does not:
/// `apart` has their proxies' names.
std::vector<const InventoryRows*> distinct(const std::vector<InventoryRows>& inventories,
                                           std::set<std::string>& apart) {
    std::vector<const InventoryRows*> out;
    for (const InventoryRows& inventory : inventories) {
        const bool only_marks = inventory.instance.empty() && inventory.clients.empty() && !inventory.marks.empty();
        if (only_marks) continue;
        bool is_new = true;
        for (const InventoryRows*& other : out) {
            if (inventory.instance.empty() || other->instance != inventory.instance) continue;
            if (went_apart(inventory, *other)) {
                apart.insert({inventory.proxy.name, other->proxy.name});
                continue;
            }
            if (newest(inventory) >= newest(*other)) other = &inventory;
            is_new = false;
            break;
        }
        if (is_new) out.push_back(&inventory);
    }
    return out;
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

void add_client(ClientRow& into, const ClientRow& from) {
    if (from.last_seen > into.last_seen) {
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
    into.last_failure = std::max(into.last_failure, from.last_failure);
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

Knowledge merge(const std::vector<InventoryRows>& inventories, Timestamp now) {
    std::map<ClientIdentity, ClientRow> clients;
    std::map<ClientIdentity, MarkRow> marks;
    std::map<std::tuple<std::string, std::string, std::string>, UpstreamCertificateRow> certificates;
    std::map<std::tuple<ClientOrigin, std::string>, ProbeRow> probes;
    std::map<std::tuple<ClientOrigin, std::string, std::string, std::string>, HandshakeRow> handshakes;
    Knowledge knowledge;
    InventoryRows& merged = knowledge.rows;
    for (const InventoryRows& inventory : inventories) {
        for (const MarkRow& row : inventory.marks) collect(marks, row.who, row, add_mark);
    }
    for (const InventoryRows* inventory : distinct(inventories, knowledge.apart)) {
        add_proxy(knowledge.proxies, *inventory);
        for (const ClientRow& row : inventory->clients) {
            ClientRow here = with_key(row, &ClientRow::who, at(row.who, *inventory));
            here.proxies = {inventory->instance};
            keep_open(here, inventory->proxy, now);
            collect(clients, here.who, here, add_client);
        }
        for (const UpstreamCertificateRow& row : inventory->upstream_certificates) {
            collect(certificates, {row.upstream, row.upstream_addr, row.sha256}, row, add_certificate);
        }
        for (const ProbeRow& row : inventory->probes) {
            const ProbeRow here = with_key(row, &ProbeRow::from, at(row.from, *inventory));
            collect(probes, {here.from, here.kind}, here, add_probe);
        }
        for (const HandshakeRow& row : inventory->handshakes) {
            HandshakeRow here = with_key(row, &HandshakeRow::from, at(row.from, *inventory));
            here.proxies = {inventory->instance};
            collect(handshakes,
                    {here.from, here.from.client_exe.empty() ? here.ja4 : "", here.evidence.label,
                     here.evidence.certificate},
                    here, add_handshake);
        }
    }
    merged.clients = values(clients);
    for (ClientRow& client : merged.clients) unite(client.evidence);
    merged.handshakes = values(handshakes);
    merged.upstream_certificates = values(certificates);
    merged.probes = values(probes);
    merged.marks = values(marks);
    return knowledge;
}

}  // namespace proxy::report
