#include "proxy/inventory/marks.hpp"

#include <stdexcept>

#include "proxy/inventory/inventory_schema.hpp"
#include "proxy/inventory/postgres.hpp"
#include "proxy/inventory/sqlite.hpp"

namespace proxy {
namespace {

constexpr std::string_view mark_keys[] = {"upstream", "client_addr", "client_exe",       "client_uid",
                                          "usename",  "datname",     "application_name", "seen_by"};
constexpr std::string_view mark_values[] = {"accepted", "accepted_until", "accepted_state", "owner",
                                            "reason",   "note",           "repaired_at",    "changed_at"};

/// `first_key` and its value, if any, come before the others. Parameters are $1, $2...
std::string upsert_mark(const std::string& table, const std::string& first_key = "") {
    std::string names, parameters, identity, changes;
    int count = 0;
    const auto add = [](std::string& list, const std::string& item) { list += (list.empty() ? "" : ", ") + item; };
    const auto column = [&](const std::string& name) {
        add(names, name);
        add(parameters, "$" + std::to_string(++count));
    };
    if (!first_key.empty()) {
        add(names, first_key);
        add(parameters, "''");
        add(identity, first_key);
    }
    for (const std::string_view key : mark_keys) {
        column(std::string(key));
        add(identity, std::string(key));
    }
    for (const std::string_view value : mark_values) {
        column(std::string(value));
        add(changes, std::string(value) + " = excluded." + std::string(value));
    }
    return "INSERT INTO " + table + " (" + names + ") VALUES (" + parameters + ") ON CONFLICT (" + identity +
           ") DO UPDATE SET " + changes;
}

[[noreturn]] void cannot_write(const std::string& name, const std::string& why) {
    throw std::runtime_error("cannot write to the inventory " + name + ": " + why);
}

void check_version(std::int64_t version) {
    if (version < inventory_version)
        throw std::runtime_error("it has the tables of an older pgairlock (version " + std::to_string(version) +
                                 ", not " + std::to_string(inventory_version) +
                                 "): start its proxy once as this version first");
    if (version > inventory_version)
        throw std::runtime_error("it was written by a newer pgairlock (tables of version " + std::to_string(version) +
                                 ", this program knows " + std::to_string(inventory_version) + ")");
}

void write_to_file(const std::string& path, const std::vector<MarkRow>& marks) {
    Sqlite db(path, Sqlite::Mode::read_write);
    db.exec("PRAGMA busy_timeout = 10000");  // a proxy that forgets many clients at once
    check_version(db.integer("PRAGMA user_version"));
    Transaction transaction(db);
    Statement statement = db.prepare(upsert_mark("marks"));
    for (const MarkRow& mark : marks) {
        const ClientIdentity& who = mark.who;
        statement
            .with(who.upstream, who.client_addr, who.client_exe, who.client_uid, who.usename, who.datname,
                  who.application_name, who.seen_by, std::int64_t{mark.accepted}, mark.accepted_until,
                  mark.accepted_state, mark.owner, mark.reason, mark.note, mark.repaired_at, mark.changed_at)
            .run();
    }
    transaction.commit();
}

/// Under no proxy: what is written here is not of a proxy's file, which replaces all of its rows.
void write_to_fleet(Postgres& db, const std::vector<MarkRow>& marks) {
    db.exec("BEGIN");
    db.exec("SET LOCAL statement_timeout = '30s'");
    const auto version = db.exec("SELECT value::bigint FROM pgairlock.meta WHERE proxy = '' AND key = 'version'");
    check_version(version.empty() ? 0 : std::stoll(version[0][0]));
    const std::string statement = upsert_mark("pgairlock.marks", "proxy");
    for (const MarkRow& mark : marks) {
        const ClientIdentity& who = mark.who;
        db.exec(statement, {who.upstream, who.client_addr, who.client_exe, std::to_string(who.client_uid), who.usename,
                            who.datname, who.application_name, who.seen_by, mark.accepted ? "1" : "0",
                            std::to_string(mark.accepted_until), mark.accepted_state, mark.owner, mark.reason,
                            mark.note, std::to_string(mark.repaired_at), std::to_string(mark.changed_at)});
    }
    db.exec("COMMIT");
}

}  // namespace

void write_marks(const std::string& where, const std::vector<MarkRow>& marks) {
    if (!PostgresUrl::is_one(where)) {
        try {
            return write_to_file(where, marks);
        } catch (const std::runtime_error& error) {
            cannot_write(where, error.what());
        }
    }
    std::string name = "in the fleet's database";  // until it is known to have no password in it
    try {
        const PostgresUrl url(where);
        name = "in the database " + url.shown();
        Postgres db(
            url, [] { return false; }, "pgairlock client");
        write_to_fleet(db, marks);
    } catch (const std::runtime_error& error) {
        cannot_write(name, error.what());
    }
}

}  // namespace proxy
