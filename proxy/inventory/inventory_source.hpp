// A database with the tables of inventory_schema.hpp, only read: one proxy's SQLite file, or a
// fleet's PostgreSQL. All of it is one state of the tables, that of the first question.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace proxy {

/// Errors are std::runtime_error, and say which inventory cannot be read.
class InventorySource {
   public:
    using Row = std::vector<std::string>;  ///< NULL is an empty text
    using Visit = std::function<void(const std::string& proxy, const Row& row)>;

    virtual ~InventorySource() = default;
    /// For people.
    virtual std::string name() const = 0;
    /// Of its tables; nullopt: it has none.
    virtual std::optional<std::int64_t> version() = 0;
    /// One after the other: a fleet's may be many. `proxy`: the instance of the file that the row
    /// comes from.
    virtual void rows(const std::string& table, const std::string& columns, const Visit& visit) = 0;
};

/// A file that exists, whether its proxy runs or not; nothing is written beside it that stays.
std::unique_ptr<InventorySource> open_file(const std::filesystem::path& file);

/// The file that this process itself keeps: by SQLite alone. Who closes a descriptor of it that is
/// not SQLite's takes away the locks of fcntl(2) that SQLite has on it for the whole process, and
/// that is what copying it would do.
std::unique_ptr<InventorySource> open_own_file(const std::filesystem::path& file);

/// postgresql://...
std::unique_ptr<InventorySource> open_fleet(const std::string& url);

}  // namespace proxy
