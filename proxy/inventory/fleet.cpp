#include "proxy/inventory/fleet.hpp"

#include <spdlog/spdlog.h>

#include <random>
#include <span>
#include <vector>

#include "proxy/inventory/fleet_schema.hpp"
#include "proxy/inventory/inventory_changes.hpp"
#include "proxy/inventory/inventory_schema.hpp"
#include "proxy/inventory/json_without_nul.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;

constexpr auto farewell_time = 3s;
/// Each proxy asks so often whether it is its turn.
constexpr auto fleet_prune_interval = 24h;
/// One of them does it so often, going by the database's clock: less than a day, so that a proxy
/// alone has its turn every day. Microseconds.
constexpr auto fleet_prune_turn = "82800000000";
constexpr std::size_t batch_size = 1 << 20;  // bytes of JSON in one statement

/// "pgairlock": proxies that start together do not create the schema together.
constexpr auto lock_key = "8098991015741254507";
constexpr auto prune_lock_key = "8098991015741254508";

/// Parents first.
constexpr std::string_view tables[] = {
    "clients", "evidence", "fingerprints",     "days",    "handshakes", "upstream_certificates", "probes",
    "proxies", "marks",    "sampled_sessions", "sampling"};

/// Which rows may have changed; ?2 is since when. Never fewer than have, whatever the clock does.
std::string changed_rows(std::string_view table) {
    if (table == "days")
        return "(day >= ?2 / " + std::to_string(day_length) +
               " OR open_until >= ?2) AND client IN (SELECT id FROM clients WHERE last_seen >= ?2)";
    if (table == "marks") return "?2 >= 0";  // all: copy() asks whether there is anything new
    if (table == "sampling") return "(last_look >= ?2 OR last_failure >= ?2)";
    return table == "probes" ? "last_shown >= ?2" : "last_seen >= ?2";
}

struct Column {
    std::string name;
    bool key = false;
};

std::vector<Column> columns_of(Sqlite& file, const std::string& table) {
    std::vector<Column> columns;
    Statement statement = file.prepare("SELECT name, pk FROM pragma_table_info(?)");
    for (statement.with(table); statement.step();)
        columns.push_back({.name = statement.text(0), .key = statement.integer(1) > 0});
    return columns;
}

/// As JSON, one object a row. There is no column of approximate numbers; what has become one (a sum
/// beyond 64 bits) is cut to the largest that a bigint is.
std::string select(const std::string& table, const std::vector<Column>& columns) {
    std::string sql = "SELECT json_object('proxy', ?1";
    for (const Column& column : columns)
        sql += ", '" + column.name + "', iif(typeof(" + column.name + ") = 'real', CAST(" + column.name +
               " AS INTEGER), " + column.name + ")";
    return sql + ") FROM " + table + " WHERE " + changed_rows(table);
}

/// Takes an array of such objects. Totals replace totals.
std::string upsert(const std::string& table, const std::vector<Column>& columns) {
    std::string names = "proxy", keys = "proxy", values;
    for (const Column& column : columns) {
        names += ", " + column.name;
        if (column.key) {
            keys += ", " + column.name;
        } else {
            values += (values.empty() ? "" : ", ") + column.name + " = excluded." + column.name;
        }
    }
    return "INSERT INTO pgairlock." + table + " (" + names + ") SELECT " + names +
           " FROM json_populate_recordset(NULL::pgairlock." + table + ", $1::json) ON CONFLICT (" + keys +
           ") DO UPDATE SET " + values;
}

/// People write marks at any time, and nobody tells us: another text when they have. The remainder
/// keeps the sum of many times within 64 bits.
std::string state_of_marks(Sqlite& file) {
    return file.text("SELECT count(*) || ' ' || coalesce(sum(changed_at % 1000000007), 0) FROM marks");
}

}  // namespace

Fleet::Fleet(Settings settings) try
    : settings_(std::move(settings)),
      url_(settings_.url),
      retention_(settings_.retention),
      pace_(std::random_device{}()) {
    thread_ = std::thread([this] { loop(); });
} catch (const PostgresError& error) {
    throw std::runtime_error(std::string("audit.inventory: ") + error.what());
}

Fleet::~Fleet() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
        give_up_at_ = Clock::now() + farewell_time;
    }
    wake_.notify_one();
    thread_.join();
}

