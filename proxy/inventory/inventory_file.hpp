// The SQLite file of an inventory, opened: made when it is not there, brought up to today's tables
// when it is older, refused when it is something else, newer or damaged.
#pragma once

#include <stdexcept>
#include <string>

#include "proxy/inventory/sqlite.hpp"
#include "proxy/inventory/timestamp.hpp"

namespace proxy {

/// Nothing can be read from it any more, or not everything.
class DamagedInventory : public std::runtime_error {
   public:
    DamagedInventory(const std::string& what, bool is_sqlite) : std::runtime_error(what), is_sqlite_(is_sqlite) {}
    /// False: it may be anything that somebody has put there.
    bool is_sqlite() const noexcept { return is_sqlite_; }

   private:
    bool is_sqlite_;
};

class InventoryFile {
   public:
    /// Throws DamagedInventory, or else std::runtime_error, with the file and what is wrong with
    /// it.
    explicit InventoryFile(const std::string& path);

    Sqlite& database() noexcept { return db_; }
    /// A random name of this file.
    const std::string& instance() const noexcept { return instance_; }
    /// Somebody has written something else over it, or made it shorter than its header.
    bool is_overwritten() { return !beginning_.empty() && db_.beginning() != beginning_; }

   private:
    void create_or_check();
    void check_own();
    void take_over(Timestamp version);

    Sqlite db_;
    std::string beginning_;  // of the file, once it is made
    std::string instance_;
};

/// Within a handler of a SqliteError: throws it as an InventoryFile does.
[[noreturn]] void throw_as_unusable(const std::string& path);

}  // namespace proxy
