// The tables of the inventory, in SQLite (one proxy's) and in PostgreSQL (a fleet's). Times are
// microseconds since 1970, UTC; 0: never. Empty texts: not known. stored_*.cpp and
// inventory_store.cpp write the first, marks.cpp what people say; fleet.cpp copies it to the
// second, table_reader.cpp reads both.
//
// In a fleet's database every table has the column `proxy` in front of its primary key: the
// `instance` of the SQLite file that the row comes from. Rows hold totals, not increments, so that
// sending one twice changes nothing; sums over proxies are made by whoever reads.
#pragma once

#include <string_view>

namespace proxy {

/// 1: up to 0.1; 2: uid in a client's identity, failures, facts by day, proxies, marks; 3: sessions
/// that stay open, ends without a farewell; 4: the keys of authorities, groups of key exchange; 5:
/// why a client's login failed last; 6: sessions as servers list them.
inline constexpr int inventory_version = 6;

inline constexpr std::string_view inventory_schema = R"sql(
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;  -- instance: a random name of this file

-- One row per client: whoever connects to this upstream from this address (and this user and executable, on this host) with these names.
CREATE TABLE clients (
  id INTEGER PRIMARY KEY,
  upstream TEXT NOT NULL, client_addr TEXT NOT NULL, client_exe TEXT NOT NULL,
  client_uid INTEGER NOT NULL,     -- -1: not of this host, or not known
  usename TEXT NOT NULL, datname TEXT NOT NULL, application_name TEXT NOT NULL,
  listener TEXT NOT NULL,          -- of the last connection
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
  connections INTEGER NOT NULL,    -- that logged in
  plain INTEGER NOT NULL,          -- of these, in clear
  weak_tls INTEGER NOT NULL,       -- of these, below TLS 1.2 or with a cipher that only `legacy` allows
  bridged INTEGER NOT NULL,        -- of these, by the password that the client was asked for
  auth_failed INTEGER NOT NULL,    -- logins that the server or this proxy refused
  failures INTEGER NOT NULL,       -- these, and whatever else ended before ReadyForQuery and after the names were known
  last_failure INTEGER NOT NULL,
  not_probed TEXT NOT NULL,        -- why its last connection was not probed
  auth_method TEXT NOT NULL, version TEXT NOT NULL,  -- of the last connection
  groups TEXT NOT NULL,            -- of the key exchange of its TLS, comma-separated, the last one first
  failure_reason TEXT NOT NULL,    -- of the last of `failures`, as the audit's `reason`; empty: none, or before version 5
  failure_error TEXT NOT NULL,     -- of the same, SQLSTATE and words, as far as there are any
  UNIQUE (upstream, client_addr, client_exe, client_uid, usename, datname, application_name)
);

-- What was seen of a client, by kind and by the certificate that it was shown.
CREATE TABLE evidence (
  client INTEGER NOT NULL REFERENCES clients ON DELETE CASCADE,
  evidence TEXT NOT NULL, certificate TEXT NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,
  session TEXT NOT NULL,           -- the last one, to be looked up in the audit file
  PRIMARY KEY (client, evidence, certificate)
) WITHOUT ROWID;

-- TLS fingerprints of known clients: what a failed handshake, which names nobody, is joined by.
CREATE TABLE fingerprints (
  client INTEGER NOT NULL REFERENCES clients ON DELETE CASCADE,
  ja4 TEXT NOT NULL, sni TEXT NOT NULL, last_seen INTEGER NOT NULL,
  PRIMARY KEY (client, ja4, sni)
) WITHOUT ROWID;

-- Handshakes that came to no StartupMessage.
CREATE TABLE handshakes (
  upstream TEXT NOT NULL, client_addr TEXT NOT NULL, client_exe TEXT NOT NULL, client_uid INTEGER NOT NULL, ja4 TEXT NOT NULL,
  sni TEXT NOT NULL, evidence TEXT NOT NULL, certificate TEXT NOT NULL,
  listener TEXT NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,
  session TEXT NOT NULL, error TEXT NOT NULL,
  PRIMARY KEY (upstream, client_addr, client_exe, client_uid, ja4, sni, evidence, certificate)
) WITHOUT ROWID;

-- What a client did on each day: the facts that no later evidence outweighs. `mode`: "plain", or the TLS version.
CREATE TABLE days (
  day INTEGER NOT NULL,            -- days since 1970, UTC
  client INTEGER NOT NULL REFERENCES clients ON DELETE CASCADE,
  mode TEXT NOT NULL,
  connections INTEGER NOT NULL, weak_tls INTEGER NOT NULL, bridged INTEGER NOT NULL,  -- as in `clients`
  failures INTEGER NOT NULL, auth_failed INTEGER NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,  -- of its connections; of its failures where there are none
  open_until INTEGER NOT NULL,     -- when one of these, in clear or with weak TLS, was last known to be open
  PRIMARY KEY (day, client, mode)
) WITHOUT ROWID;

-- Certificates that servers showed, by address: when each instance moved to a new CA.
CREATE TABLE upstream_certificates (
  upstream TEXT NOT NULL, upstream_addr TEXT NOT NULL, sha256 TEXT NOT NULL,
  subject TEXT NOT NULL, sans TEXT NOT NULL,  -- comma-separated
  issuer TEXT NOT NULL, anchor TEXT NOT NULL, serial TEXT NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,
  candidate_ok INTEGER,            -- 1: sslrootcert_candidate alone would do; NULL: there was none
  candidate_since INTEGER,         -- since when candidate_ok has its value
  issuer_key_id TEXT NOT NULL,     -- by which its issuer tells its own keys apart; empty: it does not say
  anchor_key_sha256 TEXT NOT NULL, -- of the anchor that verified it last, its SubjectPublicKeyInfo; empty: never verified, or seen before version 4
  groups TEXT NOT NULL,            -- of the key exchange with it, comma-separated, the last one first
  PRIMARY KEY (upstream, upstream_addr, sha256)
) WITHOUT ROWID;

-- What probing did to whom (proxy/observation/probe.hpp). The key is what is known before a StartupMessage.
CREATE TABLE probes (
  upstream TEXT NOT NULL, client_addr TEXT NOT NULL, client_exe TEXT NOT NULL, client_uid INTEGER NOT NULL,
  kind TEXT NOT NULL,              -- untrusted, wrong-name, candidate
  shown INTEGER NOT NULL, accepted INTEGER NOT NULL, refused INTEGER NOT NULL,  -- refused: connections that the client lost by it
  last_shown INTEGER NOT NULL, last_refused INTEGER NOT NULL,
  PRIMARY KEY (upstream, client_addr, client_exe, client_uid, kind)
) WITHOUT ROWID;

-- Who wrote this: one row in a proxy's file, one per proxy in a fleet's database.
CREATE TABLE proxies (
  id TEXT PRIMARY KEY,             -- the instance
  name TEXT NOT NULL, version TEXT NOT NULL, listeners TEXT NOT NULL,
  first_seen INTEGER NOT NULL, started INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,      -- renewed every minute, also without clients
  events_dropped INTEGER NOT NULL, -- never counted in any other table
  rows_left_out INTEGER NOT NULL,  -- clients, handshakes and certificates that were forgotten to make room for others
  last_loss INTEGER NOT NULL,      -- when either happened last
  pruned_before INTEGER NOT NULL,  -- what was last seen before is forgotten
  consistent_after INTEGER NOT NULL,  -- [audit] consistent_after, in microseconds
  ended INTEGER NOT NULL,          -- when it stopped and had written all that it knew; 0: it has not
  unclean_ends INTEGER NOT NULL    -- how often it was gone without that
) WITHOUT ROWID;

-- What people said about clients (`pgairlock client`).
CREATE TABLE marks (
  upstream TEXT NOT NULL, client_addr TEXT NOT NULL, client_exe TEXT NOT NULL, client_uid INTEGER NOT NULL,
  usename TEXT NOT NULL, datname TEXT NOT NULL, application_name TEXT NOT NULL,
  seen_by TEXT NOT NULL,           -- the instance whose client this is, where its address is of that host alone; else empty
  accepted INTEGER NOT NULL,       -- 1: as it is
  accepted_until INTEGER NOT NULL, -- 0: without an end
  accepted_state TEXT NOT NULL,    -- what was wrong with it then, comma-separated (proxy/report/report_marks.cpp)
  owner TEXT NOT NULL, reason TEXT NOT NULL, note TEXT NOT NULL,
  repaired_at INTEGER NOT NULL,    -- what was seen until then counts no more
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (upstream, client_addr, client_exe, client_uid, usename, datname, application_name, seen_by)
) WITHOUT ROWID;

-- Sessions at a server as it lists them itself (pg_stat_activity, pg_stat_ssl), looked at every sample_interval.
CREATE TABLE sampled_sessions (
  upstream TEXT NOT NULL, upstream_addr TEXT NOT NULL,  -- the server
  client_addr TEXT NOT NULL,       -- as the server sees it; "local": by its UNIX-domain socket
  usename TEXT NOT NULL, datname TEXT NOT NULL, application_name TEXT NOT NULL,
  version TEXT NOT NULL,           -- of TLS; empty: in clear
  through INTEGER NOT NULL,        -- 1: by this proxy; 0: not
  cipher TEXT NOT NULL, client_dn TEXT NOT NULL,  -- of the last
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
  looks INTEGER NOT NULL,          -- in which there was at least one of them
  sessions INTEGER NOT NULL,       -- different ones
  seen INTEGER NOT NULL,           -- sum over the looks of how many there were
  PRIMARY KEY (upstream, upstream_addr, client_addr, usename, datname, application_name, version, through)
) WITHOUT ROWID;

-- How each server was looked at.
CREATE TABLE sampling (
  upstream TEXT NOT NULL, upstream_addr TEXT NOT NULL,
  first_look INTEGER NOT NULL, last_look INTEGER NOT NULL, looks INTEGER NOT NULL,
  hidden INTEGER NOT NULL,         -- looks in which the role was not shown others' addresses and TLS (no pg_read_all_stats)
  failed INTEGER NOT NULL, last_failure INTEGER NOT NULL,  -- questions without an answer; they are no looks
  error TEXT NOT NULL,             -- of the last of these
  interval INTEGER NOT NULL,       -- sample_interval, of the last
  left_out INTEGER NOT NULL,       -- sessions that were there and are in no row: too many, or whose they are was not known
  proxying INTEGER NOT NULL,       -- 1: by a proxy; 0: by `pgairlock sample`, through which nobody goes
  server_started INTEGER NOT NULL, -- of the last look, by the server's clock: rows with the same one are of one server
  last_hidden INTEGER NOT NULL,    -- the last look of `hidden`
  last_left_out INTEGER NOT NULL,  -- the last look with sessions of `left_out`
  PRIMARY KEY (upstream, upstream_addr)
) WITHOUT ROWID;
)sql";

