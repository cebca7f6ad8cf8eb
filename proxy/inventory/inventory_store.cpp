#include "proxy/inventory/inventory_store.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>

#include "proxy/inventory/inventory_schema.hpp"
#include "proxy/inventory/name_pattern.hpp"

namespace proxy {
namespace {

/// Whoever can reach a listener can make up names, so the file has a limit: some 100 MiB of
/// clients, and as much of handshakes. Where it is reached, some are forgotten at once, so that not
/// every new one has to look for another.
constexpr std::int64_t max_clients = 200'000;
constexpr std::int64_t max_handshakes = 200'000;
constexpr std::int64_t made_room_at_once = 1'000;

/// Of one user of a database at one place: more application names than that come from a pattern.
constexpr std::int64_t max_names = 100;
/// ...and where patterns are as many, from something else that never repeats.
constexpr std::int64_t max_patterns = 2 * max_names;
constexpr std::string_view other_names = "#";

/// Two programs that share a key contradict each other for ever: told once a day.
constexpr Timestamp tell_again_after = day_length;
constexpr std::size_t max_told = 10'000;

/// Fewer clients than that are always forgotten together.
constexpr std::int64_t smallest_share = 20;

std::string random_name() {
    std::random_device device;
    char text[20];
    std::snprintf(text, sizeof text, "%08x%08x", device(), device());
    return text;
}

/// 0640: it names users, databases and addresses. SQLite gives its other files the mode of this
/// one.
const std::string& created(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) throw SqliteError(std::strerror(errno));
    ::close(fd);
    return path;
}

std::string to_text(const protocol::SslModeInterval& interval) {
    const std::string min(to_string(interval.min));
    return interval.min == interval.max ? min : min + ".." + std::string(to_string(interval.max));
}

std::string comma_separated(const std::vector<std::string>& names) {
    std::string out;
    for (const std::string& name : names) out += (out.empty() ? "" : ",") + name;
    return out;
}

std::vector<protocol::Observation> with_new(std::vector<protocol::Observation> stored, const ClientChange& change) {
    for (const auto& [which, seen] : change.evidence) {
        stored.push_back(
            {.evidence = which.first, .first_seen = seen.first, .last_seen = seen.last, .count = seen.count});
    }
    return stored;
}

Event event_about(EventKind kind, const ClientIdentity& key, const ClientChange& change) {
    Event event{.kind = kind};
    event.record.session = change.seen.session;
    event.record.listener = change.listener;
    event.record.upstream = key.upstream;
    event.record.client_addr = key.client_addr;
    event.record.process = change.process;
    event.record.usename = key.usename;
    event.record.datname = key.datname;
    event.record.application_name = key.application_name;
    event.record.client_tls.version = change.version;
    event.record.ssl = !change.version.empty();
    return event;
}

/// What was known before: the evidence stored, or when all of it is new, all but the newest.
protocol::Verdict former(std::vector<protocol::Observation> stored, std::vector<protocol::Observation> all) {
    if (!stored.empty()) return protocol::judge(std::move(stored));
    const auto newest = std::max_element(all.begin(), all.end(),
                                         [](const auto& a, const auto& b) { return a.last_seen < b.last_seen; });
    if (newest != all.end()) all.erase(newest);
    return protocol::judge(std::move(all));
}

}  // namespace

InventoryStore::InventoryStore(const std::string& path, const ProxyFacts& proxy) try
    : db_(created(path), Sqlite::Mode::read_write) {
    create_or_check();
    introduce(proxy);
    prepare();
    beginning_ = db_.beginning();
} catch (const NotSqlite& error) {
    throw DamagedInventory("cannot open inventory " + path + ": " + error.what(), false);
} catch (const DamagedSqlite& error) {
    throw DamagedInventory("cannot open inventory " + path + ": " + error.what(), true);
} catch (const SqliteError& error) {
    throw std::runtime_error("cannot open inventory " + path + ": " + error.what());
}

