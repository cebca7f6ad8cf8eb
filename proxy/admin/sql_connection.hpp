// A connection of SQLite's that may do no more than read what it was given: the relations as
// virtual tables, functions, an authorizer, and limits.
#pragma once

#include <sqlite3.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "proxy/admin/sql_database.hpp"

namespace proxy {

struct SqlFailure {
    protocol::ErrorResponse error;
};

class SqlConnection {
   public:
    /// `inventory`: empty: none. `query`: who asks, and when it is to end. Throws SqlFailure.
    SqlConnection(const std::vector<Relation>& relations, const std::string& inventory, const SqlLimits& limits,
                  const SqlQuery& query);
    SqlConnection(const SqlConnection&) = delete;
    SqlConnection& operator=(const SqlConnection&) = delete;
    ~SqlConnection();

    struct Finalize {
        void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
    };
    using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

    /// Throws SqlFailure.
    Statement prepare(const std::string& sql);
    bool step(const Statement& statement);

    /// What its functions ask for.
    const std::string& user() const noexcept { return user_; }
    /// It has taken too long or too much, or nobody waits for it: whatever may be long looks.
    bool is_over() const noexcept;

   private:
    void open(const std::string& inventory);
    void add_views();
    void add_relations();
    void restrict_to_reading();
    void exec(const char* sql);
    [[noreturn]] void fail() const;
    int authorize(int action, const char* first, const char* second, const char* view);
    bool may_read(std::string_view table, const char* view) const;

    sqlite3* db_ = nullptr;
    const std::vector<Relation>& relations_;
    const SqlLimits limits_;
    const std::string user_;
    const std::shared_ptr<const std::atomic<bool>> stop_;
    const std::chrono::steady_clock::time_point deadline_;
    std::int64_t memory_before_ = 0;
    std::string unknown_;  // what a statement wanted to read, and may not: to it, that is not there
};

/// Bytes of a text or a statement: what goes over one once takes less than a millisecond.
inline constexpr std::size_t max_sql_text = 256 * 1024;

/// now(), version(), LIKE, ILIKE, psql's regular expressions, and what drivers call.
void add_sql_functions(sqlite3* db, const SqlConnection& connection);
/// Whether a statement may call it.
bool is_sql_function(std::string_view name) noexcept;
/// A relation, which outlives the connection, as a virtual table. False: no memory.
bool add_sql_relation(sqlite3* db, const Relation& relation);
/// SQLite is being told of its columns, which looks to the authorizer like a table that is made. Of
/// this thread.
bool declares_sql_relation() noexcept;

}  // namespace proxy