void Fleet::changed(std::int64_t since) {
    const std::lock_guard lock(mutex_);
    changed_since_ = std::min(changed_since_, since);
}

bool Fleet::give_up() {
    const std::lock_guard lock(mutex_);
    return Clock::now() >= give_up_at_;
}

/// False: the end has come, and this is the last turn.
bool Fleet::wait_for_turn(FleetPace::Milliseconds pause) {
    std::unique_lock lock(mutex_);
    return !wake_.wait_for(lock, pause, [&] { return stop_; });
}

void Fleet::loop() {
    bool goes_on = wait_for_turn(pace_.before_first());
    if (goes_on) goes_on = wait_for_turn(look_at_fleet());
    for (;; goes_on = wait_for_turn(pause_)) {
        std::int64_t since = nothing;
        {
            const std::lock_guard lock(mutex_);
            since = std::exchange(changed_since_, nothing);
        }
        // A database that is away is not waited for at the end: the file keeps what it has not got,
        // and the next start sends it.
        if (since != nothing && (goes_on || !failing_)) try_to_copy(since);
        if (!goes_on) return;
    }
}

/// Before the first copy, which is of all rows: how long to wait with it, so that those of a large
/// fleet which was started at once come one after the other.
FleetPace::Milliseconds Fleet::look_at_fleet() {
    try {
        connect();
        if (pace_.interval() == FleetPace::shortest) return FleetPace::Milliseconds(0);
        const FleetPace::Milliseconds pause = pace_.before_first();
        spdlog::debug("inventory: {} is of a large fleet: first copy in {} ms", url_.shown(), pause.count());
        return pause;
    } catch (const std::exception& error) {
        failed(nothing, error.what());
        return pause_;
    }
}

void Fleet::connect() {
    auto database = std::make_unique<Postgres>(url_, [this] { return give_up(); });
    if (!is_known(*database)) create_or_check(*database);
    database_ = std::move(database);
}

void Fleet::try_to_copy(std::int64_t since) {
    try {
        if (database_) {
            try {
                copy(since);
                return succeeded();
            } catch (const PostgresError& error) {
                // Perhaps only this connection is gone: restarted, idle for too long.
                spdlog::debug("inventory: {}: {}; connecting anew", url_.shown(), error.what());
                database_.reset();
            }
        }
        connect();
        copy(since);
        succeeded();
    } catch (const PostgresBusy& error) {
        failed(since, error.what());
    } catch (const std::exception& error) {
        // A statement that failed on a good connection: the rows there are not what we think.
        failed(database_ ? 0 : since, error.what());
    }
}

std::optional<Unshared> Fleet::unshared() {
    const std::lock_guard lock(mutex_);
    // A proxy of a large fleet has not asked again so soon.
    if (!unshared_ || !failed_again_ || std::chrono::system_clock::now() - unshared_->since < patience)
        return std::nullopt;
    return unshared_;
}

void Fleet::succeeded() {
    {
        const std::lock_guard lock(mutex_);
        unshared_.reset();
        failed_again_ = false;
    }
    pause_ = pace_.after_success();
    if (std::exchange(failing_, false) || !told_) spdlog::info("inventory: shared in {}", url_.shown());
    told_ = true;
}

void Fleet::failed(std::int64_t since, const std::string& why) {
    database_.reset();
    next_prune_ = {};  // rolled back, perhaps
    changed(since);
    pause_ = pace_.after_failure();
    bool news = false;
    {
        const std::lock_guard lock(mutex_);
        failed_again_ = unshared_.has_value();
        if (!unshared_)
            unshared_ = Unshared{.since = std::chrono::system_clock::now(), .where = url_.shown(), .why = {}};
        // "Connection refused" that has become "permission denied" is another thing to mend.
        news = std::exchange(unshared_->why, why) != why;
    }
    failing_ = true;
    if (news) spdlog::error("inventory: cannot be shared in {}, kept in {}: {}", url_.shown(), settings_.file, why);
}

/// The tables are there and of our version: then nobody need wait for his turn to look closer,
/// which of a large fleet would be many.
bool Fleet::is_known(Postgres& database) {
    if (database.exec(
            "SELECT to_regclass('pgairlock.meta') IS NOT NULL AND to_regclass('pgairlock.proxies') IS NOT NULL")[0]
                                                                                                                [0] !=
        "t")
        return false;
    const auto found = database.exec(
        "SELECT value, (SELECT reltuples::bigint FROM pg_class WHERE oid = 'pgairlock.proxies'::regclass) "
        "FROM pgairlock.meta WHERE proxy = '' AND key = 'version'");
    if (found.empty() || found[0][0] != std::to_string(inventory_version)) return false;
    pace_.fleet_of(std::stoll(found[0][1]));
    return true;
}

