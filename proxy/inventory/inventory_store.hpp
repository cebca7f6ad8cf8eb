// The inventory's SQLite file. A process that is killed loses no committed transaction, and a
// reader never waits (WAL).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "proxy/inventory/inventory_changes.hpp"
#include "proxy/inventory/inventory_file.hpp"
#include "proxy/inventory/stored_certificates.hpp"
#include "proxy/inventory/stored_clients.hpp"
#include "proxy/inventory/stored_handshakes.hpp"
#include "proxy/inventory/stored_probes.hpp"
#include "proxy/inventory/stored_samples.hpp"

namespace proxy {

/// What a proxy says about itself.
struct ProxyFacts {
    std::string name{};
    std::string version{};
    std::string listeners{};  ///< for people
    std::chrono::microseconds consistent_after{0};
    bool goes_on = false;  ///< it takes the place of a process that still runs (an upgrade)
};

/// Each table is written by a unit of its own (stored_*.hpp), all in one transaction by this one,
/// which itself writes who the proxy is, and forgets what is old.
class InventoryStore {
   public:
    /// Opens or creates it. Throws as InventoryFile does.
    InventoryStore(const std::string& path, const ProxyFacts& proxy);

    /// All of it in one transaction, or nothing (SqliteError). Gives what is news:
    /// client_changed, new_weak_client.
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
    void restore(Probes& probes) { probes_.restore(probes); }
    /// Tells of clients that people repaired since (`pgairlock client repaired`).
    void tell_repairs(Probes& probes) { probes_.tell_repairs(probes); }
    /// What servers showed, the `most` that were seen last, the oldest of them first.
    std::vector<ShownCertificate> last_certificates(std::size_t most) { return certificates_.last_shown(most); }

    bool is_overwritten() { return file_.is_overwritten(); }
    const std::string& instance() const noexcept { return file_.instance(); }
    /// Rows that had to make room for others since the start.
    std::uint64_t forgotten() const noexcept { return forgotten_.total(); }

   private:
    void introduce(const ProxyFacts& proxy);

    InventoryFile file_;
    Sqlite& db_;
    ForgottenRows forgotten_;
    StoredClients clients_;
    StoredHandshakes handshakes_;
    StoredCertificates certificates_;
    StoredProbes probes_;
    StoredSamples samples_;
};

}  // namespace proxy
