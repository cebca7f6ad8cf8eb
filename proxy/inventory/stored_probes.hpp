// What probing did to whom, in the inventory: its budgets outlive restarts. Only this unit writes
// this table, and InventoryStore::prune removes what is old.
#pragma once

#include "proxy/inventory/inventory_changes.hpp"
#include "proxy/inventory/sqlite.hpp"
#include "proxy/observation/probe.hpp"

namespace proxy {

class StoredProbes {
   public:
    explicit StoredProbes(Sqlite& db);

    /// Within a transaction.
    void write(const ProbeKey& key, const ProbeChange& change);
    void restore(Probes& probes);
    /// Tells of clients that people repaired since (`pgairlock client repaired`).
    void tell_repairs(Probes& probes);

   private:
    Sqlite& db_;
    Statement put_;
};

}  // namespace proxy
