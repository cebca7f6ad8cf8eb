// Whose a handshake was that came to no StartupMessage, and what probing cost whom. Work grows with
// the rows of both tables, and not with their product: strangers can fill both, and behind one
// address there may be thousands (docs/inventory.md).
#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "proxy/report/report.hpp"
#include "proxy/report/report_fallbacks.hpp"

namespace proxy::report {
namespace {

using protocol::Evidence;

/// When each certificate was first accepted.
using Accepted = std::map<std::string, Timestamp>;

void add_accepted(Accepted& accepted, const ClientRow& client) {
    for (const EvidenceRow& row : client.evidence) {
        if (row.evidence != Evidence::tls_startup) continue;
        const auto [at, is_new] = accepted.try_emplace(row.certificate, row.first_seen);
        at->second = std::min(at->second, row.first_seen);
    }
}

/// When the certificate that was refused was first accepted; nullopt: never.
std::optional<Timestamp> first_accepted(const EvidenceRow& handshake, const Accepted& accepted) {
    if (!handshake.evidence || !protocol::facts(*handshake.evidence).perhaps_anothers) return std::nullopt;
    const auto found = accepted.find(handshake.certificate);
    return found == accepted.end() ? std::nullopt : std::optional(found->second);
}

/// Whoever was only ever seen in clear was not seen to try TLS at all: whose TLS failed shortly
/// before may be another program at its address, unless it was the same process.
bool never_tried_tls(const ClientRow& client) {
    return !client.evidence.empty() &&
           std::all_of(client.evidence.begin(), client.evidence.end(), [](const EvidenceRow& row) {
               return row.evidence == Evidence::clear_startup || row.evidence == Evidence::clear_startup_after_tls;
           });
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

bool is_anybodys(const Trace& trace) { return trace.from.client_exe.empty() && trace.ja4.empty(); }

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

void extend_presence(ClientRow& client, const EvidenceRow& row) {
    client.first_seen = std::min(client.first_seen, row.first_seen);
    client.last_seen = std::max(client.last_seen, row.last_seen);
}

bool lost_to_a_probe(const EvidenceRow& row) { return row.evidence && protocol::facts(*row.evidence).probe; }

void attribute(const HandshakeRow& handshake, ReportClient& client, bool possible) {
    EvidenceRow row = handshake.evidence;
    row.possible = possible;
    client.row.evidence.push_back(row);
    if (possible) return;
    if (lost_to_a_probe(row)) return extend_presence(client.row, row);
    if (row.last_seen >= client.row.last_failure) client.error = handshake.error;
    extend_presence(client.row, row);
    client.row.last_failure = std::max(client.row.last_failure, row.last_seen);
}

/// Rows of the report for handshakes that no known client can be named for: by fingerprint as well
/// where the executable is known, for what ails two settings of one program is not one thing.
using Strangers = std::map<std::pair<Trace, std::string>, ReportClient>;

void add_stranger(Strangers& strangers, const HandshakeRow& handshake, bool possible) {
    ReportClient& client = strangers[{trace(handshake), handshake.ja4}];
    if (client.known) {
        client.known = false;
        client.row.who = {handshake.from, {}};
        if (!handshake.ja4.empty()) client.row.ja4 = {handshake.ja4};
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

bool refuses_ours(const EvidenceRow& row) {
    return row.evidence && protocol::facts(*row.evidence).is_refusal() && !protocol::facts(*row.evidence).probe;
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

/// Handshakes of one origin that left the same traces: whoever made one may have made all.
struct Alike {
    Trace left;
    ClientOrigin from;
    std::vector<const HandshakeRow*> handshakes{};
};

std::vector<Alike> alike(const std::vector<HandshakeRow>& handshakes) {
    std::map<std::pair<Trace, std::int64_t>, std::size_t> places;
    std::vector<Alike> out;
    for (const HandshakeRow& handshake : handshakes) {
        Trace left = trace(handshake);
        const auto [at, is_new] = places.try_emplace({left, handshake.from.client_uid}, out.size());
        if (is_new) out.push_back({.left = std::move(left), .from = handshake.from});
        out[at->second].handshakes.push_back(&handshake);
    }
    return out;
}

/// What is said of each of many is said once for each kind, with the certificate that was shown
/// last: of handshakes that prove nothing about anybody nobody needs more.
std::vector<EvidenceRow> by_kind(const std::vector<const HandshakeRow*>& handshakes) {
    std::map<std::string, EvidenceRow> kinds;
    for (const HandshakeRow* handshake : handshakes) {
        const EvidenceRow& row = handshake->evidence;
        const auto [at, is_new] = kinds.try_emplace(row.label, row);
        if (is_new) continue;
        EvidenceRow& kind = at->second;
        if (row.last_seen >= kind.last_seen) {
            kind.certificate = row.certificate;
            kind.session = row.session;
        }
        kind.first_seen = std::min(kind.first_seen, row.first_seen);
        kind.last_seen = std::max(kind.last_seen, row.last_seen);
        kind.count += row.count;
    }
    std::vector<EvidenceRow> out;
    for (auto& [label, row] : kinds) {
        row.possible = true;
        out.push_back(std::move(row));
    }
    return out;
}

/// Gives handshakes to clients.
class Attribution {
   public:
    Attribution(const InventoryRows& inventory, std::vector<ReportClient>& clients)
        : rows_(inventory.clients), clients_(clients), known_(by_trace(rows_)), in_clear_(rows_) {
        const std::vector<Alike> handshakes = alike(inventory.handshakes);
        find_shared(handshakes);
        for (const Alike& one : handshakes) add(one);
    }

    void finish(std::vector<Unattributed>& unattributed) {
        for (auto& [from, one] : unattributed_) unattributed.push_back(std::move(one));
        for (auto& [key, client] : strangers_) clients_.push_back(std::move(client));
        for (ReportClient& client : clients_) unite(client.row.evidence);
    }

   private:
    /// Where somebody refuses the certificate that the only known client accepts, there is another
    /// program that never logs in: what else is refused there may be that one's.
    void find_shared(const std::vector<Alike>& handshakes) {
        std::map<Trace, Accepted> by_clients;
        for (const Alike& alike : handshakes) {
            const auto found = known_.find(alike.left);
            if (found == known_.end()) continue;
            const auto [accepted, is_new] = by_clients.try_emplace(alike.left);
            for (const std::size_t i : found->second) {
                if (is_new) add_accepted(accepted->second, rows_[i]);
            }
            for (const HandshakeRow* handshake : alike.handshakes) {
                const auto first = first_accepted(handshake->evidence, accepted->second);
                if (first && *first <= handshake->evidence.last_seen) shared_.insert(alike.left);
            }
        }
    }

    void add(const Alike& alike) {
        const auto found = is_anybodys(alike.left) ? known_.end() : known_.find(alike.left);
        std::vector<std::size_t> owners = found == known_.end() ? std::vector<std::size_t>() : found->second;
        std::erase_if(owners, [&](std::size_t i) { return !may_be_one_user(alike.from, rows_[i].who); });
        if (owners.empty()) return add_strangers(alike);
        owners.size() == 1 ? add_to_one(alike, owners) : add_to_several(alike, owners);
    }

    void add_strangers(const Alike& alike) {
        const bool shared = shared_.contains(alike.left);
        for (const HandshakeRow* handshake : alike.handshakes) {
            add_stranger(strangers_, *handshake,
                         shared || in_clear_.another_may_have_gone_on(*handshake, std::nullopt));
        }
    }

    void add_to_one(const Alike& alike, const std::vector<std::size_t>& owners) {
        const std::size_t owner = owners.front();
        const bool shared = shared_.contains(alike.left);
        const bool is_in_clear = never_tried_tls(rows_[owner]);
        Accepted by_owner;
        add_accepted(by_owner, rows_[owner]);
        for (const HandshakeRow* handshake : alike.handshakes) {
            // Whoever accepts a certificate does not refuse it: another did, or it was repaired
            // since.
            const bool possible = shared || is_in_clear || first_accepted(handshake->evidence, by_owner) ||
                                  in_clear_.another_may_have_gone_on(*handshake, owner);
            attribute(*handshake, clients_[owner], possible);
            if (possible) add_unattributed(unattributed_, *handshake, owners, clients_);
        }
    }

    void add_to_several(const Alike& alike, const std::vector<std::size_t>& owners) {
        const std::vector<EvidenceRow> kinds = by_kind(alike.handshakes);
        for (const std::size_t owner : owners) {
            auto& evidence = clients_[owner].row.evidence;
            evidence.insert(evidence.end(), kinds.begin(), kinds.end());
        }
        for (const HandshakeRow* handshake : alike.handshakes)
            add_unattributed(unattributed_, *handshake, owners, clients_);
    }

    const std::vector<ClientRow>& rows_;  // before anything was added
    std::vector<ReportClient>& clients_;
    const std::map<Trace, std::vector<std::size_t>> known_;
    const Fallbacks in_clear_;
    std::set<Trace> shared_;
    Strangers strangers_;
    std::map<ClientOrigin, Unattributed> unattributed_;
};

}  // namespace

void add_failure(Unattributed& into, const EvidenceRow& row) {
    if (lost_to_a_probe(row)) return;
    into.count += row.count;
    into.first_seen = std::min(into.first_seen, row.first_seen);
    into.last_seen = std::max(into.last_seen, row.last_seen);
    into.broken |= is_broken(row);
    if (refuses_ours(row)) into.refused += row.count;
}

Joined join(const InventoryRows& inventory) {
    Joined joined;
    for (const ClientRow& row : inventory.clients) joined.clients.emplace_back().row = row;
    Attribution attribution(inventory, joined.clients);
    attribution.finish(joined.unattributed);
    attach_probes(joined.clients, inventory.probes);
    return joined;
}

}  // namespace proxy::report
