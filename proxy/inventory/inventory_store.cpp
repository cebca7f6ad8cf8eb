#include "proxy/inventory/inventory_store.hpp"

#include <algorithm>

namespace proxy {
namespace {

/// Fewer clients than that are always forgotten together.
constexpr std::int64_t smallest_share = 20;

}  // namespace

InventoryStore::InventoryStore(const std::string& path, const ProxyFacts& proxy) try
    : file_(path),
      db_(file_.database()),
      forgotten_(db_, file_.instance()),
      clients_(db_, forgotten_),
      handshakes_(db_, forgotten_),
      certificates_(db_, forgotten_),
      probes_(db_),
      samples_(db_, forgotten_) {
    introduce(proxy);
} catch (const SqliteError&) {
    throw_as_unusable(path);
}

/// A run that goes on beside this one counts as one that never ended: nobody could tell later.
void InventoryStore::introduce(const ProxyFacts& proxy) {
    const Timestamp now = to_timestamp(std::chrono::system_clock::now());
    db_.prepare(R"sql(
INSERT INTO proxies (id, name, version, listeners, first_seen, started, last_seen, events_dropped, rows_left_out, last_loss,
                     pruned_before, consistent_after, ended, unclean_ends)
VALUES (?1, ?2, ?3, ?4, coalesce((SELECT min(first_seen) FROM clients), ?5), ?5, ?5, 0, 0, 0, 0, ?6, 0, 0)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version, listeners = excluded.listeners,
  started = excluded.started, last_seen = excluded.last_seen, consistent_after = excluded.consistent_after,
  ended = 0, unclean_ends = unclean_ends + (ended = 0 AND ?7 = 0),
  last_loss = iif(ended = 0 AND ?7 = 0, max(last_loss, excluded.started), last_loss))sql")
        .with(instance(), proxy.name, proxy.version, proxy.listeners, now,
              static_cast<std::int64_t>(proxy.consistent_after.count()), std::int64_t{proxy.goes_on ? 1 : 0})
        .run();
}

void InventoryStore::heartbeat(Timestamp now, std::uint64_t events_lost) {
    db_.prepare(
           "UPDATE proxies SET last_seen = ?1, ended = 0, events_dropped = events_dropped + ?2, last_loss = iif(?2 > "
           "0, ?1, "
           "last_loss) "
           "WHERE id = ?3")
        .with(now, events_lost, instance())
        .run();
}

void InventoryStore::has_gap(Timestamp now) {
    db_.prepare("UPDATE proxies SET unclean_ends = unclean_ends + 1, last_loss = ? WHERE id = ?")
        .with(now, instance())
        .run();
}

void InventoryStore::ended(Timestamp now) {
    db_.prepare("UPDATE proxies SET last_seen = ?1, ended = ?1 WHERE id = ?2").with(now, instance()).run();
}

std::vector<Event> InventoryStore::write(const InventoryChanges& changes) {
    std::vector<Event> news;
    const auto ended = [&](bool committed) noexcept {
        clients_.ended(committed);
        handshakes_.ended(committed);
        certificates_.ended(committed);
        samples_.ended(committed);
    };
    try {
        Transaction transaction(db_);
        for (const auto& [key, change] : changes.clients) clients_.write(key, change, news);
        for (const auto& [key, change] : changes.handshakes) handshakes_.write(key, change);
        for (const auto& [key, change] : changes.certificates) certificates_.write(key, change);
        for (const auto& [key, change] : changes.probes) probes_.write(key, change);
        for (const auto& [key, change] : changes.sampling) samples_.write(key, change);
        for (const auto& [key, change] : changes.sampled) samples_.write(key, change);
        transaction.commit();
    } catch (...) {
        ended(false);
        throw;
    }
    ended(true);
    return news;
}

Timestamp InventoryStore::newest() {
    return db_.integer(
        "SELECT max(coalesce((SELECT max(last_seen) FROM clients), 0), coalesce((SELECT max(last_seen) FROM "
        "handshakes), 0), coalesce((SELECT max(last_seen) FROM sampled_sessions), 0))");
}

InventoryStore::Pruned InventoryStore::prune(Timestamp cutoff, bool all) {
    std::int64_t gone = 0;
    bool more_is_due = false;
    {
        Transaction transaction(db_);
        const std::int64_t share = std::max(clients_.rows() / 4, smallest_share);
        if (!all) {
            Statement oldest = db_.prepare("SELECT last_seen FROM clients ORDER BY last_seen LIMIT 1 OFFSET ?");
            if (oldest.with(share).step() && oldest.integer(0) < cutoff) {
                more_is_due = true;
                cutoff = oldest.integer(0);
            }
        }
        for (const char* const sql :
             {"DELETE FROM clients WHERE last_seen < ?", "DELETE FROM evidence WHERE last_seen < ?",
              "DELETE FROM fingerprints WHERE last_seen < ?", "DELETE FROM handshakes WHERE last_seen < ?",
              "DELETE FROM upstream_certificates WHERE last_seen < ?", "DELETE FROM probes WHERE last_shown < ?",
              "DELETE FROM sampled_sessions WHERE last_seen < ?",
              "DELETE FROM sampling WHERE max(last_look, last_failure) < ?"}) {
            db_.prepare(sql).with(cutoff).run();
            gone += db_.integer("SELECT changes()");
        }
        db_.prepare("DELETE FROM days WHERE day < ? AND open_until < ?").with(cutoff / day_length, cutoff).run();
        gone += db_.integer("SELECT changes()");
        if (gone > 0) {
            db_.prepare("UPDATE proxies SET pruned_before = max(pruned_before, ?) WHERE id = ?")
                .with(cutoff, instance())
                .run();
        }
        transaction.commit();
    }
    if (gone == 0) return {};
    clients_.pruned();
    handshakes_.pruned();
    certificates_.pruned();
    samples_.pruned();
    db_.prepare("PRAGMA incremental_vacuum").run();
    return {.rows = gone, .more_is_due = more_is_due};
}

void InventoryStore::checkpoint() { db_.prepare("PRAGMA wal_checkpoint(PASSIVE)").run(); }

}  // namespace proxy
