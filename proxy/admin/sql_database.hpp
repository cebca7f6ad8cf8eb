// One statement of SQL, answered by SQLite: relations made for it, views of the inventory, and
// nothing else. It only reads, and may take so much time, memory and rows. For a thread that serves
// no session.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "protocol/messages.hpp"
#include "proxy/admin/console_results.hpp"
#include "proxy/admin/relation.hpp"
#include "proxy/admin/sql_rewrite.hpp"

namespace proxy {

struct SqlLimits {
    std::chrono::milliseconds time{10'000};
    std::size_t memory = 64 * 1024 * 1024;  ///< bytes, that SQLite takes
    std::size_t rows = 100'000;
    std::size_t bytes = 32 * 1024 * 1024;  ///< of the rows, as they are sent
};

struct SqlQuery {
    std::string text;
    /// Of $1, $2, ..., as texts; nullopt: NULL. Fewer than there are: the others are NULL.
    std::vector<std::optional<std::string>> parameters{};
    std::string user{};  ///< what current_user is
    /// true: it is to end. nullptr: it may go on.
    std::shared_ptr<const std::atomic<bool>> stop{};
    std::shared_ptr<ResultShare> share{};  ///< of its result; nullptr: nobody counts
};

struct SqlColumn {
    std::string name;
    protocol::ColumnType type = protocol::ColumnType::text;
};

struct SqlResult {
    std::vector<SqlColumn> columns;
    protocol::Buffer rows;  ///< DataRow messages, values as texts
    std::size_t count = 0;
};

class SqlDatabase {
   public:
    /// `inventory`: its file; empty: there is none. The relations outlive this.
    SqlDatabase(const std::vector<Relation>& relations, std::string inventory);

    /// From several threads at a time.
    std::variant<SqlResult, protocol::ErrorResponse> run(const SqlQuery& query, const SqlLimits& limits = {}) const;
    /// The columns alone. Types of expressions are those of their first row, if one comes at once.
    std::variant<SqlResult, protocol::ErrorResponse> describe(const std::string& sql,
                                                              std::shared_ptr<const std::atomic<bool>> stop = {}) const;
    /// What rewrite_sql() says of it; for whoever describes a statement without running it.
    RewrittenSql rewrite(const std::string& sql) const;
    /// Whether it waits for the inventory's disk.
    bool reads_inventory(const RewrittenSql& sql) const;

   private:
    std::variant<SqlResult, protocol::ErrorResponse> answer(const SqlQuery& query, const SqlLimits& limits,
                                                            bool description_only) const;
    std::optional<protocol::ColumnType> type_of(std::string_view column) const;
    bool is_relation(std::string_view name) const;

    const std::vector<Relation>& relations_;
    const std::string inventory_;
};

}  // namespace proxy
