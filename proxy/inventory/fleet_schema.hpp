// The tables of proxy/inventory/inventory_schema.hpp in a fleet's PostgreSQL: what they mean is
// said there. `proxy`: the instance of the SQLite file that a row comes from. In `marks` it is
// empty where `pgairlock client` wrote to this database itself.
#pragma once

#include <string_view>

namespace proxy {

inline constexpr std::string_view fleet_proxies = R"sql(CREATE TABLE pgairlock.proxies (
  proxy text, id text, name text NOT NULL, version text NOT NULL, listeners text NOT NULL,
  first_seen bigint NOT NULL, started bigint NOT NULL, last_seen bigint NOT NULL,
  events_dropped bigint NOT NULL, rows_left_out bigint NOT NULL, last_loss bigint NOT NULL, pruned_before bigint NOT NULL, consistent_after bigint NOT NULL,
  ended bigint NOT NULL, unclean_ends bigint NOT NULL,
  PRIMARY KEY (proxy, id)))sql";
inline constexpr std::string_view fleet_marks = R"sql(CREATE TABLE pgairlock.marks (
  proxy text, upstream text, client_addr text, client_exe text, client_uid bigint, usename text, datname text, application_name text,
  seen_by text,
  accepted bigint NOT NULL, accepted_until bigint NOT NULL, accepted_state text NOT NULL, owner text NOT NULL, reason text NOT NULL, note text NOT NULL,
  repaired_at bigint NOT NULL, changed_at bigint NOT NULL,
  PRIMARY KEY (proxy, upstream, client_addr, client_exe, client_uid, usename, datname, application_name, seen_by)))sql";

inline constexpr std::string_view fleet_sampled_sessions = R"sql(CREATE TABLE pgairlock.sampled_sessions (
  proxy text, upstream text, upstream_addr text, client_addr text, usename text, datname text, application_name text, version text,
  through bigint, cipher text NOT NULL, client_dn text NOT NULL, first_seen bigint NOT NULL, last_seen bigint NOT NULL,
  looks bigint NOT NULL, sessions bigint NOT NULL, seen bigint NOT NULL,
  PRIMARY KEY (proxy, upstream, upstream_addr, client_addr, usename, datname, application_name, version, through)))sql";
inline constexpr std::string_view fleet_sampling = R"sql(CREATE TABLE pgairlock.sampling (
  proxy text, upstream text, upstream_addr text,
  first_look bigint NOT NULL, last_look bigint NOT NULL, looks bigint NOT NULL, hidden bigint NOT NULL,
  failed bigint NOT NULL, last_failure bigint NOT NULL, error text NOT NULL,
  interval bigint NOT NULL, left_out bigint NOT NULL, proxying bigint NOT NULL,
  server_started bigint NOT NULL, last_hidden bigint NOT NULL, last_left_out bigint NOT NULL,
  PRIMARY KEY (proxy, upstream, upstream_addr)))sql";

/// Each is one statement. `meta` holds the version, under no proxy.
inline constexpr std::string_view fleet_schema[] = {
    R"sql(CREATE TABLE pgairlock.meta (proxy text, key text, value text NOT NULL, PRIMARY KEY (proxy, key)))sql",
    R"sql(CREATE TABLE pgairlock.clients (
  proxy text, id bigint,
  upstream text NOT NULL, client_addr text NOT NULL, client_exe text NOT NULL, client_uid bigint NOT NULL,
  usename text NOT NULL, datname text NOT NULL, application_name text NOT NULL,
  listener text NOT NULL, first_seen bigint NOT NULL, last_seen bigint NOT NULL,
  connections bigint NOT NULL, plain bigint NOT NULL, weak_tls bigint NOT NULL, bridged bigint NOT NULL, auth_failed bigint NOT NULL,
  failures bigint NOT NULL, last_failure bigint NOT NULL, not_probed text NOT NULL,
  auth_method text NOT NULL, version text NOT NULL, groups text NOT NULL, failure_reason text NOT NULL, failure_error text NOT NULL,
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
  proxy text, upstream text, client_addr text, client_exe text, client_uid bigint, ja4 text, sni text, evidence text, certificate text,
  listener text NOT NULL, first_seen bigint NOT NULL, last_seen bigint NOT NULL, count bigint NOT NULL, session text NOT NULL,
  error text NOT NULL,
  PRIMARY KEY (proxy, upstream, client_addr, client_exe, client_uid, ja4, sni, evidence, certificate)))sql",
    R"sql(CREATE TABLE pgairlock.days (
  proxy text, day bigint, client bigint, mode text,
  connections bigint NOT NULL, weak_tls bigint NOT NULL, bridged bigint NOT NULL, failures bigint NOT NULL, auth_failed bigint NOT NULL,
  first_seen bigint NOT NULL, last_seen bigint NOT NULL, open_until bigint NOT NULL,
  PRIMARY KEY (proxy, day, client, mode),
  FOREIGN KEY (proxy, client) REFERENCES pgairlock.clients ON DELETE CASCADE))sql",
    R"sql(CREATE INDEX days_client ON pgairlock.days (proxy, client))sql",
    R"sql(CREATE TABLE pgairlock.upstream_certificates (
  proxy text, upstream text, upstream_addr text, sha256 text,
  subject text NOT NULL, sans text NOT NULL, issuer text NOT NULL, anchor text NOT NULL, serial text NOT NULL,
  not_before bigint NOT NULL, not_after bigint NOT NULL, first_seen bigint NOT NULL, last_seen bigint NOT NULL, count bigint NOT NULL,
  candidate_ok bigint, candidate_since bigint,
  issuer_key_id text NOT NULL, anchor_key_sha256 text NOT NULL, groups text NOT NULL,
  PRIMARY KEY (proxy, upstream, upstream_addr, sha256)))sql",
    R"sql(CREATE TABLE pgairlock.probes (
  proxy text, upstream text, client_addr text, client_exe text, client_uid bigint, kind text,
  shown bigint NOT NULL, accepted bigint NOT NULL, refused bigint NOT NULL, last_shown bigint NOT NULL, last_refused bigint NOT NULL,
  PRIMARY KEY (proxy, upstream, client_addr, client_exe, client_uid, kind)))sql",
    fleet_proxies,
    fleet_marks,
    fleet_sampled_sessions,
    fleet_sampling,
};