/// From version 1, in one transaction and without foreign keys: the tables that changed are made
/// anew. What version 1 did not count is not known, and said to be 0; a day's times are the widest
/// that hold it.
inline constexpr std::string_view inventory_from_1_before = R"sql(
ALTER TABLE clients RENAME TO old_clients;
ALTER TABLE evidence RENAME TO old_evidence;
ALTER TABLE fingerprints RENAME TO old_fingerprints;
ALTER TABLE handshakes RENAME TO old_handshakes;
ALTER TABLE days RENAME TO old_days;
ALTER TABLE upstream_certificates RENAME TO old_upstream_certificates;
ALTER TABLE probes RENAME TO old_probes;
ALTER TABLE meta RENAME TO old_meta;
)sql";

inline constexpr std::string_view inventory_from_1_after = R"sql(
INSERT INTO meta SELECT * FROM old_meta;
INSERT INTO clients SELECT id, upstream, client_addr, client_exe, coalesce(client_uid, -1), usename, datname, application_name, listener,
  first_seen, last_seen, connections, plain, weak_tls, bridged, auth_failed, auth_failed, iif(auth_failed > 0, last_seen, 0), '',
  auth_method, version, '', '', '' FROM old_clients;
INSERT INTO evidence SELECT * FROM old_evidence;
INSERT INTO fingerprints SELECT * FROM old_fingerprints;
INSERT INTO handshakes SELECT upstream, client_addr, client_exe, -1, ja4, sni, evidence, certificate, listener, first_seen, last_seen,
  count, session, error FROM old_handshakes;
