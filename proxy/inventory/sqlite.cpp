#include "proxy/inventory/sqlite.hpp"

#include <sqlite3.h>

#include <system_error>

namespace proxy {
namespace {

/// Somebody else's transaction: a sqlite3 shell, another proxy on the same file. Short, because the
/// audit waits for this thread too.
constexpr int busy_timeout_ms = 250;

[[noreturn]] void fail(sqlite3* db) {
    std::string what = sqlite3_errmsg(db);
    const int error = sqlite3_system_errno(db);
    const int code = sqlite3_errcode(db);
    if (error != 0 && (code == SQLITE_IOERR || code == SQLITE_CANTOPEN))
        what += ": " + std::string(std::generic_category().message(error));
    if (code == SQLITE_NOTADB) throw NotSqlite(what);
    if (code == SQLITE_CORRUPT) throw DamagedSqlite(what);
    throw SqliteError(what);
}

/// As SQLite's URI (https://www.sqlite.org/uri.html).
std::string uri(const std::string& path) {
    std::string out = "file:";
    for (const char c : path) {
        constexpr char hex[] = "0123456789ABCDEF";
        const auto byte = static_cast<unsigned char>(c);
        if (c == '%' || c == '?' || c == '#') {
            out += {'%', hex[byte >> 4], hex[byte & 15]};
        } else {
            out += c;
        }
    }
    return out;
}

}  // namespace

void Statement::Deleter::operator()(sqlite3_stmt* p) const noexcept { sqlite3_finalize(p); }

Statement::Statement(sqlite3* db, std::string_view sql) {
    sqlite3_stmt* made = nullptr;
    if (sqlite3_prepare_v3(db, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &made, nullptr) !=
        SQLITE_OK)
        fail(db);
    statement_.reset(made);
}

bool Statement::step() {
    const int result = sqlite3_step(statement_.get());
    if (result == SQLITE_ROW) return true;
    if (result == SQLITE_DONE) return false;
    try {
        fail(sqlite3_db_handle(statement_.get()));
    } catch (...) {
        reset();  // not before the message was read
        throw;
    }
}

void Statement::reset() noexcept { sqlite3_reset(statement_.get()); }

int Statement::columns() const noexcept { return sqlite3_column_count(statement_.get()); }

std::int64_t Statement::integer(int column) const noexcept { return sqlite3_column_int64(statement_.get(), column); }

std::string Statement::text(int column) const {
    const auto* const bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
    return bytes ? std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column)))
                 : std::string();
}

void Statement::bind(int index, std::string_view value) {
    // A null pointer would bind NULL, and an empty text is none.
    const char* const bytes = value.data() ? value.data() : "";
    check(sqlite3_bind_text(statement_.get(), index, bytes, static_cast<int>(value.size()), SQLITE_STATIC));
}

void Statement::bind(int index, std::int64_t value) { check(sqlite3_bind_int64(statement_.get(), index, value)); }

void Statement::bind(int index, std::nullopt_t) { check(sqlite3_bind_null(statement_.get(), index)); }

void Statement::check(int result) const {
    if (result != SQLITE_OK) fail(sqlite3_db_handle(statement_.get()));
}

void Sqlite::Deleter::operator()(sqlite3* p) const noexcept { sqlite3_close_v2(p); }

Sqlite::Sqlite(const std::string& path, Mode mode) {
    sqlite3* db = nullptr;
    const int flags = (mode == Mode::read_write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX;
    const int result = mode == Mode::immutable ? sqlite3_open_v2((uri(path) + "?immutable=1").c_str(), &db,
                                                                 flags | SQLITE_OPEN_URI, nullptr)
                                               : sqlite3_open_v2(path.c_str(), &db, flags, nullptr);
    db_.reset(db);
    if (result != SQLITE_OK) fail(db);
    sqlite3_extended_result_codes(db, 0);
    sqlite3_busy_timeout(db, busy_timeout_ms);
}

void Sqlite::give_up_at(std::chrono::steady_clock::time_point when) {
    constexpr int steps_between_looks = 1000;
    using Clock = std::chrono::steady_clock;
    static_assert(sizeof(void*) >= sizeof(Clock::rep));  // the moment itself: nothing need outlive this call
    const auto is_late = [](void* moment) {
        const Clock::duration since(static_cast<Clock::rep>(reinterpret_cast<std::intptr_t>(moment)));
        return Clock::now().time_since_epoch() >= since ? 1 : 0;
    };
    auto* const moment = reinterpret_cast<void*>(static_cast<std::intptr_t>(when.time_since_epoch().count()));
    sqlite3_progress_handler(db_.get(), steps_between_looks, is_late, moment);
}

void Sqlite::exec(const std::string& sql) {
    if (sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail(db_.get());
}

/// By SQLite's own descriptor: closing another one of the same file would end its locks ("How To
/// Corrupt An SQLite Database File", 2.2).
std::string Sqlite::beginning() {
    std::string bytes(16, '\0');
    sqlite3_file* file = nullptr;
    const bool is_read = sqlite3_file_control(db_.get(), "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK &&
                         file && file->pMethods &&
                         file->pMethods->xRead(file, bytes.data(), static_cast<int>(bytes.size()), 0) == SQLITE_OK;
    return is_read ? bytes : std::string();
}

std::int64_t Sqlite::integer(std::string_view sql) {
    Statement statement = prepare(sql);
    return statement.step() ? statement.integer(0) : 0;
}

std::string Sqlite::text(std::string_view sql) {
    Statement statement = prepare(sql);
    return statement.step() ? statement.text(0) : std::string();
}

Transaction::~Transaction() {
    // Some errors, such as a full disk, have rolled back already.
    if (!sqlite3_get_autocommit(db_.db_.get())) sqlite3_exec(db_.db_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

}  // namespace proxy
