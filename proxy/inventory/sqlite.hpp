// SQLite as values and exceptions: one connection, its statements, a transaction. Knows no table.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace proxy {

struct SqliteError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The file is something else.
struct NotSqlite : SqliteError {
    using SqliteError::SqliteError;
};

/// It is SQLite's, and damaged.
struct DamagedSqlite : SqliteError {
    using SqliteError::SqliteError;
};

/// A prepared statement. `with` begins it anew; a row's columns hold until the next step.
class Statement {
   public:
    Statement() = default;
    Statement(sqlite3* db, std::string_view sql);

    /// Integers, texts and std::nullopt, in order. Texts must live until the statement has run.
    template <class... Values>
    Statement& with(const Values&... values) {
        reset();
        int index = 0;
        (bind(++index, values), ...);
        return *this;
    }
    /// True: a row. False: done, and nothing is held any more.
    bool step();
    /// To its end, whatever rows it gives.
    void run() {
        while (step()) {
        }
    }
    /// Lets go of the row, and with it of the read lock.
    void reset() noexcept;

    int columns() const noexcept;
    std::int64_t integer(int column) const noexcept;
    std::string text(int column) const;

   private:
    void bind(int index, std::string_view value);
    void bind(int index, std::int64_t value);
    void bind(int index, std::uint64_t value) { bind(index, static_cast<std::int64_t>(value)); }
    void bind(int index, std::nullopt_t value);
    template <class T>
    void bind(int index, const std::optional<T>& value) {
        value ? bind(index, static_cast<std::int64_t>(*value)) : bind(index, std::nullopt);
    }
    void check(int result) const;

    struct Deleter {
        void operator()(sqlite3_stmt* p) const noexcept;
    };
    std::unique_ptr<sqlite3_stmt, Deleter> statement_;
};

class Sqlite {
   public:
    enum class Mode {
        read_only,
        read_write,
        immutable,  ///< read, and nobody writes to it: works where no file can be made beside it
    };

    /// The file must exist. Throws SqliteError.
    Sqlite(const std::string& path, Mode mode);

    /// From then on statements fail, also in their middle: of a file that may be of any size.
    void give_up_at(std::chrono::steady_clock::time_point when);
    void exec(const std::string& sql);
    Statement prepare(std::string_view sql) { return {db_.get(), sql}; }
    /// The first 16 bytes of the file, the same in all of SQLite's, as the disk has them now; none,
    /// when it is shorter or cannot be read.
    std::string beginning();
    /// The first column of the first row.
    std::int64_t integer(std::string_view sql);
    std::string text(std::string_view sql);

   private:
    friend class Transaction;
    struct Deleter {
        void operator()(sqlite3* p) const noexcept;
    };
    std::unique_ptr<sqlite3, Deleter> db_;
};

/// Takes the write lock at once, so that it fails before work is done, and is rolled back unless
/// committed.
class Transaction {
   public:
    explicit Transaction(Sqlite& db) : db_(db) { db_.exec("BEGIN IMMEDIATE"); }
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    void commit() { db_.exec("COMMIT"); }

   private:
    Sqlite& db_;
};

}  // namespace proxy
