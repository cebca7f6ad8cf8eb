#include "proxy/command/check/inventory_file_check.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "proxy/inventory/inventory_file.hpp"
#include "proxy/inventory/inventory_use.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Sqlite;
using proxy::command::look_into_inventory;

constexpr auto patience = 120s;

std::string fault(const std::string& path) { return look_into_inventory(path, patience).fault; }

/// As a proxy makes it, then changed.
std::string inventory(const support::Folder& folder, const std::string& sql = {}) {
    const std::string path = folder.file("inventory.db");
    { const proxy::InventoryFile made(path); }
    if (!sql.empty()) Sqlite(path, Sqlite::Mode::read_write).exec(sql);
    return path;
}

}  // namespace

TEST_CASE("inventory of a check: what a proxy has made, or will make, is in order and stays as it is") {
    const support::Folder folder;
    CHECK(fault(folder.file("unmade.db")).empty());
    const std::string path = inventory(folder);
    const std::string before = support::content(path);
    CHECK(fault(path).empty());
    CHECK(support::content(path) == before);
    CHECK_FALSE(std::filesystem::exists(path + "-wal"));
    CHECK_FALSE(std::filesystem::exists(path + "-shm"));
}

TEST_CASE("inventory of a check: what is no file is refused without a wait") {
    const support::Folder folder;
    const std::string fifo = folder.file("fifo");
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    CHECK(fault(fifo) == "it is no file");
    CHECK(fault(folder.file("")) == "it is no file");
}

TEST_CASE("inventory of a check: tables that are not those of its version are seen") {
    const support::Folder folder;
    SECTION("one is missing") {
        CHECK(fault(inventory(folder, "DROP TABLE fingerprints")).find("fingerprints") != std::string::npos);
    }
    SECTION("they are older ones") {
        CHECK(fault(inventory(folder, "ALTER TABLE clients DROP COLUMN groups")).find("groups") != std::string::npos);
    }
    SECTION("it is of nobody") {
        CHECK(fault(inventory(folder, "DELETE FROM meta WHERE key = 'instance'")) == "the database of something else");
    }
    SECTION("they are something else's") {
        const std::string path = folder.file("other.db");
        std::ofstream(path).flush();
        Sqlite(path, Sqlite::Mode::read_write).exec("CREATE TABLE shop (item)");
        CHECK(fault(path) == "the database of something else");
    }
}

TEST_CASE("inventory of a check: pages that were overwritten behind a good beginning are seen") {
    const support::Folder folder;
    const std::string path = inventory(folder);
    const auto size = std::filesystem::file_size(path);
    {
        std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(4096 * 2);
        file << std::string(size - 4096 * 2, 'x');
    }
    CHECK_FALSE(fault(path).empty());
}

TEST_CASE("inventory of a check: one with changes beside it is said not to have been looked into") {
    const support::Folder folder;
    const std::string path = inventory(folder);
    std::ofstream(path + "-wal") << "changes";
    const auto look = look_into_inventory(path, patience);
    CHECK(look.fault.empty());
    CHECK(look.not_looked.find(path + "-wal") != std::string::npos);
    CHECK(support::content(path + "-wal") == "changes");
}

TEST_CASE("inventory of a check: one in use is said not to have been looked into") {
    const support::Folder folder;
    const std::string path = inventory(folder);
    const proxy::InventoryUse use(path);
    // Its own process does not see its locks: fcntl(2).
    const pid_t other = ::fork();
    if (other == 0) ::_exit(look_into_inventory(path, patience).not_looked == "not looked into: it is in use" ? 0 : 1);
    int status = -1;
    REQUIRE(::waitpid(other, &status, 0) == other);
    CHECK(status == 0);
}

TEST_CASE("inventory of a check: one that cannot be read in time is not said to be in order") {
    const support::Folder folder;
    std::string sql = "BEGIN; CREATE TABLE large (a);";
    for (int i = 0; i < 2'000; ++i) sql += "INSERT INTO large VALUES ('" + std::string(1'000, 'a') + "');";
    const auto look = look_into_inventory(inventory(folder, sql + "COMMIT"), 0ms);
    CHECK(look.fault.empty());
    CHECK_FALSE(look.not_looked.empty());
}
