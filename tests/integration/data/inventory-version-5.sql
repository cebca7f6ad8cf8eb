-- The tables of version 5, with what inventory-version-4.sql has, and why that client's logins fail.
PRAGMA user_version = 5;
BEGIN TRANSACTION;
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
INSERT INTO "clients" VALUES(1,'orders','127.0.0.1','/usr/bin/python3.11',0,'trust_user','postgres','in clear','legacy',1796026148357991,1796026148372455,1,1,0,0,0,0,0,'','cert/trust','','','','');
INSERT INTO "clients" VALUES(2,'orders','127.0.0.1','/usr/bin/python3.11',0,'trust_user','postgres','verifies','legacy',1796026148425981,1796026148485983,2,0,0,0,0,0,0,'off','cert/trust','TLSv1.3','X25519','','');
INSERT INTO "clients" VALUES(90,'orders','127.0.0.1','/usr/bin/python3.11',0,'typo','postgres','never','legacy',1796026148357991,1796026148372455,0,0,0,0,3,3,1796026148372455,'','cert/trust','','','server_denied','28000: no such role');
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
INSERT INTO "days" VALUES(20787,1,'plain',1,0,0,0,0,1796026148357991,1796026148357991,1796026148372455);
INSERT INTO "days" VALUES(20787,2,'TLSv1.3',2,0,0,0,0,1796026148425981,1796026148485983,0);
INSERT INTO "days" VALUES(20787,90,'plain',0,0,0,3,3,1796026148357991,1796026148357991,0);
CREATE TABLE evidence (
  client INTEGER NOT NULL REFERENCES clients ON DELETE CASCADE,
  evidence TEXT NOT NULL, certificate TEXT NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,
  session TEXT NOT NULL,           -- the last one, to be looked up in the audit file
  PRIMARY KEY (client, evidence, certificate)
) WITHOUT ROWID;
INSERT INTO "evidence" VALUES(1,'clear_startup','',1796026148357991,1796026148372455,1,'d1abb4229548-1');
INSERT INTO "evidence" VALUES(90,'clear_startup','',1796026148357991,1796026148372455,1,'d1abb4229548-1');
INSERT INTO "evidence" VALUES(2,'tls_startup','/etc/pgairlock/front.crt 5f665da6d295dbd0',1796026148425981,1796026148485983,2,'d1abb4229548-3');
CREATE TABLE fingerprints (
  client INTEGER NOT NULL REFERENCES clients ON DELETE CASCADE,
  ja4 TEXT NOT NULL, sni TEXT NOT NULL, last_seen INTEGER NOT NULL,
  PRIMARY KEY (client, ja4, sni)
) WITHOUT ROWID;
INSERT INTO "fingerprints" VALUES(2,'t13d311100_e8f1e7e78f70_d41ae481755e','localhost',1796026148485983);
CREATE TABLE handshakes (
  upstream TEXT NOT NULL, client_addr TEXT NOT NULL, client_exe TEXT NOT NULL, client_uid INTEGER NOT NULL, ja4 TEXT NOT NULL,
  sni TEXT NOT NULL, evidence TEXT NOT NULL, certificate TEXT NOT NULL,
  listener TEXT NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,
  session TEXT NOT NULL, error TEXT NOT NULL,
  PRIMARY KEY (upstream, client_addr, client_exe, client_uid, ja4, sni, evidence, certificate)
) WITHOUT ROWID;
INSERT INTO "handshakes" VALUES('orders','127.0.0.1','/usr/bin/python3.11',0,'t13d311100_e8f1e7e78f70_d41ae481755e','localhost','tls_refused','/etc/pgairlock/front.crt 5f665da6d295dbd0','legacy',1796026148513274,1796026148513274,1,'d1abb4229548-4','alert unknown_ca (48)');
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
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('instance','c7e8c321bc2b2b63');
CREATE TABLE probes (
  upstream TEXT NOT NULL, client_addr TEXT NOT NULL, client_exe TEXT NOT NULL, client_uid INTEGER NOT NULL,
  kind TEXT NOT NULL,              -- untrusted, wrong-name, candidate
  shown INTEGER NOT NULL, accepted INTEGER NOT NULL, refused INTEGER NOT NULL,  -- refused: connections that the client lost by it
  last_shown INTEGER NOT NULL, last_refused INTEGER NOT NULL,
  PRIMARY KEY (upstream, client_addr, client_exe, client_uid, kind)
) WITHOUT ROWID;
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
INSERT INTO "proxies" VALUES('c7e8c321bc2b2b63','vm','0.1.0','legacy 127.0.0.1:0',1796026148294554,1796026148294554,1796026150611856,0,0,0,0,2592000000000,1796026150611856,0);
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
INSERT INTO "upstream_certificates" VALUES('orders','127.0.0.1:53395','2451e712559410a1de0858fa6e9f7cc3fe775f231726d3aee1d4d28745e6e678','CN=server.new','DNS:localhost,IP:127.0.0.1,IP:::1','CN=Test New CA','CN=Test New CA','52e00769f74ebceb93026c287786a29d6722e9ef',1795939740000000,1827562140000000,1796026148357991,1796026148485983,3,NULL,NULL,'6f1e','abababababababababababababababababababababababababababababababab','X25519');
COMMIT;
