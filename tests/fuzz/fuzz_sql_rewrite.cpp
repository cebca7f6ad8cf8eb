// Statements of the console with any contents: whatever is made of them, SQLite only reads, and
// only the relations that it was given.
#include <sqlite3.h>

#include <cstdlib>

#include "proxy/admin/sql_connection.hpp"
#include "proxy/version.hpp"

/// What the build knows, and this target does not need.
std::string proxy::version() { return "0"; }

namespace {

using protocol::ColumnType;

void check(bool holds) {
    if (!holds) std::abort();
}

const std::vector<proxy::Relation>& relations() {
    using proxy::Cell;
    static const std::vector<proxy::Relation> all{
        {.name = "sessions",
         .columns = {{"pid", ColumnType::int4},
                     {"usename", ColumnType::name},
                     {"ssl", ColumnType::boolean},
                     {"backend_start", ColumnType::timestamptz}},
         .rows =
             [] {
                 return proxy::rows_of({{Cell(std::int64_t{1}), Cell(std::string("a")), Cell(std::int64_t{1}), Cell()},
                                        {Cell(std::int64_t{2}), Cell(), Cell(std::int64_t{0}), Cell(std::int64_t{5})}});
             }},
        {.name = "pg_class",
         .columns = {{"oid", ColumnType::oid}, {"relname", ColumnType::name}},
         .rows = [] { return proxy::rows_of({}); }},
    };
    return all;
}

constexpr proxy::SqlLimits limits{
    .time = std::chrono::milliseconds(20), .memory = 4 * 1024 * 1024, .rows = 100, .bytes = 64 * 1024};

void check_statement(const std::string& sql) {
    const std::vector<proxy::Relation>& known = relations();
    const proxy::SqlQuery nobody{.text = sql};
    try {
        proxy::SqlConnection connection(known, {}, limits, nobody);
        const auto statement = connection.prepare(sql);
        check(sqlite3_stmt_readonly(statement.get()) != 0);
        sqlite3* const db = sqlite3_db_handle(statement.get());
        for (int rows = 0; rows < 20 && connection.step(statement); ++rows) {
        }
        check(sqlite3_total_changes(db) == 0 && sqlite3_get_autocommit(db) != 0);
    } catch (const proxy::SqlFailure& failure) {
        check(failure.error.sqlstate.size() == 5 && !failure.error.message.empty());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string sql(protocol::as_text({data, size}));
    const proxy::SqlDatabase database(relations(), {});
    const proxy::RewrittenSql rewritten = database.rewrite(sql);
    check(rewritten.parameters.size() <= 100 && (rewritten.types.size() == rewritten.names.size()));
    check(rewritten.too_long == (size > proxy::max_sql));
    check_statement(sql);  // as it is: what the rewriting might miss
    if (!rewritten.too_long && rewritten.text.find('\0') == std::string::npos) check_statement(rewritten.text);
    const auto answered = database.run({.text = sql, .parameters = {"1", std::nullopt, "2026-11-01"}}, limits);
    if (const auto* result = std::get_if<proxy::SqlResult>(&answered)) check(result->count <= limits.rows);
    return 0;
}
