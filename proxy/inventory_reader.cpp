#include "proxy/inventory_reader.hpp"

#include <libpq-fe.h>
#include <sqlite3.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include "proxy/inventory_schema.hpp"

namespace proxy {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& message) {
    throw std::runtime_error(message);
}

std::int64_t to_number(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size())
        fail("the inventory has \"" + std::string(text) + "\" where a number belongs");
    return number;
}

// --- SQLite

struct CloseSqlite {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

/// A folder that is gone afterwards.
class TemporaryFolder {
 public:
    TemporaryFolder() {
        std::string pattern = (fs::temp_directory_path() / "pgairlock-report-XXXXXX").string();
        if (!::mkdtemp(pattern.data())) fail("cannot create a folder in " + fs::temp_directory_path().string());
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

/// One SQLite file, never written to.
class SqliteSource {
 public:
    static constexpr const char* tables = "";
    static constexpr const char* proxy = "'', ";  // one file is one proxy's

    explicit SqliteSource(const fs::path& file) : file_(file) {
        open(file.string(), "");
        if (readable()) return;
        // In WAL mode even a reader wants to create a file beside the database, which it cannot in a read-only folder.
        fs::path log = file;
        log += "-wal";
        std::error_code error;
        if (fs::file_size(log, error) == 0 || error) {
            open(file.string(), "immutable=1");
        } else {
            copy_.emplace();
            fs::copy_file(file, copy_->path() / "inventory.db");
            fs::copy_file(log, copy_->path() / "inventory.db-wal");
            open((copy_->path() / "inventory.db").string(), "");
        }
        if (!readable()) fail("cannot read the inventory " + file_.string() + ": " + sqlite3_errmsg(db_.get()));
    }

    bool has_table(const std::string& name) {
        bool found = false;
        rows("SELECT 1 FROM sqlite_master WHERE name = '" + name + "'", [&](const auto&) { found = true; });
        return found;
    }

    std::int64_t version() {
        std::int64_t version = 0;
        rows("PRAGMA user_version", [&](const SqliteSource& row) { version = row.number(0); });
        return version;
    }

    /// One state of the tables for all that is read.
    void begin() {
        rows("BEGIN", [](const auto&) {});
    }
    void end() {
        rows("COMMIT", [](const auto&) {});
    }

    template <class F>
    void rows(const std::string& sql, F&& f) {
        sqlite3_stmt* prepared = nullptr;
        int code = sqlite3_prepare_v2(db_.get(), sql.c_str(), -1, &prepared, nullptr);
        statement_.reset(prepared);
        while (code == SQLITE_OK || code == SQLITE_ROW) {
            code = sqlite3_step(prepared);
            if (code == SQLITE_ROW) f(*this);
        }
        const std::string reason = sqlite3_errmsg(db_.get());
        statement_.reset();
        if (code != SQLITE_DONE) fail("cannot read the inventory " + file_.string() + ": " + reason);
    }

    std::string text(int column) const {
        const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
        return bytes ? std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))) : "";
    }
    std::int64_t number(int column) const { return sqlite3_column_int64(statement_.get(), column); }
    bool is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }

 private:
    void open(const std::string& path, const char* option) {
        std::string uri = "file:";
        for (const char c : path) {
            constexpr char hex[] = "0123456789ABCDEF";
            const auto byte = static_cast<unsigned char>(c);
            if (c == '%' || c == '?' || c == '#') {
                uri += {'%', hex[byte >> 4], hex[byte & 15]};
            } else {
                uri += c;
            }
        }
        if (*option) uri += std::string("?") + option;
        sqlite3* opened = nullptr;
        statement_.reset();
        sqlite3_open_v2(uri.c_str(), &opened, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nullptr);
        db_.reset(opened);
        if (!opened) fail("out of memory");
        sqlite3_busy_timeout(opened, 5'000);
    }

    bool readable() {
        const int code = sqlite3_exec(db_.get(), "SELECT count(*) FROM sqlite_master", nullptr, nullptr, nullptr);
        if (code == SQLITE_NOTADB) fail(file_.string() + " is not an inventory: not an SQLite file");
        return code == SQLITE_OK;
    }

    fs::path file_;
    std::optional<TemporaryFolder> copy_;  // outlives the connection
    std::unique_ptr<sqlite3, CloseSqlite> db_;
    std::unique_ptr<sqlite3_stmt, CloseSqlite> statement_;
};

// --- PostgreSQL

