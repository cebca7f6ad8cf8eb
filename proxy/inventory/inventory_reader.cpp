#include "proxy/inventory/inventory_reader.hpp"

#include <filesystem>
#include <stdexcept>

#include "proxy/inventory/inventory_keeper.hpp"
#include "proxy/inventory/inventory_schema.hpp"
#include "proxy/inventory/inventory_source.hpp"
#include "proxy/inventory/postgres.hpp"
#include "proxy/inventory/table_reader.hpp"

namespace proxy {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& message) { throw std::runtime_error(message); }

/// Throws, unless there is a file.
void look_for(const std::string& where) {
    const fs::path file(where);
    std::error_code error;
    if (!fs::exists(file, error)) {
        const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
        fail("no inventory: there is no " + where + (error ? ": " + error.message() : "") +
             "\n  looked in the state directory " + folder +
             "; name the proxy's own with --state-dir DIR, or its audit.inventory with --inventory URL");
    }
    if (!fs::is_regular_file(file, error)) fail(where + " is not an inventory: not a file");
}

std::vector<InventoryRows> rows_of(InventorySource& source) {
    const auto version = source.version();
    if (!version) {
        fail(source.name() +
             " has no inventory in it: no table \"clients\". A proxy creates it when it starts; is audit.inventory of "
             "your configuration "
             "the same?");
    }
    if (*version > inventory_version) {
        fail(source.name() + " was written by a newer pgairlock (tables of version " + std::to_string(*version) +
             ", this program knows " + std::to_string(inventory_version) + "); use the newer one's report");
    }
    return read_tables(source, *version);
}

}  // namespace

std::string inventory_file(const std::string& state_dir) { return (fs::path(state_dir) / "inventory.db").string(); }

std::vector<InventoryRows> read_inventories(const std::string& where) {
    if (PostgresUrl::is_one(where)) return rows_of(*open_fleet(where));
    look_for(where);
    return rows_of(*open_file(where));
}

std::vector<InventoryRows> read_own_inventory(const std::string& file) {
    look_for(file);
    return rows_of(*open_own_file(file));
}

void tell_of_gap(const std::string& file, ProxyRow& proxy) {
    std::error_code none;
    const auto since = fs::last_write_time(gap_marker(file), none);
    if (none) return;
    ++proxy.unclean_ends;
    proxy.last_loss = std::max(proxy.last_loss, to_timestamp(std::chrono::file_clock::to_sys(since)));
}

}  // namespace proxy