INSERT INTO days SELECT d.day, d.client, d.mode, d.connections,
  iif(d.mode IN ('SSLv3', 'TLSv1', 'TLSv1.1') OR d.mode = 'TLSv1.2' AND c.weak_tls > 0, d.connections, 0), min(c.bridged, d.connections),
  0, 0, max(d.day * 86400000000, c.first_seen), min((d.day + 1) * 86400000000 - 1, c.last_seen), 0
  FROM old_days d JOIN old_clients c ON c.id = d.client;
INSERT INTO upstream_certificates SELECT *, '', '', '' FROM old_upstream_certificates;
INSERT INTO probes SELECT upstream, client_addr, client_exe, -1, kind, shown, accepted, refused, last_shown, last_refused FROM old_probes;
DROP TABLE old_evidence;
DROP TABLE old_fingerprints;
DROP TABLE old_days;
DROP TABLE old_clients;
DROP TABLE old_handshakes;
DROP TABLE old_upstream_certificates;
DROP TABLE old_probes;
DROP TABLE old_meta;
)sql";

/// From version 2. How its last run ended is not known, and not held against it.
inline constexpr std::string_view inventory_from_2 = R"sql(
ALTER TABLE days ADD open_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE proxies ADD ended INTEGER NOT NULL DEFAULT 1;
ALTER TABLE proxies ADD unclean_ends INTEGER NOT NULL DEFAULT 0;
)sql";