struct ClosePostgres {
    void operator()(PGconn* connection) const { PQfinish(connection); }
    void operator()(PGresult* result) const { PQclear(result); }
    void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

std::string without_newline(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

/// The schema `pgairlock` of a fleet's database.
class PostgresSource {
 public:
    static constexpr const char* tables = "pgairlock.";
    static constexpr const char* proxy = "proxy, ";

    explicit PostgresSource(const std::string& url) {
        const std::unique_ptr<PQconninfoOption, ClosePostgres> options(PQconninfoParse(url.c_str(), nullptr));
        if (!options) fail("--inventory: not a valid PostgreSQL URL (postgresql://USER@HOST:PORT/DATABASE)");
        connection_.reset(PQconnectdb(
            (url + (url.find('?') == std::string::npos ? "?" : "&") + "fallback_application_name=pgairlock%20report").c_str()));
        if (PQstatus(connection_.get()) != CONNECTION_OK)
            fail("cannot connect to the inventory: " + without_newline(PQerrorMessage(connection_.get())));
        name_ = std::string(PQdb(connection_.get())) + " at " + PQhost(connection_.get()) + ":" + PQport(connection_.get());
        PQsetClientEncoding(connection_.get(), "UTF8");
    }

    bool has_table(const std::string& name) {
        bool found = false;
        rows("SELECT 1 FROM pg_tables WHERE schemaname = 'pgairlock' AND tablename = '" + name + "'",
             [&](const auto&) { found = true; });
        return found;
    }

    std::int64_t version() {
        std::int64_t version = inventory_version;
        rows("SELECT value FROM pgairlock.meta WHERE proxy = '' AND key = 'version'",
             [&](const PostgresSource& row) { version = row.number(0); });
        return version;
    }

    void begin() {
        rows("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", [](const auto&) {});
    }
    void end() {
        rows("COMMIT", [](const auto&) {});
    }

    template <class F>
    void rows(const std::string& sql, F&& f) {
        // Row by row: a fleet's days may be many.
        if (!PQsendQuery(connection_.get(), sql.c_str()) || !PQsetSingleRowMode(connection_.get())) refuse();
        for (;;) {
            result_.reset(PQgetResult(connection_.get()));
            if (!result_) return;
            const auto status = PQresultStatus(result_.get());
            if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) refuse();
            for (row_ = 0; row_ < PQntuples(result_.get()); ++row_) f(*this);
        }
    }

    std::string text(int column) const {
        return {PQgetvalue(result_.get(), row_, column), static_cast<std::size_t>(PQgetlength(result_.get(), row_, column))};
    }
    std::int64_t number(int column) const { return to_number(text(column)); }
    bool is_null(int column) const { return PQgetisnull(result_.get(), row_, column); }

 private:
    [[noreturn]] void refuse() const {
        fail("cannot read the inventory in database " + name_ + ": " + without_newline(PQerrorMessage(connection_.get())));
    }

    std::string name_;
    std::unique_ptr<PGconn, ClosePostgres> connection_;
    std::unique_ptr<PGresult, ClosePostgres> result_;
    int row_ = 0;
};

// --- Both

std::uint64_t count(std::int64_t number) {
    return number < 0 ? 0 : static_cast<std::uint64_t>(number);
}

/// All tables of one database, by proxy.
template <class Source>
class Reader {
 public:
    explicit Reader(Source& source) : source_(source) {}

    std::vector<InventoryRows> read() {
        source_.begin();
        read_clients();
        read_details();
        read_handshakes();
        read_upstream_certificates();
        read_probes();
        source_.end();
        std::vector<InventoryRows> inventories;
        for (auto& [instance, inventory] : by_proxy_) {
            inventory.instance = instance;
            for (auto& [id, client] : clients_[instance]) inventory.clients.push_back(std::move(client));
            inventories.push_back(std::move(inventory));
        }
        return inventories;
    }

 private:
    /// `columns` begin at index 1; index 0 is the proxy.
    template <class F>
    void each(const std::string& columns, const std::string& table, F&& f) {
        source_.rows(std::string("SELECT ") + Source::proxy + columns + " FROM " + Source::tables + table,
                     [&](const Source& row) { f(row, row.text(0)); });
    }

    void read_clients() {
        each(
            "id, upstream, client_addr, client_exe, usename, datname, application_name, client_uid, listener, first_seen, "
            "last_seen, "
            "connections, plain, weak_tls, bridged, auth_failed, auth_method, version",
            "clients", [&](const Source& row, const std::string& proxy) {
                by_proxy_[proxy];
                ClientRow& client = clients_[proxy][row.number(1)];
                client.who = {row.text(2), row.text(3), row.text(4), row.text(5), row.text(6), row.text(7)};
                if (!row.is_null(8)) client.client_uid = row.number(8);
                client.listener = row.text(9);
                client.first_seen = row.number(10);
                client.last_seen = row.number(11);
                client.connections = count(row.number(12));
                client.plain = count(row.number(13));
                client.weak_tls = count(row.number(14));
                client.bridged = count(row.number(15));
                client.auth_failed = count(row.number(16));
                client.auth_method = row.text(17);
                client.version = row.text(18);
            });
    }

    void read_details() {
        each("client, evidence, certificate, first_seen, last_seen, count, session", "evidence",
             [&](const Source& row, const std::string& proxy) {
                 if (ClientRow* client = find(proxy, row.number(1))) client->evidence.push_back(evidence(row, 2));
             });
        each("client, ja4", "fingerprints", [&](const Source& row, const std::string& proxy) {
            if (ClientRow* client = find(proxy, row.number(1))) client->ja4.push_back(row.text(2));
        });
        each("client, day, mode, connections", "days", [&](const Source& row, const std::string& proxy) {
            if (ClientRow* client = find(proxy, row.number(1))) client->days[row.number(2)][row.text(3)] += count(row.number(4));
        });
    }

