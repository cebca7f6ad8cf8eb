// Handshakes that came to no StartupMessage, in the inventory. Only this unit writes this
// table, and InventoryStore::prune removes what is old.
#pragma once

#include <cstdint>

#include "proxy/inventory/forgotten_rows.hpp"
#include "proxy/inventory/inventory_changes.hpp"
#include "proxy/inventory/sqlite.hpp"

namespace proxy {

class StoredHandshakes {
   public:
    StoredHandshakes(Sqlite& db, ForgottenRows& forgotten);

    /// Within a transaction.
    void write(const HandshakeKey& key, const HandshakeChange& change);
    /// The transaction in which all was written since the last call has ended.
    void ended(bool committed) noexcept { (committed ? committed_rows_ : rows_) = committed ? rows_ : committed_rows_; }
    /// Rows are gone that others have removed.
    void pruned() { rows_ = committed_rows_ = count(); }

   private:
    void make_room();
    std::int64_t count();

    Sqlite& db_;
    ForgottenRows& forgotten_;
    std::int64_t rows_ = 0;
    std::int64_t committed_rows_ = 0;
    Statement find_, put_;
};

}  // namespace proxy