/// From version 1 to 3: what it did not count is not known, and said to be 0. A proxy of an older
/// version that connects from now on keeps its rows, and sends them once it was updated. One that
/// is connected goes on until it connects anew, where keys are what they were: what it does not
/// write has a default.
inline constexpr std::string_view fleet_from_1[] = {
    "UPDATE pgairlock.clients SET client_uid = -1 WHERE client_uid IS NULL",
    "ALTER TABLE pgairlock.clients ALTER client_uid SET NOT NULL, ADD failures bigint NOT NULL DEFAULT 0, "
    "ADD last_failure bigint NOT NULL DEFAULT 0, ADD not_probed text NOT NULL DEFAULT ''",
    "UPDATE pgairlock.clients SET failures = auth_failed, last_failure = last_seen WHERE auth_failed > 0",
    "ALTER TABLE pgairlock.handshakes DROP CONSTRAINT handshakes_pkey, ADD client_uid bigint DEFAULT -1, "
    "ADD PRIMARY KEY (proxy, upstream, client_addr, client_exe, client_uid, ja4, sni, evidence, certificate)",
    "ALTER TABLE pgairlock.probes DROP CONSTRAINT probes_pkey, ADD client_uid bigint DEFAULT -1, "
    "ADD PRIMARY KEY (proxy, upstream, client_addr, client_exe, client_uid, kind)",
    "ALTER TABLE pgairlock.days ADD weak_tls bigint NOT NULL DEFAULT 0, ADD bridged bigint NOT NULL DEFAULT 0, "
    "ADD failures bigint NOT NULL DEFAULT 0, ADD auth_failed bigint NOT NULL DEFAULT 0, "
    "ADD first_seen bigint NOT NULL DEFAULT 0, ADD last_seen bigint NOT NULL DEFAULT 0, "
    "ADD open_until bigint NOT NULL DEFAULT 0",
    R"sql(UPDATE pgairlock.days d SET
  weak_tls = CASE WHEN mode IN ('SSLv3', 'TLSv1', 'TLSv1.1') OR mode = 'TLSv1.2' AND c.weak_tls > 0 THEN d.connections ELSE 0 END,
  bridged = least(c.bridged, d.connections), first_seen = greatest(d.day * 86400000000, c.first_seen),
  last_seen = least((d.day + 1) * 86400000000 - 1, c.last_seen)
  FROM pgairlock.clients c WHERE c.proxy = d.proxy AND c.id = d.client)sql",
    fleet_proxies,
    fleet_marks,
};

/// From version 2 to 3.
inline constexpr std::string_view fleet_from_2[] = {
    "ALTER TABLE pgairlock.days ADD open_until bigint NOT NULL DEFAULT 0",
    "ALTER TABLE pgairlock.proxies ADD ended bigint NOT NULL DEFAULT 1, "
    "ADD unclean_ends bigint NOT NULL DEFAULT 0",
};

/// From version 3: which keys there were, nobody has written down.
inline constexpr std::string_view fleet_from_3[] = {
    "ALTER TABLE pgairlock.clients ADD groups text NOT NULL DEFAULT ''",
    "ALTER TABLE pgairlock.upstream_certificates ADD issuer_key_id text NOT NULL DEFAULT '', "
    "ADD anchor_key_sha256 text NOT NULL DEFAULT '', ADD groups text NOT NULL DEFAULT ''",
};

/// From version 4: why a login failed, the audit alone has kept until then.
inline constexpr std::string_view fleet_from_4[] = {
    "ALTER TABLE pgairlock.clients ADD failure_reason text NOT NULL DEFAULT '', "
    "ADD failure_error text NOT NULL DEFAULT ''",
};

/// From version 5: nobody looked at the servers' own lists until then.
inline constexpr std::string_view fleet_from_5[] = {fleet_sampled_sessions, fleet_sampling};

}  // namespace proxy