    void read_handshakes() {
        each(
            "upstream, client_addr, client_exe, ja4, listener, error, evidence, certificate, first_seen, last_seen, count, "
            "session",
            "handshakes", [&](const Source& row, const std::string& proxy) {
                by_proxy_[proxy].handshakes.push_back({.upstream = row.text(1),
                                                       .client_addr = row.text(2),
                                                       .client_exe = row.text(3),
                                                       .ja4 = row.text(4),
                                                       .listener = row.text(5),
                                                       .error = row.text(6),
                                                       .evidence = evidence(row, 7)});
            });
    }

    void read_upstream_certificates() {
        each(
            "upstream, upstream_addr, sha256, subject, sans, issuer, anchor, serial, not_before, not_after, first_seen, "
            "last_seen, count, "
            "candidate_ok, candidate_since",
            "upstream_certificates", [&](const Source& row, const std::string& proxy) {
                UpstreamCertificateRow certificate{.upstream = row.text(1),
                                                   .upstream_addr = row.text(2),
                                                   .sha256 = row.text(3),
                                                   .subject = row.text(4),
                                                   .sans = row.text(5),
                                                   .issuer = row.text(6),
                                                   .anchor = row.text(7),
                                                   .serial = row.text(8),
                                                   .not_before = row.number(9),
                                                   .not_after = row.number(10),
                                                   .first_seen = row.number(11),
                                                   .last_seen = row.number(12),
                                                   .count = count(row.number(13)),
                                                   .candidate_ok = {},
                                                   .candidate_since = {}};
                if (!row.is_null(14)) certificate.candidate_ok = row.number(14) != 0;
                if (!row.is_null(15)) certificate.candidate_since = row.number(15);
                by_proxy_[proxy].upstream_certificates.push_back(std::move(certificate));
            });
    }

    void read_probes() {
        each("upstream, client_addr, client_exe, kind, shown, accepted, refused, last_shown, last_refused", "probes",
             [&](const Source& row, const std::string& proxy) {
                 by_proxy_[proxy].probes.push_back({.upstream = row.text(1),
                                                    .client_addr = row.text(2),
                                                    .client_exe = row.text(3),
                                                    .kind = row.text(4),
                                                    .shown = count(row.number(5)),
                                                    .accepted = count(row.number(6)),
                                                    .refused = count(row.number(7)),
                                                    .last_shown = row.number(8),
                                                    .last_refused = row.number(9)});
             });
    }

    static EvidenceRow evidence(const Source& row, int column) {
        return {.evidence = row.text(column),
                .certificate = row.text(column + 1),
                .first_seen = row.number(column + 2),
                .last_seen = row.number(column + 3),
                .count = count(row.number(column + 4)),
                .session = row.text(column + 5)};
    }

    ClientRow* find(const std::string& proxy, std::int64_t id) {
        auto& clients = clients_[proxy];
        const auto found = clients.find(id);
        return found == clients.end() ? nullptr : &found->second;
    }

    Source& source_;
    std::map<std::string, InventoryRows> by_proxy_;
    std::map<std::string, std::map<std::int64_t, ClientRow>> clients_;
};

template <class Source>
std::vector<InventoryRows> read_from(Source& source, const std::string& name) {
    if (!source.has_table("clients")) {
        fail(name +
             " has no inventory in it: no table \"clients\". A proxy creates it when it starts; is audit.inventory of your "
             "configuration the same?");
    }
    if (const auto version = source.version(); version > inventory_version) {
        fail(name + " was written by a newer pgairlock (tables of version " + std::to_string(version) + ", this program knows " +
             std::to_string(inventory_version) + "); use the newer one's report");
    }
    return Reader(source).read();
}

}  // namespace

std::string inventory_file(const std::string& state_dir) {
    return (fs::path(state_dir) / "inventory.db").string();
}

std::vector<InventoryRows> read_inventories(const std::string& where) {
    if (where.starts_with("postgresql://") || where.starts_with("postgres://")) {
        PostgresSource source(where);
        return read_from(source, "the database");
    }
    const fs::path file(where);
    std::error_code error;
    if (!fs::exists(file, error)) {
        const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
        fail("no inventory: there is no " + where + (error ? ": " + error.message() : "") + "\n  looked in the state directory " +
             folder + "; name the proxy's own with --state-dir DIR, or its audit.inventory with --inventory URL");
    }
    SqliteSource source(file);
    std::string instance;
    auto inventories = read_from(source, where);
    source.rows("SELECT value FROM meta WHERE key = 'instance'", [&](const SqliteSource& row) { instance = row.text(0); });
    for (InventoryRows& inventory : inventories) inventory.instance = instance;
    return inventories;
}

}  // namespace proxy
