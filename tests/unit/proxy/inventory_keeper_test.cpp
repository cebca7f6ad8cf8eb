#include "proxy/inventory/inventory_keeper.hpp"

#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "support/catch.hpp"
#include "support/folder.hpp"

namespace {

namespace fs = std::filesystem;
using proxy::Event;
using proxy::EventKind;
using proxy::Inventory;
using proxy::InventoryKeeper;
using proxy::Sqlite;
using support::Folder;

/// A proxy's inventory in the folder, and whether it is in use.
class Kept {
   public:
    explicit Kept(const std::string& path, bool ours = true) {
        keeper_ = std::make_unique<InventoryKeeper>(InventoryKeeper::Settings{
            .path = path,
            .ours = ours,
            .open = [path] { return std::make_unique<Inventory>(Inventory::Settings{.path = path}); },
            .use = [this](Inventory* inventory) { in_use_ = inventory != nullptr; }});
    }
    bool in_use() const { return in_use_; }
    InventoryKeeper& operator*() const { return *keeper_; }
    InventoryKeeper* operator->() const { return keeper_.get(); }
    std::string told() const {
        std::string all;
        for (const Event& event : keeper_->flush()) {
            CHECK(event.kind == EventKind::inventory_failed);
            all += event.message;
        }
        return all;
    }

