// The tables of the inventory, in SQLite (one proxy's) and in PostgreSQL (a fleet's). Times are
// microseconds since 1970, UTC. Empty texts: not known. inventory_store.cpp writes the first,
// fleet.cpp copies it to the second, inventory_reader.cpp reads both.
//
// In a fleet's database every table has the column `proxy` in front of its primary key: the
// `instance` of the SQLite file that the row comes from. Rows hold totals, not increments, so that
// sending one twice changes nothing; sums over proxies are made by whoever reads.
#pragma once

#include <string_view>

namespace proxy {

inline constexpr int inventory_version = 1;

inline constexpr std::string_view inventory_schema = R"sql(
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;  -- instance: a random name of this file

-- One row per client: whoever connects to this upstream from this address (and this executable, on this host) with these names.
CREATE TABLE clients (
  id INTEGER PRIMARY KEY,
  upstream TEXT NOT NULL, client_addr TEXT NOT NULL, client_exe TEXT NOT NULL,
  usename TEXT NOT NULL, datname TEXT NOT NULL, application_name TEXT NOT NULL,
  client_uid INTEGER,              -- of the last connection; NULL: not known
  listener TEXT NOT NULL,          -- of the last connection
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
  connections INTEGER NOT NULL,    -- that logged in
  plain INTEGER NOT NULL,          -- of these, in clear
  weak_tls INTEGER NOT NULL,       -- of these, below TLS 1.2 or with a cipher that only `legacy` allows
  bridged INTEGER NOT NULL,        -- of these, by the password that the client was asked for
  auth_failed INTEGER NOT NULL,    -- logins refused
  auth_method TEXT NOT NULL, version TEXT NOT NULL,  -- of the last connection
  UNIQUE (upstream, client_addr, client_exe, usename, datname, application_name)
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
  upstream TEXT NOT NULL, client_addr TEXT NOT NULL, client_exe TEXT NOT NULL, ja4 TEXT NOT NULL, sni TEXT NOT NULL,
  evidence TEXT NOT NULL, certificate TEXT NOT NULL,
  listener TEXT NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,
  session TEXT NOT NULL, error TEXT NOT NULL,
  PRIMARY KEY (upstream, client_addr, client_exe, ja4, sni, evidence, certificate)
) WITHOUT ROWID;

-- Connections by day: how modes change over time. `mode`: "plain", or the TLS version.
CREATE TABLE days (
  day INTEGER NOT NULL,            -- days since 1970, UTC
  client INTEGER NOT NULL REFERENCES clients ON DELETE CASCADE,
  mode TEXT NOT NULL, connections INTEGER NOT NULL,
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
  PRIMARY KEY (upstream, upstream_addr, sha256)
) WITHOUT ROWID;

-- What probing did to whom (proxy/observation/probe.hpp). The key is what is known before a StartupMessage.
CREATE TABLE probes (
  upstream TEXT NOT NULL, client_addr TEXT NOT NULL, client_exe TEXT NOT NULL,
  kind TEXT NOT NULL,              -- untrusted, wrong-name, candidate
  shown INTEGER NOT NULL, accepted INTEGER NOT NULL, refused INTEGER NOT NULL,  -- refused: connections that the client lost by it
  last_shown INTEGER NOT NULL, last_refused INTEGER NOT NULL,  -- 0: never
  PRIMARY KEY (upstream, client_addr, client_exe, kind)
) WITHOUT ROWID;
)sql";

}  // namespace proxy
