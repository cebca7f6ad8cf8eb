// The inventory's SQLite file. A process that is killed loses no committed transaction, and a
// reader never waits (WAL).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "protocol/verdict.hpp"
#include "proxy/inventory/inventory_changes.hpp"
#include "proxy/inventory/sqlite.hpp"
#include "proxy/observation/probe.hpp"

namespace proxy {

/// What a proxy says about itself.
struct ProxyFacts {
    std::string name{};
    std::string version{};
    std::string listeners{};  ///< for people
    std::chrono::microseconds consistent_after{0};
};

/// Nothing can be read from it any more, or not everything.
class DamagedInventory : public std::runtime_error {
   public:
    DamagedInventory(const std::string& what, bool is_sqlite) : std::runtime_error(what), is_sqlite_(is_sqlite) {}
    /// False: it may be anything that somebody has put there.
    bool is_sqlite() const noexcept { return is_sqlite_; }

   private:
    bool is_sqlite_;
};

/// More methods than most classes have: one for each thing that is written, so that only this class
/// knows the tables.
class InventoryStore {
   public:
    /// Opens or creates it. Throws DamagedInventory, or else std::runtime_error, with the file and
    /// what is wrong with it.
    InventoryStore(const std::string& path, const ProxyFacts& proxy);

    /// All of it in one transaction, or nothing (SqliteError). Gives what is news:
    /// upstream_certificate, client_changed, new_weak_client.
    std::vector<Event> write(const InventoryChanges& changes);
    struct Pruned {
        std::int64_t rows = 0;
        bool more_is_due = false;  ///< a share at once was not enough
    };
    /// Forgets what was last seen before `cutoff`; of clients at most a quarter unless `all`.
    Pruned prune(Timestamp cutoff, bool all);
    /// When anything in it was last seen; 0: it is empty.
    Timestamp newest();
    /// That the proxy was here at `now`, and that so many events more will never be in it.
    void heartbeat(Timestamp now, std::uint64_t events_lost);
    /// That there was more than is in it, and nobody knows how much.
    void has_gap(Timestamp now);
    /// That nothing is left to be written: the last word.
    void ended(Timestamp now);
    /// Moves the log into the file, so that a power failure from now on does not undo it.
    void checkpoint();

    /// What probing did before: its budgets outlive restarts.
    void restore(Probes& probes);
    /// Tells of clients that people repaired since (`pgairlock client repaired`).
    void tell_repairs(Probes& probes);

    /// Somebody has written something else over it, or made it shorter than its header.
    bool is_overwritten() { return !beginning_.empty() && db_.beginning() != beginning_; }

    /// A random name of this file.
    const std::string& instance() const noexcept { return instance_; }
    /// Rows that had to make room for others since the start.
    std::uint64_t forgotten() const noexcept { return forgotten_; }

   private:
    void create_or_check();
    void check_own();
    void take_over(Timestamp version);
    void introduce(const ProxyFacts& proxy);
    void prepare();
    std::int64_t find_client(const ClientIdentity& who);
    ClientNames stored_names(const ClientIdentity& key);
    void make_room_for_a_client();
    void make_room_for_a_handshake();
    void forgot(std::int64_t rows);
    void write(const ClientIdentity& key, const ClientChange& change, std::vector<Event>& news);
    bool changed_news(std::int64_t id, const ClientIdentity& key, const ClientChange& change, std::vector<Event>& news);
    void weak_news(std::int64_t id, const ClientIdentity& key, const ClientChange& change, std::vector<Event>& news);
    std::vector<protocol::Observation> stored_evidence(std::int64_t id);
    void write(const HandshakeKey& key, const HandshakeChange& change);
    void write(const CertificateKey& key, const CertificateChange& change, std::vector<Event>& news);
    void write(const ProbeKey& key, const ProbeChange& change);

    Sqlite db_;
    std::string beginning_;  // of the file, once it is made
    std::string instance_;
    std::int64_t clients_ = 0;  // rows: tables that strangers can fill have a limit
    std::int64_t handshakes_ = 0;
    std::uint64_t forgotten_ = 0;
    std::map<std::int64_t, Timestamp> told_;     // clients whose change was told, and when
    std::map<std::int64_t, Timestamp> telling_;  // the same, of a transaction that is not yet committed

    Statement find_client_, find_weakness_, count_names_, find_evidence_, find_handshake_, find_certificate_,
        find_issuer_;
    Statement put_client_, put_evidence_, put_fingerprint_, put_day_, extend_day_, put_handshake_, put_certificate_,
        put_probe_;
};

}  // namespace proxy