   private:
    bool in_use_ = false;
    std::unique_ptr<InventoryKeeper> keeper_;
};

Event login() {
    Event event{.kind = EventKind::connected};
    event.record.session = "s";
    event.record.upstream = "db";
    event.record.usename = "ada";
    event.record.ssl = true;  // a client in clear would be news
    return event;
}

std::int64_t integer(const std::string& path, const std::string& sql) {
    return Sqlite(path, Sqlite::Mode::read_only).integer(sql);
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// The name that the damaged file has now; empty: none.
std::string aside(const Folder& folder) {
    for (const auto& entry : fs::directory_iterator(folder.file(""))) {
        const std::string path = entry.path().string();
        const bool is_it =
            contains(path, "inventory.db.damaged-") && !path.ends_with("-wal") && !path.ends_with("-shm");
        if (is_it) return path;
    }
    return {};
}

}  // namespace

TEST_CASE("an inventory that is removed while it is in use is begun anew, and no report takes it for everything") {
    const Folder folder;
    const std::string path = folder.file("inventory.db");
    const Kept kept(path);
    kept->absorb(login());
    kept->flush();
    for (const char* const more : {"", "-wal", "-shm"}) fs::remove(path + more);
    SECTION("nothing is there") {}
    SECTION("another file is there") { std::ofstream(path) << ""; }
    CHECK(contains(kept->flush().empty() ? "" : "told", "told"));
    CHECK(kept.in_use());
    CHECK(integer(path, "SELECT sum(unclean_ends) FROM proxies") == 1);
    kept->absorb(login());
    CHECK(kept.told().empty());
}

TEST_CASE("an inventory that is put in the place of one in use is used as it is") {
    const Folder folder;
    const std::string path = folder.file("inventory.db"), copy = folder.file("copy.db");
    { const Kept before(path); }
    fs::copy_file(path, copy);
    const Kept kept(path);
    for (int i = 0; i < 3; ++i) {
        kept->absorb(login());
        kept->flush();
    }
    fs::rename(copy, path);
    CHECK_FALSE(kept->flush().empty());
    CHECK(kept.in_use());
    CHECK(integer(path, "SELECT count(*) FROM clients") == 0);
    CHECK(integer(path, "SELECT sum(unclean_ends) FROM proxies") == 1);
    kept->absorb(login());
    kept->flush();
    CHECK(integer(path, "SELECT sum(connections) FROM clients") == 1);
}

TEST_CASE("a damaged inventory is moved aside, a new one begun, and no report takes it for everything") {
    const Folder folder;
    const std::string path = folder.file("inventory.db");
    const std::string damage = std::string(5000, 'x');
    SECTION("what is no database at all") { std::ofstream(path) << damage; }
    SECTION("a database with pages of garbage") {
        {
            Inventory inventory({.path = path});
            inventory.absorb(login());
            inventory.flush();
        }
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        for (int page = 1; page < 12; ++page) file.seekp(page * 4096).write(damage.data(), 3000);
    }
    const auto size = fs::file_size(path);
    {
        Kept kept(path);
        CHECK(kept.in_use());
        const std::string told = kept.told();
        CHECK(contains(told, "cannot open inventory " + path + ": "));
        REQUIRE(!aside(folder).empty());
        CHECK(contains(told, "It was moved to " + aside(folder) + " and a new one begun"));
        CHECK(fs::file_size(aside(folder)) == size);
        kept->absorb(login());
        kept->flush();
    }
    CHECK(integer(path, "SELECT connections FROM clients") == 1);
    CHECK(integer(path, "SELECT unclean_ends > 0 AND last_loss > 0 FROM proxies") == 1);
    CHECK(Kept(path).told().empty());
}

TEST_CASE("a file that somebody else may have put there is left alone") {
    const Folder folder;
    const std::string path = folder.file("notes.txt");
    std::ofstream(path) << "not yours";
    Kept kept(path, false);
    CHECK_FALSE(kept.in_use());
    CHECK(
        contains(kept.told(),
                 "file is not a database. Clients are served without it, and what they do is in no "
                 "report until it can be used, which is tried every 10 s. Repair it, or set audit.inventory to another "
                 "file"));
    CHECK(support::content(path) == "not yours");
}

TEST_CASE("an inventory of a newer version is left alone, and what is missing in it is told later") {
    const Folder folder;
    const std::string path = folder.file("inventory.db");
    { const Inventory inventory({.path = path}); }
    const std::int64_t version = integer(path, "PRAGMA user_version");
    Sqlite(path, Sqlite::Mode::read_write).exec("PRAGMA user_version = 99");
    {
        Kept kept(path);
        CHECK_FALSE(kept.in_use());
        CHECK(contains(kept.told(), "made by a newer pgairlock"));
        CHECK(kept.told().empty());  // once
        kept->absorb(login());
        CHECK(fs::exists(proxy::gap_marker(path)));
    }
    Sqlite(path, Sqlite::Mode::read_write).exec("PRAGMA user_version = " + std::to_string(version));
    CHECK(integer(path, "SELECT unclean_ends FROM proxies") == 0);
    { CHECK(Kept(path).in_use()); }
    CHECK(integer(path, "SELECT unclean_ends > 0 AND last_loss > 0 FROM proxies") == 1);
    CHECK_FALSE(fs::exists(proxy::gap_marker(path)));
}

TEST_CASE("an inventory that becomes usable while the proxy runs is used, and told how much it missed") {
    const Folder folder;
    const std::string path = folder.file("later/inventory.db");
    Kept kept(path);
    REQUIRE_FALSE(kept.in_use());
    kept->absorb(login());
    kept->absorb({.kind = EventKind::started});
    CHECK_FALSE(kept.told().empty());
    fs::create_directory(folder.file("later"));
    std::this_thread::sleep_until(kept->due());
    kept->flush();
    REQUIRE(kept.in_use());
    kept->absorb(login());
    kept->flush();
    CHECK(integer(path, "SELECT events_dropped FROM proxies") == 1);
    CHECK(integer(path, "SELECT connections FROM clients") == 1);
}

TEST_CASE("an inventory that cannot be written for long is told once, with what waits, until it can") {
    const Folder folder;
    const std::string path = folder.file("inventory.db");
    Kept kept(path);
    std::string told;
    CHECK_FALSE(kept->unwritten());
    const auto flush_until = [&](const std::function<bool()>& done) {
        for (int tries = 0; tries < 600 && !done(); ++tries) {
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
            told += kept.told();
        }
        return done();
    };
    {
        Sqlite other(path, Sqlite::Mode::read_write);
        const proxy::Transaction lock(other);
        kept->absorb(login());
        told += kept.told();
        CHECK_FALSE(kept->unwritten());  // others may hold it for a moment
        const auto began = std::chrono::steady_clock::now();
        REQUIRE(flush_until([&] { return !told.empty(); }));
        CHECK(std::chrono::steady_clock::now() - began >= Inventory::patience - std::chrono::seconds(1));
        CHECK(contains(told, "the inventory " + path + " cannot be written: database is locked"));
        const auto unwritten = kept->unwritten();
        REQUIRE(unwritten);
        CHECK(unwritten->rows > 0);
        CHECK(contains(told, to_text(*unwritten)));
        CHECK(kept.told().empty());  // once
    }
    CHECK(flush_until([&] { return !kept->unwritten(); }));
    CHECK(integer(path, "SELECT connections FROM clients") == 1);
}

TEST_CASE("while there is no inventory it is told since when, and how much it misses") {
    const Folder folder;
    Kept kept(folder.file("missing/inventory.db"));
    kept->absorb(login());
    const auto unwritten = kept->unwritten();
    REQUIRE(unwritten);
    CHECK(unwritten->events == 1);
    CHECK(std::chrono::system_clock::now() - unwritten->since < std::chrono::minutes(1));
    CHECK(contains(to_text(*unwritten), "without 1 event, in no report"));
}

TEST_CASE("an inventory that somebody writes over while it is in use is noticed at the next flush") {
    const Folder folder;
    const std::string path = folder.file("inventory.db");
    const Kept kept(path);
    for (int i = 0; i < 20; ++i) {
        Event one = login();
        one.record.usename += std::to_string(i);
        kept->absorb(one);
    }
    CHECK(kept->flush().empty());
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        SECTION("with other bytes") {
            file.write(std::string(fs::file_size(path), '\x5a').data(),
                       static_cast<std::streamsize>(fs::file_size(path)));
        }
        SECTION("by nothing") { fs::resize_file(path, 0); }
    }
    kept->absorb(login());
    const std::string told = kept.told();
    CHECK(contains(told, "the inventory " + path + " was damaged while it was in use"));
    CHECK(kept.in_use());
    kept->absorb(login());
    CHECK(kept.told().empty());
    CHECK(integer(path, "SELECT count(*) FROM clients WHERE usename = 'ada'") == 1);
    CHECK(integer(path, "SELECT unclean_ends > 0 AND last_loss > 0 FROM proxies") == 1);
}
