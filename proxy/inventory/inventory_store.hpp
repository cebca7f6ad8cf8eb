// The inventory's SQLite file. A process that is killed loses no committed transaction, and a
// reader never waits (WAL).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "proxy/inventory/inventory_changes.hpp"
#include "proxy/inventory/sqlite.hpp"
#include "proxy/observation/probe.hpp"

namespace proxy {

class InventoryStore {
   public:
    /// Opens or creates it. Throws std::runtime_error naming the file and what is wrong with it.
    explicit InventoryStore(const std::string& path);

    /// All of it in one transaction, or nothing (SqliteError). Gives what is news:
    /// upstream_certificate, client_changed.
    std::vector<Event> write(const InventoryChanges& changes);
    /// Forgets what was last seen before `cutoff`. True: something was.
    bool prune(Timestamp cutoff);
    /// Moves the log into the file, so that a power failure from now on does not undo it.
    void checkpoint();

    /// What probing did before: its budgets outlive restarts.
    void restore(Probes& probes);

    /// A random name of this file.
    const std::string& instance() const noexcept { return instance_; }
    /// New rows refused so far because a table is full.
    std::uint64_t refused() const noexcept { return refused_; }

   private:
    void create_or_check();
    void prepare();
    void write(const ClientIdentity& key, const ClientChange& change, std::vector<Event>& news);
    bool changed_news(std::int64_t id, const ClientIdentity& key, const ClientChange& change, std::vector<Event>& news);
    void write(const HandshakeKey& key, const HandshakeChange& change);
    void write(const CertificateKey& key, const CertificateChange& change, std::vector<Event>& news);
    void write(const ProbeKey& key, const ProbeChange& change);

    Sqlite db_;
    std::string instance_;
    std::int64_t clients_ = 0;  // rows: tables that strangers can fill have a limit
    std::int64_t handshakes_ = 0;
    std::uint64_t refused_ = 0;
    std::map<std::int64_t, Timestamp> told_;     // clients whose change was told, and when
    std::map<std::int64_t, Timestamp> telling_;  // the same, of a transaction that is not yet committed

    Statement find_client_, find_evidence_, find_handshake_, find_certificate_;
    Statement put_client_, put_evidence_, put_fingerprint_, put_day_, put_handshake_, put_certificate_, put_probe_;
};

}  // namespace proxy
