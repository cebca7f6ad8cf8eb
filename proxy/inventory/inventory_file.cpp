#include "proxy/inventory/inventory_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "proxy/inventory/inventory_schema.hpp"
#include "proxy/observation/random_name.hpp"

namespace proxy {
namespace {

/// 0640: it names users, databases and addresses. SQLite gives its other files the mode of this
/// one.
const std::string& created(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) throw SqliteError(std::strerror(errno));
    ::close(fd);
    return path;
}

}  // namespace

InventoryFile::InventoryFile(const std::string& path) try : db_(created(path), Sqlite::Mode::read_write) {
    create_or_check();
    beginning_ = db_.beginning();
} catch (const SqliteError&) {
    throw_as_unusable(path);
}

void throw_as_unusable(const std::string& path) try { throw; } catch (const NotSqlite& error) {
    throw DamagedInventory("cannot open inventory " + path + ": " + error.what(), false);
} catch (const DamagedSqlite& error) {
    throw DamagedInventory("cannot open inventory " + path + ": " + error.what(), true);
} catch (const SqliteError& error) {
    throw std::runtime_error("cannot open inventory " + path + ": " + error.what());
}

void InventoryFile::create_or_check() {
    // First: what cannot be used is not changed either.
    const Timestamp version = db_.integer("PRAGMA user_version");
    if (version > inventory_version) {
        throw SqliteError("made by a newer pgairlock (its version is " + std::to_string(version) + ", this one knows " +
                          std::to_string(inventory_version) + ")");
    }
    check_own();
    // Only has an effect on an empty file, and not after WAL. Without foreign keys: tables may have
    // to be made anew.
    db_.exec(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA foreign_keys = OFF; PRAGMA journal_mode = WAL; PRAGMA synchronous = "
        "NORMAL");
    {
        Transaction transaction(db_);  // two proxies may create one file
        check_own();
        if (db_.integer("PRAGMA user_version") == 0) {
            db_.exec(std::string(inventory_schema));
            db_.prepare("INSERT INTO meta VALUES ('instance', ?)").with(random_name()).run();
            db_.exec("PRAGMA user_version = " + std::to_string(inventory_version));
            transaction.commit();
        } else {
            take_over(db_.integer("PRAGMA user_version"));
            transaction.commit();
        }
    }
    if (const Timestamp made = db_.integer("PRAGMA user_version"); made != inventory_version)
        throw SqliteError("its version is " + std::to_string(made) + ", which this pgairlock cannot take over");
    db_.exec("PRAGMA foreign_keys = ON");
    if (std::string check = db_.text("PRAGMA quick_check(1)"); check != "ok") {
        std::replace(check.begin(), check.end(), '\n', ' ');
        throw DamagedSqlite("damaged: " + check);
    }
    instance_ = db_.text("SELECT value FROM meta WHERE key = 'instance'");
    if (instance_.empty()) throw SqliteError("the database of something else");
}

void InventoryFile::check_own() {
    if (db_.integer("PRAGMA user_version") == 0 && db_.integer("SELECT count(*) FROM sqlite_schema") > 0)
        throw SqliteError("the database of something else");
}

/// One version after the other; from 1 at once to the last, whose tables are made anew.
void InventoryFile::take_over(Timestamp version) {
    if (version == 1) {
        db_.exec(std::string(inventory_from_1_before));
        db_.exec(std::string(inventory_schema));
        db_.exec(std::string(inventory_from_1_after));
    } else if (version >= 2 && version < inventory_version) {
        if (version <= 2) db_.exec(std::string(inventory_from_2));
        if (version <= 3) db_.exec(std::string(inventory_from_3));
        if (version <= 4) db_.exec(std::string(inventory_from_4));
        db_.exec(std::string(inventory_from_5));
    } else {
        return;
    }
    db_.exec("PRAGMA user_version = " + std::to_string(inventory_version));
}

}  // namespace proxy
