// Rows that had to make room for others: whoever reads the inventory is told that they are missing.
#pragma once

#include <cstdint>
#include <string>

#include "proxy/inventory/sqlite.hpp"

namespace proxy {

/// Whoever can reach a listener can make up names, so tables have a limit. Where it is reached, so
/// many are forgotten at once: not every new row has to look for another.
inline constexpr std::int64_t made_room_at_once = 1'000;

class ForgottenRows {
   public:
    /// `instance`: whose rows they are.
    ForgottenRows(Sqlite& db, std::string instance);
    /// Within the transaction that forgets them.
    void add(std::int64_t rows);
    /// Since the start.
    std::uint64_t total() const noexcept { return total_; }

   private:
    Sqlite& db_;
    const std::string instance_;
    std::uint64_t total_ = 0;
};

}  // namespace proxy