void Fleet::create_or_check(Postgres& database) {
    database.exec("BEGIN");
    database.exec("SET LOCAL statement_timeout = '30s'");
    database.exec(std::string("SELECT pg_advisory_xact_lock(") + lock_key + ")");
    const auto found = database.exec(
        "SELECT to_regnamespace('pgairlock') IS NOT NULL, to_regclass('pgairlock.meta') IS NOT NULL, "
        "current_setting('server_encoding')");
    if (found[0][2] != "UTF8")
        throw PostgresError("the encoding of the database is " + found[0][2] + ", but must be UTF8");
    if (found[0][0] == "f") database.exec("CREATE SCHEMA pgairlock");
    if (found[0][1] == "f") {
        for (const std::string_view statement : fleet_schema) database.exec(std::string(statement));
        database.exec("INSERT INTO pgairlock.meta VALUES ('', 'version', $1)", {std::to_string(inventory_version)});
    } else {
        take_over(database);
    }
    database.exec("COMMIT");
}

/// A schema of an older version is brought up to ours.
void Fleet::take_over(Postgres& database) {
    const auto found = database.exec("SELECT value FROM pgairlock.meta WHERE proxy = '' AND key = 'version'");
    const std::string version = found.empty() ? "?" : found[0][0];
    const std::string ours = std::to_string(inventory_version);
    if (version == ours) return;
    if (version != "1" && version != "2" && version != "3" && version != "4" && version != "5")
        throw PostgresError("the schema pgairlock is of version " + version + ", this program knows " + ours);
    // At first whoever reads, by the table that all look into first, and then in the order of those
    // who write: nobody waits for us who holds what we wait for.
    database.exec("LOCK TABLE pgairlock.meta IN ACCESS EXCLUSIVE MODE");
    for (const std::string_view table : tables) {
        const std::string name = "pgairlock." + std::string(table);
        if (database.exec("SELECT to_regclass($1) IS NOT NULL", {name})[0][0] == "t")
            database.exec("LOCK TABLE " + name + " IN ACCESS EXCLUSIVE MODE");
    }
    const auto run = [&](std::span<const std::string_view> statements) {
        for (const std::string_view statement : statements) database.exec(std::string(statement));
    };
    if (version == "1") run(fleet_from_1);
    if (version == "2") run(fleet_from_2);
    if (version < "4") run(fleet_from_3);
    if (version < "5") run(fleet_from_4);
    run(fleet_from_5);
    database.exec("UPDATE pgairlock.meta SET value = $1 WHERE proxy = '' AND key = 'version'", {ours});
}

void Fleet::copy(std::int64_t since) {
    Sqlite file(settings_.file, Sqlite::Mode::read_only);
    file.exec("BEGIN");  // one state of the file for all tables
    database_->exec("BEGIN");
    database_->exec("SET LOCAL statement_timeout = '30s'");
    // What was committed is not sent again, so a crash of the database must not take it. `local`: a
    // standby that hangs must not hold it up. And how many we are, going by the last ANALYZE.
    const auto found = database_->exec(
        "SELECT reltuples::bigint, CASE current_setting('synchronous_commit') WHEN 'off' THEN "
        "set_config('synchronous_commit', 'local', true) END FROM pg_class WHERE oid = 'pgairlock.proxies'::regclass");
    pace_.fleet_of(std::stoll(found.at(0).at(0)));
    const bool prunes = is_ours_to_prune();
    if (since != 0 && rows_are_missing(file)) since = 0;
    if (since == 0) {
        for (const std::string_view table : tables) {
            database_->exec("DELETE FROM pgairlock." + std::string(table) + " WHERE proxy = $1", {settings_.instance});
        }
    }
    const std::string marks = state_of_marks(file);
    for (const std::string_view table : tables) {
        if (table != "marks" || since == 0 || marks != sent_marks_) send(file, std::string(table), since);
    }
    if (prunes) prune();
    database_->exec("COMMIT");
    sent_marks_ = marks;
    sent_clients_ = file.integer("SELECT count(*) FROM clients");
    spdlog::debug("inventory: copied to {} what was seen since {}", url_.shown(), since);
}

