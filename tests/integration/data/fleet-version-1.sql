-- The tables that pgairlock 0.1.0 (commit 8b4b91f) makes in a fleet's database.
CREATE TABLE pgairlock.meta (proxy text, key text, value text NOT NULL, PRIMARY KEY (proxy, key));
CREATE TABLE pgairlock.clients (
  proxy text, id bigint,
  upstream text NOT NULL, client_addr text NOT NULL, client_exe text NOT NULL,
  usename text NOT NULL, datname text NOT NULL, application_name text NOT NULL,
  client_uid bigint, listener text NOT NULL, first_seen bigint NOT NULL, last_seen bigint NOT NULL,
  connections bigint NOT NULL, plain bigint NOT NULL, weak_tls bigint NOT NULL, bridged bigint NOT NULL, auth_failed bigint NOT NULL,
  auth_method text NOT NULL, version text NOT NULL,
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
  proxy text, upstream text, client_addr text, client_exe text, ja4 text, sni text, evidence text, certificate text,
  listener text NOT NULL, first_seen bigint NOT NULL, last_seen bigint NOT NULL, count bigint NOT NULL, session text NOT NULL,
  error text NOT NULL,
  PRIMARY KEY (proxy, upstream, client_addr, client_exe, ja4, sni, evidence, certificate));
CREATE TABLE pgairlock.days (
  proxy text, day bigint, client bigint, mode text, connections bigint NOT NULL,
  PRIMARY KEY (proxy, day, client, mode),
  FOREIGN KEY (proxy, client) REFERENCES pgairlock.clients ON DELETE CASCADE);
CREATE INDEX days_client ON pgairlock.days (proxy, client);
CREATE TABLE pgairlock.upstream_certificates (
  proxy text, upstream text, upstream_addr text, sha256 text,
  subject text NOT NULL, sans text NOT NULL, issuer text NOT NULL, anchor text NOT NULL, serial text NOT NULL,
  not_before bigint NOT NULL, not_after bigint NOT NULL, first_seen bigint NOT NULL, last_seen bigint NOT NULL, count bigint NOT NULL,
  candidate_ok bigint, candidate_since bigint,
  PRIMARY KEY (proxy, upstream, upstream_addr, sha256));
CREATE TABLE pgairlock.probes (
  proxy text, upstream text, client_addr text, client_exe text, kind text,
  shown bigint NOT NULL, accepted bigint NOT NULL, refused bigint NOT NULL, last_shown bigint NOT NULL, last_refused bigint NOT NULL,
  PRIMARY KEY (proxy, upstream, client_addr, client_exe, kind));
INSERT INTO pgairlock.meta VALUES ('', 'version', '1');
