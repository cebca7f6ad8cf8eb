#include "proxy/inventory/forgotten_rows.hpp"

#include <utility>

namespace proxy {

ForgottenRows::ForgottenRows(Sqlite& db, std::string instance) : db_(db), instance_(std::move(instance)) {}

void ForgottenRows::add(std::int64_t rows) {
    total_ += static_cast<std::uint64_t>(rows);
    db_.prepare(
           "UPDATE proxies SET rows_left_out = rows_left_out + ?, last_loss = max(last_loss, last_seen) WHERE id = ?")
        .with(rows, instance_)
        .run();
}

}  // namespace proxy
