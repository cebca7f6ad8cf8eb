#include "proxy/admin/sql_connection.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "proxy/admin/console_error.hpp"

namespace proxy {
namespace {

/// How often it is looked whether a statement has taken too much: in steps of SQLite's machine.
/// Each may be a function of a text of max_sql_text.
constexpr int steps_between_looks = 100;
constexpr int busy_timeout_ms = 250;

/// Of what goes wrong in SQLite, as PostgreSQL says it.
struct Translation {
    std::string_view prefix;
    const char* sqlstate;
    const char* before;
    const char* after;
};
constexpr std::array translations{
    Translation{"no such table: ", "42P01", "relation \"", "\" does not exist"},
    Translation{"no such column: ", "42703", "column \"", "\" does not exist"},
    Translation{"no such function: ", "42883", "function ", " does not exist"},
    Translation{"ambiguous column name: ", "42702", "column reference \"", "\" is ambiguous"},
    Translation{"wrong number of arguments to function ", "42883", "function ", " does not exist with these arguments"},
    Translation{"misuse of aggregate", "42803", "misuse of aggregate", ""},
    Translation{"no tables specified", "42601", "SELECT * with no tables specified is not valid", ""},
    Translation{"not authorized to use function: ", "42883", "function ", " does not exist"},
};

protocol::ErrorResponse translated(const std::string& message, int code) {
    for (const Translation& one : translations) {
        if (message.starts_with(one.prefix))
            return console_error(one.sqlstate, one.before + message.substr(one.prefix.size()) + one.after);
    }
    if (const auto near = message.find("\": syntax error"); message.starts_with("near \"") && near != std::string::npos)
        return console_error("42601", "syntax error at or near \"" + message.substr(6, near - 6) + "\"");
    if (message == "incomplete input") return console_error("42601", "syntax error at end of input");
    switch (code) {
        case SQLITE_AUTH:
            return console_error("42601",
                                 "the console only answers questions: SELECT, WITH, VALUES (SHOW HELP lists "
                                 "the commands)");
        case SQLITE_NOMEM: return console_error("53200", "out of memory");
        case SQLITE_TOOBIG: return console_error("54000", "a text or a statement is too long: " + message);
        case SQLITE_INTERRUPT:
            return console_error("57014", "canceling statement: it took too long, or too much memory");
        case SQLITE_BUSY:
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB: return console_error("57P03", "the inventory cannot be read: " + message);
        default: break;
    }
    return console_error(message.find("too many") != std::string::npos ? "54000" : "42601", message);
}

/// SQLite's limits for one statement (https://www.sqlite.org/limits.html).
struct Limit {
    int which;
    int value;
};
constexpr std::array statement_limits{
    Limit{SQLITE_LIMIT_LENGTH, max_sql_text}, Limit{SQLITE_LIMIT_SQL_LENGTH, max_sql_text},
    Limit{SQLITE_LIMIT_COLUMN, 500},          Limit{SQLITE_LIMIT_EXPR_DEPTH, 200},
    Limit{SQLITE_LIMIT_COMPOUND_SELECT, 50},  Limit{SQLITE_LIMIT_VDBE_OP, 250'000},
    Limit{SQLITE_LIMIT_FUNCTION_ARG, 50},     Limit{SQLITE_LIMIT_ATTACHED, 0},
    Limit{SQLITE_LIMIT_VARIABLE_NUMBER, 100}, Limit{SQLITE_LIMIT_WORKER_THREADS, 0},
};

bool is_inventory_table(std::string_view name) {
    for (const InventoryView& view : inventory_views()) {
        if (view.name == name) return true;
    }
    return false;
}

}  // namespace

SqlConnection::SqlConnection(const std::vector<Relation>& relations, const std::string& inventory,
                             const SqlLimits& limits, const SqlQuery& query)
    : relations_(relations),
      limits_(limits),
      user_(query.user),
      stop_(query.stop),
      deadline_(std::chrono::steady_clock::now() + limits.time) {
    try {
        open(inventory);
        exec("PRAGMA temp_store = MEMORY");
        add_sql_functions(db_, *this);
        if (!inventory.empty()) add_views();
        add_relations();
        restrict_to_reading();
    } catch (...) {
        sqlite3_close_v2(db_);
        throw;
    }
}

SqlConnection::~SqlConnection() { sqlite3_close_v2(db_); }

void SqlConnection::open(const std::string& inventory) {
    const bool in_memory = inventory.empty();
    const int flags =
        in_memory ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY : SQLITE_OPEN_READONLY;
    if (sqlite3_open_v2(in_memory ? ":memory:" : inventory.c_str(), &db_, flags | SQLITE_OPEN_NOMUTEX, nullptr) !=
        SQLITE_OK)
        fail();
    sqlite3_busy_timeout(db_, busy_timeout_ms);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
}

void SqlConnection::add_views() {
    if (sqlite3_exec(db_, "SELECT count(*) FROM main.clients", nullptr, nullptr, nullptr) != SQLITE_OK)
        throw SqlFailure{console_error("57P03", std::string("the inventory cannot be read: ") + sqlite3_errmsg(db_))};
    for (const InventoryView& view : inventory_views()) {
        std::string sql = "CREATE TEMP VIEW " + std::string(view.name) + " (";
        for (const RelationColumn& column : view.columns)
            sql += (&column == &view.columns.front() ? "" : ", ") + std::string(column.name);
        exec((sql + ") AS " + std::string(view.query)).c_str());
    }
}

void SqlConnection::add_relations() {
    for (const Relation& relation : relations_) {
        if (!add_sql_relation(db_, relation)) fail();
    }
}

void SqlConnection::restrict_to_reading() {
    for (const Limit& limit : statement_limits) sqlite3_limit(db_, limit.which, limit.value);
    memory_before_ = sqlite3_memory_used();
    sqlite3_progress_handler(
        db_, steps_between_looks, [](void* self) { return static_cast<SqlConnection*>(self)->is_over() ? 1 : 0; },
        this);
    sqlite3_set_authorizer(
        db_,
        [](void* self, int action, const char* first, const char* second, const char*, const char* view) {
            return static_cast<SqlConnection*>(self)->authorize(action, first, second, view);
        },
        this);
}

int SqlConnection::authorize(int action, const char* first, const char* second, const char* view) {
    if (declares_sql_relation()) return SQLITE_OK;
    if (is_over()) return SQLITE_DENY;  // preparing asks here and nowhere else
    switch (action) {
        case SQLITE_SELECT:
        case SQLITE_RECURSIVE: return SQLITE_OK;
        case SQLITE_FUNCTION: return second && is_sql_function(second) ? SQLITE_OK : SQLITE_DENY;
        case SQLITE_READ:
            if (!second || *second == '\0') return SQLITE_OK;  // rows are counted; it may be a name of WITH
            if (may_read(first ? first : "", view)) return SQLITE_OK;
            unknown_ = first ? first : "";
            return SQLITE_DENY;
        default: return SQLITE_DENY;
    }
}

bool SqlConnection::may_read(std::string_view table, const char* view) const {
    const auto is_it = [&](const Relation& relation) { return relation.name == table; };
    if (std::any_of(relations_.begin(), relations_.end(), is_it)) return true;
    // A table of the inventory is read by its view, which has the same name. Of a view itself
    // SQLite asks without a reader.
    return is_inventory_table(table) && (!view || table == view);
}

bool SqlConnection::is_over() const noexcept {
    const auto used = sqlite3_memory_used() - memory_before_;
    return (stop_ && stop_->load(std::memory_order_relaxed)) || std::chrono::steady_clock::now() >= deadline_ ||
           (used > 0 && static_cast<std::size_t>(used) > limits_.memory);
}

void SqlConnection::exec(const char* sql) {
    if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail();
}

void SqlConnection::fail() const {
    if (!unknown_.empty()) throw SqlFailure{console_error("42P01", "relation \"" + unknown_ + "\" does not exist")};
    throw SqlFailure{
        translated(db_ ? sqlite3_errmsg(db_) : "out of memory", db_ ? sqlite3_errcode(db_) : SQLITE_NOMEM)};
}

SqlConnection::Statement SqlConnection::prepare(const std::string& sql) {
    sqlite3_stmt* made = nullptr;
    const char* rest = nullptr;
    if (sqlite3_prepare_v2(db_, sql.data(), static_cast<int>(sql.size()), &made, &rest) != SQLITE_OK) {
        if (is_over()) throw SqlFailure{translated("", SQLITE_INTERRUPT)};
        fail();
    }
    Statement statement(made);
    if (is_over()) throw SqlFailure{translated("", SQLITE_INTERRUPT)};
    if (!made) throw SqlFailure{console_error("42601", "syntax error at end of input")};
    if (!sqlite3_stmt_readonly(made)) throw SqlFailure{translated("", SQLITE_AUTH)};
    return statement;
}

bool SqlConnection::step(const Statement& statement) {
    const int result = sqlite3_step(statement.get());
    if (result != SQLITE_ROW && result != SQLITE_DONE) fail();
    return result == SQLITE_ROW;
}

}  // namespace proxy
