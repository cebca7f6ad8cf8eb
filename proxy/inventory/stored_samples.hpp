// Sessions as servers list them, in the inventory. Only this unit writes these two tables, and
// InventoryStore::prune removes what is old.
#pragma once

#include <cstdint>
#include <string>

#include "proxy/inventory/forgotten_rows.hpp"
#include "proxy/inventory/inventory_changes.hpp"
#include "proxy/inventory/sqlite.hpp"

namespace proxy {

class StoredSamples {
   public:
    StoredSamples(Sqlite& db, ForgottenRows& forgotten);

    /// Within a transaction; the server's before those of its sessions.
    void write(const ServerKey& server, const SamplingChange& change);
    void write(const SampledKey& key, const SampledChange& change);
    /// The transaction in which all was written since the last call has ended.
    void ended(bool committed) noexcept { (committed ? committed_rows_ : rows_) = committed ? rows_ : committed_rows_; }
    /// Rows are gone that others have removed.
    void pruned() { rows_ = committed_rows_ = count(); }

   private:
    bool is_known(const SampledKey& key);
    SampledKind stored_kind(const SampledKey& key);
    void make_room();
    std::int64_t count();

    Sqlite& db_;
    ForgottenRows& forgotten_;
    std::int64_t rows_ = 0;
    std::int64_t committed_rows_ = 0;
    Statement find_, count_names_, put_, put_server_;
};

}  // namespace proxy