void InventoryStore::create_or_check() {
    // First: what cannot be used is not changed either.
    const Timestamp version = db_.integer("PRAGMA user_version");
    if (version > inventory_version) {
        throw SqliteError("made by a newer pgairlock (its version is " + std::to_string(version) + ", this one knows " +
                          std::to_string(inventory_version) + ")");
    }
    check_own();
    // Only has an effect on an empty file, and not after WAL. Without foreign keys: tables may have
    // to be made anew.
    db_.exec(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA foreign_keys = OFF; PRAGMA journal_mode = WAL; PRAGMA synchronous = "
        "NORMAL");
    {
        Transaction transaction(db_);  // two proxies may create one file
        check_own();
        if (db_.integer("PRAGMA user_version") == 0) {
            db_.exec(std::string(inventory_schema));
            db_.prepare("INSERT INTO meta VALUES ('instance', ?)").with(random_name()).run();
            db_.exec("PRAGMA user_version = " + std::to_string(inventory_version));
            transaction.commit();
        } else {
            take_over(db_.integer("PRAGMA user_version"));
            transaction.commit();
        }
    }
    if (const Timestamp made = db_.integer("PRAGMA user_version"); made != inventory_version)
        throw SqliteError("its version is " + std::to_string(made) + ", which this pgairlock cannot take over");
    db_.exec("PRAGMA foreign_keys = ON");
    if (std::string check = db_.text("PRAGMA quick_check(1)"); check != "ok") {
        std::replace(check.begin(), check.end(), '\n', ' ');
        throw DamagedSqlite("damaged: " + check);
    }
    instance_ = db_.text("SELECT value FROM meta WHERE key = 'instance'");
    if (instance_.empty()) throw SqliteError("the database of something else");
    clients_ = db_.integer("SELECT count(*) FROM clients");
    handshakes_ = db_.integer("SELECT count(*) FROM handshakes");
}

void InventoryStore::check_own() {
    if (db_.integer("PRAGMA user_version") == 0 && db_.integer("SELECT count(*) FROM sqlite_schema") > 0)
        throw SqliteError("the database of something else");
}

void InventoryStore::take_over(Timestamp version) {
    if (version == 1) {
        db_.exec(std::string(inventory_from_1_before));
        db_.exec(std::string(inventory_schema));
        db_.exec(std::string(inventory_from_1_after));
    } else if (version == 2) {
        db_.exec(std::string(inventory_from_2));
    } else {
        return;
    }
    db_.exec("PRAGMA user_version = " + std::to_string(inventory_version));
}

/// A run that goes on beside this one counts as one that never ended: nobody could tell later.
void InventoryStore::introduce(const ProxyFacts& proxy) {
    const Timestamp now = to_timestamp(std::chrono::system_clock::now());
    db_.prepare(R"sql(
INSERT INTO proxies (id, name, version, listeners, first_seen, started, last_seen, events_dropped, rows_left_out, last_loss,
                     pruned_before, consistent_after, ended, unclean_ends)
VALUES (?1, ?2, ?3, ?4, coalesce((SELECT min(first_seen) FROM clients), ?5), ?5, ?5, 0, 0, 0, 0, ?6, 0, 0)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version, listeners = excluded.listeners,
  started = excluded.started, last_seen = excluded.last_seen, consistent_after = excluded.consistent_after,
  ended = 0, unclean_ends = unclean_ends + (ended = 0),
  last_loss = iif(ended = 0, max(last_loss, excluded.started), last_loss))sql")
        .with(instance_, proxy.name, proxy.version, proxy.listeners, now,
              static_cast<std::int64_t>(proxy.consistent_after.count()))
        .run();
}

