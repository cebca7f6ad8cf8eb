-- The tables of version 5 in a fleet's database.
CREATE TABLE pgairlock.meta (proxy text, key text, value text NOT NULL, PRIMARY KEY (proxy, key));
CREATE TABLE pgairlock.clients (
  proxy text, id bigint,
  upstream text NOT NULL, client_addr text NOT NULL, client_exe text NOT NULL, client_uid bigint NOT NULL,
  usename text NOT NULL, datname text NOT NULL, application_name text NOT NULL,
  listener text NOT NULL, first_seen bigint NOT NULL, last_seen bigint NOT NULL,
  connections bigint NOT NULL, plain bigint NOT NULL, weak_tls bigint NOT NULL, bridged bigint NOT NULL, auth_failed bigint NOT NULL,
  failures bigint NOT NULL, last_failure bigint NOT NULL, not_probed text NOT NULL,
  auth_method text NOT NULL, version text NOT NULL, groups text NOT NULL, failure_reason text NOT NULL, failure_error text NOT NULL,
  PRIMARY KEY (proxy, id));
CREATE TABLE pgairlock.evidence (
  proxy text, client bigint, evidence text, certificate text,
  first_seen bigint NOT NULL, last_seen bigint NOT NULL, count bigint NOT NULL, session text NOT NULL,
  PRIMARY KEY (proxy, client, evidence, certificate),
  FOREIGN KEY (proxy, client) REFERENCES pgairlock.clients ON DELETE CASCADE);
CREATE TABLE pgairlock.fingerprints (
  proxy text, client bigint, ja4 text, sni text, last_seen bigint NOT NULL,
  PRIMARY KEY (proxy, client, ja4, sni),
  FOREIGN KEY (proxy, client) REFERENCES pgairlock.clients ON DELETE CASCADE);
CREATE TABLE pgairlock.handshakes (
  proxy text, upstream text, client_addr text, client_exe text, client_uid bigint, ja4 text, sni text, evidence text, certificate text,
  listener text NOT NULL, first_seen bigint NOT NULL, last_seen bigint NOT NULL, count bigint NOT NULL, session text NOT NULL,
  error text NOT NULL,
  PRIMARY KEY (proxy, upstream, client_addr, client_exe, client_uid, ja4, sni, evidence, certificate));
CREATE TABLE pgairlock.days (
  proxy text, day bigint, client bigint, mode text,
  connections bigint NOT NULL, weak_tls bigint NOT NULL, bridged bigint NOT NULL, failures bigint NOT NULL, auth_failed bigint NOT NULL,
  first_seen bigint NOT NULL, last_seen bigint NOT NULL, open_until bigint NOT NULL,
  PRIMARY KEY (proxy, day, client, mode),
  FOREIGN KEY (proxy, client) REFERENCES pgairlock.clients ON DELETE CASCADE);
CREATE INDEX days_client ON pgairlock.days (proxy, client);
CREATE TABLE pgairlock.upstream_certificates (
  proxy text, upstream text, upstream_addr text, sha256 text,
  subject text NOT NULL, sans text NOT NULL, issuer text NOT NULL, anchor text NOT NULL, serial text NOT NULL,
  not_before bigint NOT NULL, not_after bigint NOT NULL, first_seen bigint NOT NULL, last_seen bigint NOT NULL, count bigint NOT NULL,
  candidate_ok bigint, candidate_since bigint,
  issuer_key_id text NOT NULL, anchor_key_sha256 text NOT NULL, groups text NOT NULL,
  PRIMARY KEY (proxy, upstream, upstream_addr, sha256));
CREATE TABLE pgairlock.probes (
  proxy text, upstream text, client_addr text, client_exe text, client_uid bigint, kind text,
  shown bigint NOT NULL, accepted bigint NOT NULL, refused bigint NOT NULL, last_shown bigint NOT NULL, last_refused bigint NOT NULL,
  PRIMARY KEY (proxy, upstream, client_addr, client_exe, client_uid, kind));
CREATE TABLE pgairlock.proxies (
  proxy text, id text, name text NOT NULL, version text NOT NULL, listeners text NOT NULL,
  first_seen bigint NOT NULL, started bigint NOT NULL, last_seen bigint NOT NULL,
  events_dropped bigint NOT NULL, rows_left_out bigint NOT NULL, last_loss bigint NOT NULL, pruned_before bigint NOT NULL, consistent_after bigint NOT NULL,
  ended bigint NOT NULL, unclean_ends bigint NOT NULL,
  PRIMARY KEY (proxy, id));
CREATE TABLE pgairlock.marks (
  proxy text, upstream text, client_addr text, client_exe text, client_uid bigint, usename text, datname text, application_name text,
  seen_by text,
  accepted bigint NOT NULL, accepted_until bigint NOT NULL, accepted_state text NOT NULL, owner text NOT NULL, reason text NOT NULL, note text NOT NULL,
  repaired_at bigint NOT NULL, changed_at bigint NOT NULL,
  PRIMARY KEY (proxy, upstream, client_addr, client_exe, client_uid, usename, datname, application_name, seen_by));
INSERT INTO pgairlock.meta VALUES ('', 'version', '5');
