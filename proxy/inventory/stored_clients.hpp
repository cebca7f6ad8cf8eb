// The inventory's clients and all that hangs on them: evidence, fingerprints, days. Only this unit
// writes these tables, and InventoryStore::prune removes what is old.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "proxy/inventory/client_news.hpp"
#include "proxy/inventory/forgotten_rows.hpp"
#include "proxy/inventory/inventory_changes.hpp"
#include "proxy/inventory/sqlite.hpp"
#include "tls/recently_used.hpp"

namespace proxy {

class StoredClients {
   public:
    StoredClients(Sqlite& db, ForgottenRows& forgotten);

    /// Within a transaction. What is news of it is added to `news`.
    void write(const ClientIdentity& key, const ClientChange& change, std::vector<Event>& news);
    /// The transaction in which all was written since the last call has ended. Throws nothing:
    /// whoever has committed must not seem to have failed, or all would be written twice.
    void ended(bool committed) noexcept;
    /// Rows are gone that others have removed, and ids may be given anew.
    void pruned();
    std::int64_t rows() const noexcept { return rows_; }

   private:
    struct Row {
        std::int64_t id = 0;  ///< 0: there is none
        KeyExchangeGroups groups;
    };

    Row find(const ClientIdentity& who);
    ClientNames stored_names(const ClientIdentity& key);
    void make_room();
    KnownClient known(std::int64_t id);
    std::vector<protocol::Observation> evidence_of(std::int64_t id);
    void tell_change(std::int64_t id, const ClientIdentity& who, const ClientChange& change, std::vector<Event>& news);
    std::int64_t put(const ClientIdentity& who, const ClientChange& change, const KeyExchangeGroups& groups);
    void put_details(std::int64_t id, const ClientChange& change);
    std::int64_t count();

    Sqlite& db_;
    ForgottenRows& forgotten_;
    std::int64_t rows_ = 0;
    std::int64_t committed_rows_ = 0;
    tls::RecentlyUsed<std::int64_t, Timestamp> told_;  // clients whose change was told, and when
    std::map<std::int64_t, Timestamp> telling_;        // the same, of a transaction that is not yet committed
    Statement find_, find_weakness_, count_names_, find_evidence_;
    Statement put_, put_evidence_, put_fingerprint_, put_day_, extend_day_;
};

}  // namespace proxy
