#include "proxy/command/check/inventory_file_check.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "proxy/inventory/inventory_header.hpp"
#include "proxy/inventory/inventory_source.hpp"
#include "proxy/inventory/inventory_use.hpp"
#include "proxy/inventory/sqlite.hpp"
#include "proxy/inventory/table_reader.hpp"

namespace proxy::command {
namespace {

namespace fs = std::filesystem;

/// Asks for the reader's tables and columns, and gives it no row of them.
class TablesOnly final : public InventorySource {
   public:
    explicit TablesOnly(Sqlite& db) : db_(db) {}
    std::string name() const override { return {}; }
    std::optional<std::int64_t> version() override { return db_.integer("PRAGMA user_version"); }
    void rows(const std::string& table, const std::string& columns, const Visit&) override {
        db_.prepare("SELECT " + columns + " FROM " + table);
    }

   private:
    Sqlite& db_;
};

std::string fault_of_beginning(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::array<char, inventory_header_size> beginning{};
    file.read(beginning.data(), beginning.size());
    return inventory_header_fault(
        protocol::as_bytes({beginning.data(), static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0))}));
}

/// As InventoryFile does when it opens one.
std::string fault_of_tables(Sqlite& db) {
    TablesOnly tables(db);
    const std::int64_t version = tables.version().value_or(0);
    const bool is_empty = db.integer("SELECT count(*) FROM sqlite_schema") == 0;
    if (version == 0) return is_empty ? "" : "the database of something else";
    read_tables(tables, version);
    if (db.text("SELECT value FROM meta WHERE key = 'instance'").empty()) return "the database of something else";
    std::string check = db.text("PRAGMA quick_check(1)");
    std::replace(check.begin(), check.end(), '\n', ' ');
    return check == "ok" ? "" : "damaged: " + check;
}

}  // namespace

InventoryLook look_into_inventory(const std::string& path, std::chrono::milliseconds patience) {
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0) {
        if (errno == ENOENT) return {};  // it is about to be made
        return {.fault = std::strerror(errno)};
    }
    if (!S_ISREG(file.st_mode)) return {.fault = "it is no file"};
    if (std::string fault = fault_of_beginning(path); !fault.empty()) return {.fault = std::move(fault)};
    if (file.st_size == 0) return {};
    std::error_code error;
    const auto log = fs::file_size(path + "-wal", error);
    if (InventoryUse::seen_from_outside(path).state != InventoryUse::Other::State::none)
        return {.not_looked = "not looked into: it is in use"};
    // In use by something else, or to be recovered by its next user: not to be touched.
    if (!error && log > 0)
        return {.not_looked = "not looked into: " + path +
                              "-wal holds what is not in it yet; whoever opens it next "
                              "takes that up"};
    try {
        Sqlite db(path, Sqlite::Mode::immutable);
        const auto enough = std::chrono::steady_clock::now() + patience;
        db.give_up_at(enough);
        try {
            return {.fault = fault_of_tables(db)};
        } catch (const std::runtime_error& broken) {
            if (std::chrono::steady_clock::now() < enough) return {.fault = broken.what()};
            return {.not_looked =
                        "not read to its end, which takes longer than " + std::to_string(patience.count()) + " ms"};
        }
    } catch (const SqliteError& broken) {
        return {.fault = broken.what()};
    }
}

}  // namespace proxy::command