/// From version 3. Which keys there were, nobody has written down.
inline constexpr std::string_view inventory_from_3 = R"sql(
ALTER TABLE clients ADD groups TEXT NOT NULL DEFAULT '';
ALTER TABLE upstream_certificates ADD issuer_key_id TEXT NOT NULL DEFAULT '';
ALTER TABLE upstream_certificates ADD anchor_key_sha256 TEXT NOT NULL DEFAULT '';
ALTER TABLE upstream_certificates ADD groups TEXT NOT NULL DEFAULT '';
)sql";

/// From version 4. Why a login failed, the audit alone has kept until then.
inline constexpr std::string_view inventory_from_4 = R"sql(
ALTER TABLE clients ADD failure_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD failure_error TEXT NOT NULL DEFAULT '';
)sql";

/// From version 5. Nobody looked at the servers' own lists until then.
inline constexpr std::string_view inventory_from_5 = R"sql(CREATE TABLE sampled_sessions (
  upstream TEXT NOT NULL, upstream_addr TEXT NOT NULL,
  client_addr TEXT NOT NULL,
  usename TEXT NOT NULL, datname TEXT NOT NULL, application_name TEXT NOT NULL,
  version TEXT NOT NULL,
  through INTEGER NOT NULL,
  cipher TEXT NOT NULL, client_dn TEXT NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
  looks INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  seen INTEGER NOT NULL,
  PRIMARY KEY (upstream, upstream_addr, client_addr, usename, datname, application_name, version, through)
) WITHOUT ROWID;
CREATE TABLE sampling (
  upstream TEXT NOT NULL, upstream_addr TEXT NOT NULL,
  first_look INTEGER NOT NULL, last_look INTEGER NOT NULL, looks INTEGER NOT NULL,
  hidden INTEGER NOT NULL,
  failed INTEGER NOT NULL, last_failure INTEGER NOT NULL,
  error TEXT NOT NULL,
  interval INTEGER NOT NULL,
  left_out INTEGER NOT NULL,
  proxying INTEGER NOT NULL,
  server_started INTEGER NOT NULL,
  last_hidden INTEGER NOT NULL,
  last_left_out INTEGER NOT NULL,
  PRIMARY KEY (upstream, upstream_addr)
) WITHOUT ROWID;
)sql";

}  // namespace proxy
