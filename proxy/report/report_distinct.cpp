// Which of several inventories are the same knowledge, and which of their copies went apart.
#include <map>

#include "proxy/inventory/name_pattern.hpp"
#include "proxy/report/report_rows.hpp"

namespace proxy::report {
namespace {

Timestamp newest(const InventoryRows& inventory) {
    Timestamp newest = inventory.proxy.last_seen;
    for (const ClientRow& client : inventory.clients) newest = std::max(newest, client.last_seen);
    for (const HandshakeRow& handshake : inventory.handshakes) newest = std::max(newest, handshake.evidence.last_seen);
    for (const SamplingRow& row : inventory.sampling) newest = std::max(newest, row.last_look);
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

}  // namespace

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

}  // namespace proxy::report