/// Somebody has deleted rows of ours: a proxy of an older version whose clock was wrong, or people.
bool Fleet::rows_are_missing(Sqlite& file) {
    const auto there = database_->exec("SELECT count(*) FROM pgairlock.clients WHERE proxy = $1", {settings_.instance});
    return std::stoll(there.at(0).at(0)) < sent_clients_ &&
           sent_clients_ <= file.integer("SELECT count(*) FROM clients");
}

void Fleet::send(Sqlite& file, const std::string& table, std::int64_t since) {
    const std::vector<Column> columns = columns_of(file, table);
    const std::string statement = upsert(table, columns);
    std::string batch;
    const auto send_batch = [&] {
        if (!batch.empty()) database_->exec(statement, {"[" + batch + "]"});
        batch.clear();
    };
    Statement rows = file.prepare(select(table, columns));
    for (rows.with(settings_.instance, since); rows.step();) {
        batch += (batch.empty() ? "" : ",") + json_without_nul(rows.text(0));
        if (batch.size() >= batch_size) send_batch();
    }
    send_batch();
}

/// One proxy of the fleet does it for all, since it reads whole tables: once a day, or when it
/// wants to forget sooner than whoever did it last. Asked before other tables are written to:
/// take_over() locks `meta` first.
bool Fleet::is_ours_to_prune() {
    const std::chrono::milliseconds retention = retention_;
    if (retention == pruned_for_ && Clock::now() < next_prune_) return false;
    next_prune_ = Clock::now() + fleet_prune_interval;
    pruned_for_ = retention;
    if (retention.count() == 0) return false;
    const std::string lock = std::string("SELECT pg_try_advisory_xact_lock(") + prune_lock_key + ")";
    if (database_->exec(lock)[0][0] != "t") return false;  // somebody is at it
    const std::string now = "(extract(epoch FROM now()) * 1000000)::bigint";
    return !database_
                ->exec("INSERT INTO pgairlock.meta AS last VALUES ('', 'pruned', " + now +
                           " || ' ' || $1::bigint) ON CONFLICT (proxy, key) DO UPDATE SET value = excluded.value WHERE "
                           "split_part(last.value, ' ', 1)::bigint NOT BETWEEN " +
                           now + " - " + fleet_prune_turn + " AND " + now +
                           " OR split_part(last.value, ' ', 2)::bigint > $1::bigint RETURNING 1",
                       {std::to_string(retention.count())})
                .empty();
}

/// Of proxies that are no more, which forget nothing themselves: one that was here within the
/// retention keeps what it has. Two clocks must say so, the database's and ours.
void Fleet::prune() {
    const std::chrono::milliseconds retention = retention_;
    const auto age = std::chrono::duration_cast<std::chrono::microseconds>(retention).count();
    const auto cutoff =
        database_->exec("SELECT least((extract(epoch FROM now()) * 1000000)::bigint, $1::bigint) - $2::bigint",
                        {std::to_string(to_timestamp(std::chrono::system_clock::now())), std::to_string(age)})[0];
    const auto gone =
        database_->exec("SELECT proxy FROM pgairlock.proxies WHERE proxy <> $1 AND last_seen < $2::bigint",
                        {settings_.instance, cutoff[0]});
    // Those of version 1, which have no row in `proxies` before they are updated; and what one of
    // version 5, which knows of no samples, has left of a proxy that it forgot.
    for (const char* const table : {"clients", "handshakes", "upstream_certificates", "sampled_sessions"}) {
        database_->exec("DELETE FROM pgairlock." + std::string(table) +
                            " WHERE proxy NOT IN (SELECT proxy FROM pgairlock.proxies) AND last_seen < $1::bigint",
                        cutoff);
    }
    database_->exec(
        "DELETE FROM pgairlock.sampling WHERE proxy NOT IN (SELECT proxy FROM pgairlock.proxies) AND "
        "greatest(last_look, last_failure) < $1::bigint",
        cutoff);
    for (const auto& proxy : gone) {
        spdlog::info("inventory: the proxy {} was not here within the retention: forgotten in {}", proxy[0],
                     url_.shown());
        for (const std::string_view table : tables)
            database_->exec("DELETE FROM pgairlock." + std::string(table) + " WHERE proxy = $1", {proxy[0]});
    }
}

}  // namespace proxy
