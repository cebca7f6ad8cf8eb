#include "proxy/inventory/stored_clients.hpp"

#include <utility>

#include "proxy/inventory/name_pattern.hpp"

namespace proxy {
namespace {

/// Some 100 MiB.
constexpr std::int64_t max_clients = 200'000;

/// Of one user of a database at one place: more application names than that come from a pattern.
constexpr std::int64_t max_names = 100;
/// ...and where patterns are as many, from something else that never repeats.
constexpr std::int64_t max_patterns = 2 * max_names;
constexpr std::string_view other_names = "#";

/// Two programs that share a key contradict each other for ever: told once a day.
constexpr Timestamp tell_again_after = day_length;
constexpr std::size_t max_told = 10'000;

}  // namespace

// Long because it holds one statement after the other.
StoredClients::StoredClients(Sqlite& db, ForgottenRows& forgotten) : db_(db), forgotten_(forgotten), told_(max_told) {
    rows_ = committed_rows_ = count();
    find_ = db_.prepare(
        "SELECT id, groups FROM clients WHERE upstream = ? AND client_addr = ? AND client_exe = ? AND client_uid = ? "
        "AND "
        "usename = ? AND datname = ? AND application_name = ?");
    find_weakness_ = db_.prepare("SELECT plain > 0 OR weak_tls > 0 FROM clients WHERE id = ?");
    count_names_ = db_.prepare(
        "SELECT count(*) FROM clients WHERE upstream = ? AND client_addr = ? AND client_exe = ? AND client_uid = ? AND "
        "usename = ? AND datname = ?");
    find_evidence_ = db_.prepare("SELECT evidence, first_seen, last_seen, count FROM evidence WHERE client = ?");
    // On the right of SET a bare name is the row that is there.
    put_ = db_.prepare(R"sql(
INSERT INTO clients (upstream, client_addr, client_exe, client_uid, usename, datname, application_name, listener, first_seen, last_seen,
                     connections, plain, weak_tls, bridged, auth_failed, failures, last_failure, not_probed, auth_method, version, groups,
                     failure_reason, failure_error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (upstream, client_addr, client_exe, client_uid, usename, datname, application_name) DO UPDATE SET
  listener = excluded.listener,
  first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen),
  connections = connections + excluded.connections, plain = plain + excluded.plain, weak_tls = weak_tls + excluded.weak_tls,
  bridged = bridged + excluded.bridged, auth_failed = auth_failed + excluded.auth_failed,
  failures = failures + excluded.failures, last_failure = max(last_failure, excluded.last_failure),
  not_probed = iif(excluded.connections > 0, excluded.not_probed, not_probed),
  auth_method = iif(excluded.connections > 0 OR connections = 0, excluded.auth_method, auth_method),
  version = iif(excluded.connections > 0 OR connections = 0, excluded.version, version), groups = excluded.groups,
  failure_reason = iif(excluded.failures > 0 AND excluded.last_failure >= last_failure, excluded.failure_reason, failure_reason),
  failure_error = iif(excluded.failures > 0 AND excluded.last_failure >= last_failure, excluded.failure_error, failure_error)
RETURNING id)sql");
    put_evidence_ = db_.prepare(R"sql(
INSERT INTO evidence (client, evidence, certificate, first_seen, last_seen, count, session) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (client, evidence, certificate) DO UPDATE SET first_seen = min(first_seen, excluded.first_seen),
  last_seen = max(last_seen, excluded.last_seen), count = count + excluded.count, session = excluded.session)sql");
    put_fingerprint_ = db_.prepare(
        "INSERT INTO fingerprints (client, ja4, sni, last_seen) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (client, ja4, sni) DO UPDATE SET last_seen = max(last_seen, excluded.last_seen)");
    put_day_ = db_.prepare(R"sql(
INSERT INTO days (day, client, mode, connections, weak_tls, bridged, failures, auth_failed, first_seen, last_seen, open_until)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
ON CONFLICT (day, client, mode) DO UPDATE SET
  first_seen = iif(connections = 0 AND excluded.connections > 0, excluded.first_seen,
                   iif(connections > 0 AND excluded.connections = 0, first_seen, min(first_seen, excluded.first_seen))),
  last_seen = iif(connections = 0 AND excluded.connections > 0, excluded.last_seen,
                  iif(connections > 0 AND excluded.connections = 0, last_seen, max(last_seen, excluded.last_seen))),
  connections = connections + excluded.connections, weak_tls = weak_tls + excluded.weak_tls, bridged = bridged + excluded.bridged,
  failures = failures + excluded.failures, auth_failed = auth_failed + excluded.auth_failed)sql");
    extend_day_ =
        db_.prepare("UPDATE days SET open_until = max(open_until, ?) WHERE day = ? AND client = ? AND mode = ?");
}

std::int64_t StoredClients::count() { return db_.integer("SELECT count(*) FROM clients"); }

void StoredClients::write(const ClientIdentity& key, const ClientChange& change, std::vector<Event>& news) {
    const ClientIdentity who{key, stored_names(key)};
    const Row row = find(who);
    const bool is_known = row.id != 0;
    if (!is_known && rows_ >= max_clients) make_room();
    if (is_known) tell_change(row.id, who, change, news);
    if (auto weak = weak_news(known(row.id), who, change)) news.push_back(std::move(*weak));
    const std::int64_t id = put(who, change, merged_groups(change.groups, row.groups));
    if (!is_known) {
        ++rows_;
        tell_change(id, who, change, news);
    }
    put_details(id, change);
}

void StoredClients::ended(bool committed) noexcept {
    (committed ? committed_rows_ : rows_) = committed ? rows_ : committed_rows_;
    if (committed) try {
            for (const auto& [id, time] : telling_) told_.put(id, time);
        } catch (const std::bad_alloc&) {
            // What is stored is stored: the worst is that it is told once more.
        }
    telling_.clear();
}

void StoredClients::pruned() {
    rows_ = committed_rows_ = count();
    told_.clear();
}

std::int64_t StoredClients::put(const ClientIdentity& who, const ClientChange& change,
                                const KeyExchangeGroups& groups) {
    const std::string groups_column = groups_text(groups);
    put_.with(who.upstream, who.client_addr, who.client_exe, who.client_uid, who.usename, who.datname,
              who.application_name, change.listener, change.seen.first, change.seen.last, change.connections,
              change.plain, change.weak_tls, change.bridged, change.auth_failed, change.failures, change.last_failure,
              change.not_probed, change.auth_method, change.version, groups_column, change.failure_reason,
              change.failure_error);
    put_.step();
    const std::int64_t id = put_.integer(0);
    put_.run();
    return id;
}

void StoredClients::put_details(std::int64_t id, const ClientChange& change) {
    for (const auto& [which, seen] : change.evidence) {
        put_evidence_.with(id, label(which.first), which.second, seen.first, seen.last, seen.count, seen.session).run();
    }
    for (const auto& [which, last_seen] : change.fingerprints)
        put_fingerprint_.with(id, which.first, which.second, last_seen).run();
    for (const auto& [which, day] : change.days) {
        if (day.connections + day.failures > 0)
            put_day_
                .with(which.first, id, which.second, day.connections, day.weak_tls, day.bridged, day.failures,
                      day.auth_failed, day.seen().first, day.seen().last)
                .run();
        if (day.open_until > 0) extend_day_.with(day.open_until, which.first, id, which.second).run();
    }
}

StoredClients::Row StoredClients::find(const ClientIdentity& who) {
    find_.with(who.upstream, who.client_addr, who.client_exe, who.client_uid, who.usename, who.datname,
               who.application_name);
    Row row;
    if (find_.step()) row = {.id = find_.integer(0), .groups = groups_of_text(find_.text(1))};
    find_.reset();
    return row;
}

/// The names of its row. One who makes up an application name for every connection is one client,
/// and gets rows by pattern once it has had many.
ClientNames StoredClients::stored_names(const ClientIdentity& key) {
    if (find(key).id != 0) return key;
    count_names_.with(key.upstream, key.client_addr, key.client_exe, key.client_uid, key.usename, key.datname).step();
    const std::int64_t names = count_names_.integer(0);
    count_names_.reset();
    ClientNames stored = key;
    if (names >= max_names) stored.application_name = name_pattern(key.application_name);
    if (names >= max_patterns && find({key, stored}).id == 0) stored.application_name = other_names;
    return stored;
}

/// Never a weak one before a strong one, and of these the least recently and least often seen.
void StoredClients::make_room() {
    db_.prepare(
           "DELETE FROM clients WHERE id IN (SELECT id FROM clients ORDER BY plain > 0 OR weak_tls > 0, last_seen, "
           "connections LIMIT ?)")
        .with(made_room_at_once)
        .run();
    forgotten_.add(db_.integer("SELECT changes()"));
    rows_ = count();
    told_.clear();  // ids are given anew
}

KnownClient StoredClients::known(std::int64_t id) {
    if (id == 0) return {};
    find_weakness_.with(id).step();
    const bool was_weak = find_weakness_.integer(0) != 0;
    find_weakness_.reset();
    // Whoever is known as weak is no news, whatever else there is.
    return {.logged_in_weak = was_weak, .evidence = was_weak ? decltype(KnownClient::evidence){} : evidence_of(id)};
}

std::vector<protocol::Observation> StoredClients::evidence_of(std::int64_t id) {
    std::vector<protocol::Observation> stored;
    for (find_evidence_.with(id); find_evidence_.step();) {
        const auto evidence = protocol::parse_evidence(find_evidence_.text(0));
        if (!evidence) continue;  // of a newer version that was here meanwhile
        stored.push_back({.evidence = *evidence,
                          .first_seen = find_evidence_.integer(1),
                          .last_seen = find_evidence_.integer(2),
                          .count = static_cast<std::uint64_t>(find_evidence_.integer(3))});
    }
    return stored;
}

/// Called before the evidence of `change` is stored.
void StoredClients::tell_change(std::int64_t id, const ClientIdentity& who, const ClientChange& change,
                                std::vector<Event>& news) {
    auto changed = changed_news(evidence_of(id), who, change);
    if (!changed) return;
    const Timestamp* const told = told_.find(id);
    if (told && change.seen.last < *told + tell_again_after) return;
    telling_[id] = change.seen.last;
    news.push_back(std::move(*changed));
}

}  // namespace proxy
