#include "proxy/inventory/stored_samples.hpp"

#include "proxy/inventory/name_pattern.hpp"

namespace proxy {
namespace {

/// Some 15 MiB.
constexpr std::int64_t max_sampled = 50'000;
/// As those of clients: more application names of one user of a database than that come from a
/// pattern, and where patterns are as many, from something else that never repeats.
constexpr std::int64_t max_sampled_names = 100;
constexpr std::int64_t max_sampled_patterns = 2 * max_sampled_names;
constexpr std::string_view other_sampled_names = "#";

std::int64_t flag(bool value) { return value ? 1 : 0; }

}  // namespace

StoredSamples::StoredSamples(Sqlite& db, ForgottenRows& forgotten) : db_(db), forgotten_(forgotten) {
    rows_ = committed_rows_ = count();
    find_ = db_.prepare(
        "SELECT 1 FROM sampled_sessions WHERE upstream = ? AND upstream_addr = ? AND client_addr = ? AND usename = ? "
        "AND datname = ? AND application_name = ? AND version = ? AND through = ?");
    count_names_ = db_.prepare(
        "SELECT count(DISTINCT application_name) FROM sampled_sessions WHERE upstream = ? AND upstream_addr = ? AND "
        "client_addr = ? AND usename = ? AND datname = ?");
    // 9007199254740991: max_sampled_sum.
    // Names that have become one are one in each look: there are no more looks than the server's.
    put_ = db_.prepare(R"sql(
INSERT INTO sampled_sessions (upstream, upstream_addr, client_addr, usename, datname, application_name, version, through, cipher, client_dn,
                              first_seen, last_seen, looks, sessions, seen)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
ON CONFLICT (upstream, upstream_addr, client_addr, usename, datname, application_name, version, through) DO UPDATE SET
  cipher = iif(excluded.last_seen >= last_seen, excluded.cipher, cipher),
  client_dn = iif(excluded.last_seen >= last_seen, excluded.client_dn, client_dn),
  first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen),
  looks = min(looks + excluded.looks,
              coalesce((SELECT s.looks FROM sampling s WHERE s.upstream = ?1 AND s.upstream_addr = ?2), looks + excluded.looks)),
  sessions = min(sessions + excluded.sessions, 9007199254740991), seen = min(seen + excluded.seen, 9007199254740991))sql");
    put_server_ = db_.prepare(R"sql(
INSERT INTO sampling (upstream, upstream_addr, first_look, last_look, looks, hidden, failed, last_failure, error, interval, left_out, proxying,
                      server_started, last_hidden, last_left_out)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (upstream, upstream_addr) DO UPDATE SET
  first_look = iif(looks = 0, excluded.first_look, iif(excluded.looks = 0, first_look, min(first_look, excluded.first_look))),
  server_started = iif(excluded.looks > 0 AND excluded.last_look >= last_look, excluded.server_started, server_started),
  last_look = max(last_look, excluded.last_look), looks = looks + excluded.looks, hidden = hidden + excluded.hidden,
  error = iif(excluded.failed > 0 AND excluded.last_failure >= last_failure, excluded.error, error),
  failed = failed + excluded.failed, last_failure = max(last_failure, excluded.last_failure),
  interval = excluded.interval, left_out = min(left_out + excluded.left_out, 9007199254740991), proxying = excluded.proxying,
  last_hidden = max(last_hidden, excluded.last_hidden), last_left_out = max(last_left_out, excluded.last_left_out))sql");
}

std::int64_t StoredSamples::count() { return db_.integer("SELECT count(*) FROM sampled_sessions"); }

void StoredSamples::write(const ServerKey& server, const SamplingChange& change) {
    put_server_
        .with(server.upstream, server.upstream_addr, change.looks > 0 ? change.first_look : Timestamp{0},
              change.last_look, change.looks, change.hidden, change.failed, change.last_failure, change.error,
              change.interval, change.left_out, flag(change.proxying), change.server_started, change.last_hidden,
              change.last_left_out)
        .run();
}

void StoredSamples::write(const SampledKey& key, const SampledChange& change) {
    const SampledKey stored{key.server, stored_kind(key)};
    const bool known = is_known(stored);
    if (!known && rows_ >= max_sampled) make_room();
    if (!known) ++rows_;
    const SampledKind& kind = stored.kind;
    put_.with(key.server.upstream, key.server.upstream_addr, kind.client_addr, kind.usename, kind.datname,
              kind.application_name, kind.version, flag(kind.through), change.cipher, change.client_dn, change.first,
              change.last, change.looks, change.sessions, change.seen)
        .run();
}

bool StoredSamples::is_known(const SampledKey& key) {
    find_.with(key.server.upstream, key.server.upstream_addr, key.kind.client_addr, key.kind.usename, key.kind.datname,
               key.kind.application_name, key.kind.version, flag(key.kind.through));
    const bool known = find_.step();
    find_.reset();
    return known;
}

/// As StoredClients does it with its own.
SampledKind StoredSamples::stored_kind(const SampledKey& key) {
    SampledKind stored = key.kind;
    if (is_known(key)) return stored;
    count_names_.with(key.server.upstream, key.server.upstream_addr, stored.client_addr, stored.usename, stored.datname)
        .step();
    const std::int64_t names = count_names_.integer(0);
    count_names_.reset();
    if (names >= max_sampled_names) stored.application_name = name_pattern(key.kind.application_name);
    if (names >= max_sampled_patterns && !is_known({key.server, stored})) stored.application_name = other_sampled_names;
    return stored;
}

/// Of the server that has most, so that none pushes out another's: those that came through us
/// first, which `clients` has; of the others those in clear last; of these the least recently seen.
void StoredSamples::make_room() {
    db_.prepare(R"sql(
DELETE FROM sampled_sessions WHERE (upstream, upstream_addr, client_addr, usename, datname, application_name, version, through) IN (
  SELECT upstream, upstream_addr, client_addr, usename, datname, application_name, version, through FROM sampled_sessions
  WHERE (upstream, upstream_addr) = (SELECT upstream, upstream_addr FROM sampled_sessions GROUP BY 1, 2 ORDER BY count(*) DESC LIMIT 1)
  ORDER BY through DESC, version = '', last_seen, seen LIMIT ?))sql")
        .with(made_room_at_once)
        .run();
    forgotten_.add(db_.integer("SELECT changes()"));
    rows_ = count();
}

}  // namespace proxy
