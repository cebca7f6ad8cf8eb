#include "proxy/inventory/inventory_source.hpp"

#include <cstdlib>
#include <stdexcept>

#include "proxy/inventory/inventory_schema.hpp"
#include "proxy/inventory/postgres.hpp"
#include "proxy/inventory/sqlite.hpp"

namespace proxy {
namespace {

namespace fs = std::filesystem;

/// A folder that is gone afterwards.
class TemporaryFolder {
   public:
    TemporaryFolder() {
        std::string pattern = (fs::temp_directory_path() / "pgairlock-report-XXXXXX").string();
        if (!::mkdtemp(pattern.data()))
            throw std::runtime_error("cannot create a folder in " + fs::temp_directory_path().string());
        path_ = pattern;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const fs::path& path() const { return path_; }

   private:
    fs::path path_;
};

class FileSource final : public InventorySource {
   public:
    enum class Whose { any, own };

    FileSource(const fs::path& file, Whose whose) : file_(file) {
        if (is_readable(file, Sqlite::Mode::read_only)) return;
        if (whose == Whose::own) refuse(reason_);
        // In WAL mode even a reader wants to create a file beside the database, which it cannot in
        // a read-only folder.
        fs::path log = file;
        log += "-wal";
        std::error_code error;
        if (fs::file_size(log, error) == 0 || error) {
            if (is_readable(file, Sqlite::Mode::immutable)) return;
        } else {
            copy_.emplace();
            fs::copy_file(file, copy_->path() / "inventory.db");
            fs::copy_file(log, copy_->path() / "inventory.db-wal");
            if (is_readable(copy_->path() / "inventory.db", Sqlite::Mode::read_only)) return;
        }
        refuse(reason_);
    }

    std::string name() const override { return file_.string(); }

    std::optional<std::int64_t> version() override try {
        if (db_->integer("SELECT count(*) FROM sqlite_master WHERE name = 'clients'") == 0) return std::nullopt;
        instance_ = db_->text("SELECT value FROM meta WHERE key = 'instance'");
        return db_->integer("PRAGMA user_version");
    } catch (const SqliteError& error) {
        refuse(error.what());
    }

    void rows(const std::string& table, const std::string& columns, const Visit& visit) override try {
        Statement statement = db_->prepare("SELECT " + columns + " FROM " + table);
        Row row(static_cast<std::size_t>(statement.columns()));
        while (statement.step()) {
            for (std::size_t i = 0; i < row.size(); ++i) row[i] = statement.text(static_cast<int>(i));
            visit(instance_, row);
        }
    } catch (const SqliteError& error) {
        refuse(error.what());
    }

   private:
    bool is_readable(const fs::path& path, Sqlite::Mode mode) {
        try {
            db_.emplace(path.string(), mode);
            db_->exec("PRAGMA busy_timeout = 5000; BEGIN; SELECT count(*) FROM sqlite_master");
            return true;
        } catch (const NotSqlite&) {
            throw std::runtime_error(file_.string() + " is not an inventory: not an SQLite file");
        } catch (const SqliteError& error) {
            reason_ = error.what();
            return false;
        }
    }

    [[noreturn]] void refuse(const std::string& reason) const {
        throw std::runtime_error("cannot read the inventory " + file_.string() + ": " + reason);
    }

    fs::path file_;
    std::string instance_;
    std::string reason_;                   // of the last attempt to open it
    std::optional<TemporaryFolder> copy_;  // outlives the connection
    std::optional<Sqlite> db_;
};

class FleetSource final : public InventorySource {
   public:
    explicit FleetSource(const std::string& url) try
        : url_(url),
          db_(
              url_, [] { return false; }, "pgairlock report") {
        db_.exec("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    } catch (const PostgresError& error) {
        throw std::runtime_error(std::string("cannot connect to the inventory: ") + error.what());
    }

    std::string name() const override { return "the database " + url_.shown(); }

    std::optional<std::int64_t> version() override try {
        if (db_.exec("SELECT FROM pg_tables WHERE schemaname = 'pgairlock' AND tablename = 'clients'").empty())
            return std::nullopt;
        const auto found = db_.exec("SELECT value::bigint FROM pgairlock.meta WHERE proxy = '' AND key = 'version'");
        return found.empty() ? inventory_version : std::stoll(found[0][0]);
    } catch (const PostgresError& error) {
        refuse(error.what());
    }

    void rows(const std::string& table, const std::string& columns, const Visit& visit) override try {
        db_.each("SELECT proxy, " + columns + " FROM pgairlock." + table, [&](Row& row) {
            const std::string proxy = std::move(row.front());
            row.erase(row.begin());
            visit(proxy, row);
        });
    } catch (const PostgresError& error) {
        refuse(error.what());
    }

   private:
    [[noreturn]] void refuse(const std::string& reason) const {
        throw std::runtime_error("cannot read the inventory in " + name() + ": " + reason);
    }

    PostgresUrl url_;
    Postgres db_;
};

}  // namespace

std::unique_ptr<InventorySource> open_file(const fs::path& file) {
    return std::make_unique<FileSource>(file, FileSource::Whose::any);
}

std::unique_ptr<InventorySource> open_own_file(const fs::path& file) {
    return std::make_unique<FileSource>(file, FileSource::Whose::own);
}

std::unique_ptr<InventorySource> open_fleet(const std::string& url) { return std::make_unique<FleetSource>(url); }

}  // namespace proxy
