// The tables of proxy/inventory/inventory_schema.hpp in a fleet's PostgreSQL: what they mean is
// said there. `proxy`: the instance of the SQLite file that a row comes from.
#pragma once

#include <string_view>

namespace proxy {

/// Each is one statement. `meta` holds the version, under no proxy.
inline constexpr std::string_view fleet_schema[] = {
    R"sql(CREATE TABLE pgairlock.meta (proxy text, key text, value text NOT NULL, PRIMARY KEY (proxy, key)))sql",
    R"sql(CREATE TABLE pgairlock.clients (
  proxy text, id bigint,
  upstream text NOT NULL, client_addr text NOT NULL, client_exe text NOT NULL,
  usename text NOT NULL, datname text NOT NULL, application_name text NOT NULL,
  client_uid bigint, listener text NOT NULL, first_seen bigint NOT NULL, last_seen bigint NOT NULL,
  connections bigint NOT NULL, plain bigint NOT NULL, weak_tls bigint NOT NULL, bridged bigint NOT NULL, auth_failed bigint NOT NULL,
  auth_method text NOT NULL, version text NOT NULL,
  PRIMARY KEY (proxy, id)))sql",
    R"sql(CREATE TABLE pgairlock.evidence (
  proxy text, client bigint, evidence text, certificate text,
  first_seen bigint NOT NULL, last_seen bigint NOT NULL, count bigint NOT NULL, session text NOT NULL,
  PRIMARY KEY (proxy, client, evidence, certificate),
  FOREIGN KEY (proxy, client) REFERENCES pgairlock.clients ON DELETE CASCADE))sql",
    R"sql(CREATE TABLE pgairlock.fingerprints (
  proxy text, client bigint, ja4 text, sni text, last_seen bigint NOT NULL,
  PRIMARY KEY (proxy, client, ja4, sni),
  FOREIGN KEY (proxy, client) REFERENCES pgairlock.clients ON DELETE CASCADE))sql",
    R"sql(CREATE TABLE pgairlock.handshakes (
  proxy text, upstream text, client_addr text, client_exe text, ja4 text, sni text, evidence text, certificate text,
  listener text NOT NULL, first_seen bigint NOT NULL, last_seen bigint NOT NULL, count bigint NOT NULL, session text NOT NULL,
  error text NOT NULL,
  PRIMARY KEY (proxy, upstream, client_addr, client_exe, ja4, sni, evidence, certificate)))sql",
    R"sql(CREATE TABLE pgairlock.days (
  proxy text, day bigint, client bigint, mode text, connections bigint NOT NULL,
  PRIMARY KEY (proxy, day, client, mode),
  FOREIGN KEY (proxy, client) REFERENCES pgairlock.clients ON DELETE CASCADE))sql",
    R"sql(CREATE INDEX days_client ON pgairlock.days (proxy, client))sql",
    R"sql(CREATE TABLE pgairlock.upstream_certificates (
  proxy text, upstream text, upstream_addr text, sha256 text,
  subject text NOT NULL, sans text NOT NULL, issuer text NOT NULL, anchor text NOT NULL, serial text NOT NULL,
  not_before bigint NOT NULL, not_after bigint NOT NULL, first_seen bigint NOT NULL, last_seen bigint NOT NULL, count bigint NOT NULL,
  candidate_ok bigint, candidate_since bigint,
  PRIMARY KEY (proxy, upstream, upstream_addr, sha256)))sql",
    R"sql(CREATE TABLE pgairlock.probes (
  proxy text, upstream text, client_addr text, client_exe text, kind text,
  shown bigint NOT NULL, accepted bigint NOT NULL, refused bigint NOT NULL, last_shown bigint NOT NULL, last_refused bigint NOT NULL,
  PRIMARY KEY (proxy, upstream, client_addr, client_exe, kind)))sql",
};

}  // namespace proxy