void InventoryStore::heartbeat(Timestamp now, std::uint64_t events_lost) {
    db_.prepare(
           "UPDATE proxies SET last_seen = ?1, ended = 0, events_dropped = events_dropped + ?2, last_loss = iif(?2 > "
           "0, ?1, "
           "last_loss) "
           "WHERE id = ?3")
        .with(now, events_lost, instance_)
        .run();
}

void InventoryStore::has_gap(Timestamp now) {
    db_.prepare("UPDATE proxies SET unclean_ends = unclean_ends + 1, last_loss = ? WHERE id = ?")
        .with(now, instance_)
        .run();
}

void InventoryStore::ended(Timestamp now) {
    db_.prepare("UPDATE proxies SET last_seen = ?1, ended = ?1 WHERE id = ?2").with(now, instance_).run();
}

// Long because it holds one statement after the other.
void InventoryStore::prepare() {
    find_client_ = db_.prepare(
        "SELECT id FROM clients WHERE upstream = ? AND client_addr = ? AND client_exe = ? AND client_uid = ? AND "
        "usename = ? AND datname = ? AND application_name = ?");
    find_weakness_ = db_.prepare("SELECT plain > 0 OR weak_tls > 0 FROM clients WHERE id = ?");
    count_names_ = db_.prepare(
        "SELECT count(*) FROM clients WHERE upstream = ? AND client_addr = ? AND client_exe = ? AND client_uid = ? AND "
        "usename = ? AND datname = ?");
    find_evidence_ = db_.prepare("SELECT evidence, first_seen, last_seen, count FROM evidence WHERE client = ?");
    find_handshake_ = db_.prepare(
        "SELECT 1 FROM handshakes WHERE upstream = ? AND client_addr = ? AND client_exe = ? AND client_uid = ? AND "
        "ja4 = ? AND sni = ? AND evidence = ? AND certificate = ?");
    find_certificate_ =
        db_.prepare("SELECT 1 FROM upstream_certificates WHERE upstream = ? AND upstream_addr = ? AND sha256 = ?");
    find_issuer_ = db_.prepare(
        "SELECT issuer, anchor FROM upstream_certificates WHERE upstream = ? "
        "ORDER BY upstream_addr = ? DESC, last_seen DESC LIMIT 1");

    // On the right of SET a bare name is the row that is there.
    put_client_ = db_.prepare(R"sql(
INSERT INTO clients (upstream, client_addr, client_exe, client_uid, usename, datname, application_name, listener, first_seen, last_seen,
                     connections, plain, weak_tls, bridged, auth_failed, failures, last_failure, not_probed, auth_method, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (upstream, client_addr, client_exe, client_uid, usename, datname, application_name) DO UPDATE SET
  listener = excluded.listener,
  first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen),
  connections = connections + excluded.connections, plain = plain + excluded.plain, weak_tls = weak_tls + excluded.weak_tls,
  bridged = bridged + excluded.bridged, auth_failed = auth_failed + excluded.auth_failed,
  failures = failures + excluded.failures, last_failure = max(last_failure, excluded.last_failure),
  not_probed = iif(excluded.connections > 0, excluded.not_probed, not_probed),
  auth_method = iif(excluded.connections > 0 OR connections = 0, excluded.auth_method, auth_method),
  version = iif(excluded.connections > 0 OR connections = 0, excluded.version, version)
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
    put_handshake_ = db_.prepare(R"sql(
INSERT INTO handshakes (upstream, client_addr, client_exe, client_uid, ja4, sni, evidence, certificate, listener, first_seen, last_seen,
                        count, session, error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (upstream, client_addr, client_exe, client_uid, ja4, sni, evidence, certificate) DO UPDATE SET listener = excluded.listener,
  first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen), count = count + excluded.count,
  session = excluded.session, error = excluded.error)sql");
    put_certificate_ = db_.prepare(R"sql(
INSERT INTO upstream_certificates (upstream, upstream_addr, sha256, subject, sans, issuer, anchor, serial, not_before, not_after, first_seen,
                                   last_seen, count, candidate_ok, candidate_since)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (upstream, upstream_addr, sha256) DO UPDATE SET anchor = excluded.anchor, first_seen = min(first_seen, excluded.first_seen),
  last_seen = max(last_seen, excluded.last_seen), count = count + excluded.count,
  candidate_since = iif(candidate_ok IS excluded.candidate_ok, candidate_since, excluded.candidate_since),
  candidate_ok = excluded.candidate_ok)sql");
    put_probe_ = db_.prepare(R"sql(
INSERT INTO probes (upstream, client_addr, client_exe, client_uid, kind, shown, accepted, refused, last_shown, last_refused)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (upstream, client_addr, client_exe, client_uid, kind) DO UPDATE SET shown = shown + excluded.shown, accepted = accepted + excluded.accepted,
  refused = refused + excluded.refused, last_shown = max(last_shown, excluded.last_shown),
  last_refused = max(last_refused, excluded.last_refused))sql");
}

std::vector<Event> InventoryStore::write(const InventoryChanges& changes) {
    std::vector<Event> news;
    const std::int64_t clients = clients_;
    const std::int64_t handshakes = handshakes_;
    telling_.clear();
    try {
        Transaction transaction(db_);
        for (const auto& [key, change] : changes.clients) write(key, change, news);
        for (const auto& [key, change] : changes.handshakes) write(key, change);
        for (const auto& [key, change] : changes.certificates) write(key, change, news);
        for (const auto& [key, change] : changes.probes) write(key, change);
        transaction.commit();
    } catch (const std::exception&) {  // also for lack of memory: it is written anew
        clients_ = clients;
        handshakes_ = handshakes;
        throw;
    }
    if (told_.size() > max_told) told_.clear();
    for (const auto& [id, time] : telling_) told_[id] = time;
    return news;
}

void InventoryStore::write(const ClientIdentity& key, const ClientChange& change, std::vector<Event>& news) {
    const ClientIdentity who{key, stored_names(key)};
    const std::int64_t known_id = find_client(who);
    const bool known = known_id != 0;
    if (!known && clients_ >= max_clients) make_room_for_a_client();
    if (known) changed_news(known_id, who, change, news);
    weak_news(known_id, who, change, news);
    put_client_.with(who.upstream, who.client_addr, who.client_exe, who.client_uid, who.usename, who.datname,
                     who.application_name, change.listener, change.seen.first, change.seen.last, change.connections,
                     change.plain, change.weak_tls, change.bridged, change.auth_failed, change.failures,
                     change.last_failure, change.not_probed, change.auth_method, change.version);
    put_client_.step();
    const std::int64_t id = put_client_.integer(0);
    put_client_.run();
    if (!known) {
        ++clients_;
        changed_news(id, who, change, news);
    }
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

/// 0: not known.
std::int64_t InventoryStore::find_client(const ClientIdentity& who) {
    find_client_.with(who.upstream, who.client_addr, who.client_exe, who.client_uid, who.usename, who.datname,
                      who.application_name);
    const std::int64_t id = find_client_.step() ? find_client_.integer(0) : 0;
    find_client_.reset();
    return id;
}

/// The names of its row. One who makes up an application name for every connection is one client,
/// and gets rows by pattern once it has had many.
ClientNames InventoryStore::stored_names(const ClientIdentity& key) {
    if (find_client(key) != 0) return key;
    count_names_.with(key.upstream, key.client_addr, key.client_exe, key.client_uid, key.usename, key.datname).step();
    const std::int64_t names = count_names_.integer(0);
    count_names_.reset();
    ClientNames stored = key;
    if (names >= max_names) stored.application_name = name_pattern(key.application_name);
    if (names >= max_patterns && find_client({key, stored}) == 0) stored.application_name = other_names;
    return stored;
}

/// Never a weak one before a strong one, and of these the least recently and least often seen.
void InventoryStore::make_room_for_a_client() {
    db_.prepare(
           "DELETE FROM clients WHERE id IN (SELECT id FROM clients ORDER BY plain > 0 OR weak_tls > 0, last_seen, "
           "connections LIMIT ?)")
        .with(made_room_at_once)
        .run();
    forgot(db_.integer("SELECT changes()"));
    clients_ = db_.integer("SELECT count(*) FROM clients");
    told_.clear();  // ids are given anew
}

void InventoryStore::make_room_for_a_handshake() {
    db_.prepare(
           "DELETE FROM handshakes WHERE (upstream, client_addr, client_exe, client_uid, ja4, sni, evidence, "
           "certificate) IN (SELECT upstream, client_addr, client_exe, client_uid, ja4, sni, evidence, certificate "
           "FROM "
           "handshakes ORDER BY last_seen LIMIT ?)")
        .with(made_room_at_once)
        .run();
    forgot(db_.integer("SELECT changes()"));
    handshakes_ = db_.integer("SELECT count(*) FROM handshakes");
}

void InventoryStore::forgot(std::int64_t rows) {
    forgotten_ += static_cast<std::uint64_t>(rows);
    db_.prepare(
           "UPDATE proxies SET rows_left_out = rows_left_out + ?, last_loss = max(last_loss, last_seen) WHERE id = ?")
        .with(rows, instance_)
        .run();
}

std::vector<protocol::Observation> InventoryStore::stored_evidence(std::int64_t id) {
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

/// Called before `change` is stored. One that logged in weak, and that nobody knew, or nobody knew
/// as weak. `id` 0: not known.
void InventoryStore::weak_news(std::int64_t id, const ClientIdentity& key, const ClientChange& change,
                               std::vector<Event>& news) {
    if (change.connections == 0) return;
    const auto verifies = [](std::vector<protocol::Observation> all) {
        return protocol::judge(std::move(all)).verifies;
    };
    std::vector<protocol::Observation> stored;
    if (id != 0) {
        find_weakness_.with(id).step();
        const bool was_weak = find_weakness_.integer(0) != 0;
        find_weakness_.reset();
        if (was_weak) return;
        stored = stored_evidence(id);
        if (!stored.empty() && verifies(stored) == protocol::Verifies::no) return;
    }
    const bool is_weak = change.plain > 0 || change.weak_tls > 0;
    if (!is_weak && verifies(with_new(std::move(stored), change)) != protocol::Verifies::no) return;
    Event& event = news.emplace_back(event_about(EventKind::new_weak_client, key, change));
    for (const auto& [which, seen] : change.evidence) event.record.evidence.push_back(which.first);
}

/// Called before the evidence of `change` is stored.
bool InventoryStore::changed_news(std::int64_t id, const ClientIdentity& key, const ClientChange& change,
                                  std::vector<Event>& news) {
    std::vector<protocol::Observation> stored = stored_evidence(id);
    std::vector<protocol::Observation> all = with_new(stored, change);
    const protocol::Verdict now = protocol::judge(all);
    if (!now.mixed) return false;
    const protocol::Verdict before = former(std::move(stored), std::move(all));
    if (before.mixed && intersect(before.newest, now.newest)) return false;
    const auto told = told_.find(id);
    if (told != told_.end() && change.seen.last < told->second + tell_again_after) return false;
    telling_[id] = change.seen.last;

    Event& event = news.emplace_back(event_about(EventKind::client_changed, key, change));
    event.weaker = now.newest.max < before.newest.max;
    for (const auto& [which, seen] : change.evidence) {
        if (intersect(protocol::proves(which.first), now.newest)) event.record.evidence.push_back(which.first);
    }
    event.message = "sslmode was " + to_text(before.newest) + ", is " + to_text(now.newest);
    return true;
}

void InventoryStore::write(const HandshakeKey& key, const HandshakeChange& change) {
    find_handshake_.with(key.from.upstream, key.from.client_addr, key.from.client_exe, key.from.client_uid, key.ja4,
                         key.sni, label(key.evidence), key.certificate);
    const bool known = find_handshake_.step();
    find_handshake_.reset();
    if (!known && handshakes_ >= max_handshakes) make_room_for_a_handshake();
    if (!known) ++handshakes_;
    put_handshake_
        .with(key.from.upstream, key.from.client_addr, key.from.client_exe, key.from.client_uid, key.ja4, key.sni,
              label(key.evidence), key.certificate, change.listener, change.seen.first, change.seen.last,
              change.seen.count, change.seen.session, change.error)
        .run();
}

void InventoryStore::write(const CertificateKey& key, const CertificateChange& change, std::vector<Event>& news) {
    const bool known = find_certificate_.with(key.upstream, key.upstream_addr, key.sha256).step();
    find_certificate_.reset();
    const tls::CertificateFacts& leaf = *change.leaf;
    std::string issuer_before, anchor_before;
    if (!known && find_issuer_.with(key.upstream, key.upstream_addr).step()) {
        issuer_before = find_issuer_.text(0);
        anchor_before = find_issuer_.text(1);
    }
    find_issuer_.reset();
    std::optional<Timestamp> since;
    if (change.candidate_ok) since = change.candidate_since;
    put_certificate_
        .with(key.upstream, key.upstream_addr, key.sha256, leaf.subject, comma_separated(tls::first_names(leaf.sans)),
              leaf.issuer, change.anchor, leaf.serial, to_timestamp(leaf.not_before), to_timestamp(leaf.not_after),
              change.seen.first, change.seen.last, change.seen.count, change.candidate_ok, since)
        .run();
    if (known) return;
    Event& event = news.emplace_back(Event{.kind = EventKind::upstream_certificate});
    event.record.session = change.seen.session;
    event.record.listener = change.listener;
    event.record.upstream = key.upstream;
    event.record.upstream_addr = key.upstream_addr;
    event.record.upstream_tls.leaf = change.leaf;
    event.record.upstream_tls.anchor = change.anchor;
    event.record.upstream_tls.candidate_ok = change.candidate_ok;
    event.issuer_before = std::move(issuer_before);
    event.anchor_before = std::move(anchor_before);
}

void InventoryStore::write(const ProbeKey& key, const ProbeChange& change) {
    put_probe_
        .with(key.from.upstream, key.from.client_addr, key.from.client_exe, key.from.client_uid,
              config::to_string(key.kind), change.shown, change.accepted, change.refused, change.last_shown,
              change.last_refused)
        .run();
}

Timestamp InventoryStore::newest() {
    return db_.integer(
        "SELECT max(coalesce((SELECT max(last_seen) FROM clients), 0), coalesce((SELECT max(last_seen) FROM "
        "handshakes), "
        "0))");
}

InventoryStore::Pruned InventoryStore::prune(Timestamp cutoff, bool all) {
    std::int64_t gone = 0;
    bool more_is_due = false;
    {
        Transaction transaction(db_);
        const std::int64_t share = std::max(clients_ / 4, smallest_share);
        if (!all) {
            Statement oldest = db_.prepare("SELECT last_seen FROM clients ORDER BY last_seen LIMIT 1 OFFSET ?");
            if (oldest.with(share).step() && oldest.integer(0) < cutoff) {
                more_is_due = true;
                cutoff = oldest.integer(0);
            }
        }
        for (const char* const sql :
             {"DELETE FROM clients WHERE last_seen < ?", "DELETE FROM evidence WHERE last_seen < ?",
              "DELETE FROM fingerprints WHERE last_seen < ?", "DELETE FROM handshakes WHERE last_seen < ?",
              "DELETE FROM upstream_certificates WHERE last_seen < ?", "DELETE FROM probes WHERE last_shown < ?"}) {
            db_.prepare(sql).with(cutoff).run();
            gone += db_.integer("SELECT changes()");
        }
        db_.prepare("DELETE FROM days WHERE day < ? AND open_until < ?").with(cutoff / day_length, cutoff).run();
        gone += db_.integer("SELECT changes()");
        if (gone > 0) {
            db_.prepare("UPDATE proxies SET pruned_before = max(pruned_before, ?) WHERE id = ?")
                .with(cutoff, instance_)
                .run();
        }
        transaction.commit();
    }
    if (gone == 0) return {};
    clients_ = db_.integer("SELECT count(*) FROM clients");
    handshakes_ = db_.integer("SELECT count(*) FROM handshakes");
    told_.clear();  // ids are given anew
    db_.prepare("PRAGMA incremental_vacuum").run();
    return {.rows = gone, .more_is_due = more_is_due};
}

void InventoryStore::restore(Probes& probes) {
    // What is still to come was written by a clock that was wrong: it counts from now.
    const auto wall = std::chrono::system_clock::now();
    probes.clocks_are(wall, std::chrono::steady_clock::now());  // times below are by this clock
    const Timestamp now = to_timestamp(wall);
    const auto time = [&](Timestamp t) { return Probes::Time(std::chrono::microseconds(std::min(t, now))); };
    Statement answers = db_.prepare(
        "SELECT coalesce(sum(count), 0) FROM handshakes WHERE upstream = ?1 AND client_addr = ?2 AND client_exe = ?3 "
        "AND "
        "client_uid = ?4 AND evidence = ?5 AND last_seen > (SELECT coalesce(max(repaired_at), 0) FROM marks WHERE "
        "upstream = ?1 AND client_addr = ?2 AND client_exe = ?3 AND client_uid = ?4)");
    Statement rows = db_.prepare(
        "SELECT upstream, client_addr, client_exe, client_uid, kind, shown, accepted, refused, last_shown, "
        "last_refused "
        "FROM probes ORDER BY last_shown DESC");
    while (rows.step()) {
        const ClientOrigin source{.upstream = rows.text(0),
                                  .client_addr = rows.text(1),
                                  .client_exe = rows.text(2),
                                  .client_uid = rows.integer(3)};
        const auto kind = protocol::parse_probe_kind(rows.text(4));
        if (!kind) continue;  // of a newer version that was here meanwhile
        const auto count = [&](protocol::Reaction reaction) {
            const auto evidence = protocol::evidence_of(reaction, *kind);
            answers.with(source.upstream, source.client_addr, source.client_exe, source.client_uid, label(evidence))
                .step();
            const Timestamp sum = answers.integer(0);
            answers.reset();
            return static_cast<unsigned>(sum);
        };
        probes.restore(source, *kind,
                       {.shown = static_cast<unsigned>(rows.integer(5)),
                        .accepted = static_cast<unsigned>(rows.integer(6)),
                        .refused = static_cast<unsigned>(rows.integer(7)),
                        .left = count(protocol::Reaction::leaves_silently),
                        .by_alert = count(protocol::Reaction::refuses) > 0,
                        .last_shown = time(rows.integer(8)),
                        .last_refused = time(rows.integer(9))});
    }
    tell_repairs(probes);
}

void InventoryStore::tell_repairs(Probes& probes) {
    Statement rows = db_.prepare(
        "SELECT upstream, client_addr, client_exe, client_uid, max(repaired_at) FROM marks WHERE repaired_at > 0 "
        "GROUP BY upstream, client_addr, client_exe, client_uid");
    while (rows.step()) {
        probes.repaired({.upstream = rows.text(0),
                         .client_addr = rows.text(1),
                         .client_exe = rows.text(2),
                         .client_uid = rows.integer(3)},
                        Probes::Time(std::chrono::microseconds(rows.integer(4))));
    }
}

void InventoryStore::checkpoint() { db_.prepare("PRAGMA wal_checkpoint(PASSIVE)").run(); }

}  // namespace proxy
