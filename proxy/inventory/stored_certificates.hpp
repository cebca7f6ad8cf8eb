// Certificates that servers showed, in the inventory. Only this unit writes this table.
#pragma once

#include <vector>

#include "proxy/inventory/inventory_changes.hpp"
#include "proxy/inventory/sqlite.hpp"

namespace proxy {

class StoredCertificates {
   public:
    explicit StoredCertificates(Sqlite& db);

    /// Within a transaction.
    void write(const CertificateKey& key, const CertificateChange& change);
    /// The `most` that were seen last, the oldest of them first.
    std::vector<ShownCertificate> last_shown(std::size_t most);

   private:
    Sqlite& db_;
    Statement find_groups_, put_;
};

}  // namespace proxy
