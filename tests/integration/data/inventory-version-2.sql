-- Written by pgairlock 0.1.0 (commit 767cf8a91e8e), dumped by Python's sqlite3.
PRAGMA user_version = 2;
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
  UNIQUE (upstream, client_addr, client_exe, client_uid, usename, datname, application_name)
);
INSERT INTO "clients" VALUES(1,'orders','127.0.0.1','/usr/bin/python3.11',0,'trust_user','postgres','app','',1795922051403464,1795922053931885,2,1,0,0,0,0,0,'','cert/trust','');
INSERT INTO "clients" VALUES(2,'orders','127.0.0.1','/usr/bin/python3.11',0,'trust_user','postgres','other','',1795922051454950,1795922053925574,1,1,0,0,0,0,0,'','cert/trust','');
CREATE TABLE days (
  day INTEGER NOT NULL,            -- days since 1970, UTC
  client INTEGER NOT NULL REFERENCES clients ON DELETE CASCADE,
  mode TEXT NOT NULL,
  connections INTEGER NOT NULL, weak_tls INTEGER NOT NULL, bridged INTEGER NOT NULL,  -- as in `clients`
  failures INTEGER NOT NULL, auth_failed INTEGER NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,  -- of its connections; of its failures where there are none
  PRIMARY KEY (day, client, mode)
) WITHOUT ROWID;
INSERT INTO "days" VALUES(20786,1,'TLSv1.3',1,0,0,0,0,1795922051403464,1795922051403464);
INSERT INTO "days" VALUES(20786,1,'plain',1,0,0,0,0,1795922051427975,1795922051427975);
INSERT INTO "days" VALUES(20786,2,'plain',1,0,0,0,0,1795922051454950,1795922051454950);
CREATE TABLE evidence (
  client INTEGER NOT NULL REFERENCES clients ON DELETE CASCADE,
  evidence TEXT NOT NULL, certificate TEXT NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,
  session TEXT NOT NULL,           -- the last one, to be looked up in the audit file
  PRIMARY KEY (client, evidence, certificate)
) WITHOUT ROWID;
INSERT INTO "evidence" VALUES(1,'clear_startup','',1795922051427975,1795922053931885,1,'');
INSERT INTO "evidence" VALUES(1,'tls_startup','/tmp/pgairlock-ckw68ezc/pki/05-proxy.front.crt 8059fe23e1efb75e',1795922051403464,1795922051403464,1,'34dbfb7e1cbf-1');
INSERT INTO "evidence" VALUES(2,'clear_startup','',1795922051454950,1795922053925574,1,'');
CREATE TABLE fingerprints (
  client INTEGER NOT NULL REFERENCES clients ON DELETE CASCADE,
  ja4 TEXT NOT NULL, sni TEXT NOT NULL, last_seen INTEGER NOT NULL,
  PRIMARY KEY (client, ja4, sni)
) WITHOUT ROWID;
INSERT INTO "fingerprints" VALUES(1,'t13d311100_e8f1e7e78f70_d41ae481755e','localhost',1795922051403464);
CREATE TABLE handshakes (
  upstream TEXT NOT NULL, client_addr TEXT NOT NULL, client_exe TEXT NOT NULL, client_uid INTEGER NOT NULL, ja4 TEXT NOT NULL,
  sni TEXT NOT NULL, evidence TEXT NOT NULL, certificate TEXT NOT NULL,
  listener TEXT NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,
  session TEXT NOT NULL, error TEXT NOT NULL,
  PRIMARY KEY (upstream, client_addr, client_exe, client_uid, ja4, sni, evidence, certificate)
) WITHOUT ROWID;
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
INSERT INTO "meta" VALUES('instance','3e2151afb107b0dc');
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
  rows_left_out INTEGER NOT NULL,  -- clients and handshakes that were forgotten to make room for others
  last_loss INTEGER NOT NULL,      -- when either happened last
  pruned_before INTEGER NOT NULL,  -- what was last seen before is forgotten
  consistent_after INTEGER NOT NULL  -- [audit] consistent_after, in microseconds
) WITHOUT ROWID;
INSERT INTO "proxies" VALUES('3e2151afb107b0dc','vm','0.1.0','legacy 127.0.0.1:0',1795922051364361,1795922051364361,1795922051365531,0,0,0,0,2592000000000);
CREATE TABLE upstream_certificates (
  upstream TEXT NOT NULL, upstream_addr TEXT NOT NULL, sha256 TEXT NOT NULL,
  subject TEXT NOT NULL, sans TEXT NOT NULL,  -- comma-separated
  issuer TEXT NOT NULL, anchor TEXT NOT NULL, serial TEXT NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,
  candidate_ok INTEGER,            -- 1: sslrootcert_candidate alone would do; NULL: there was none
  candidate_since INTEGER,         -- since when candidate_ok has its value
  PRIMARY KEY (upstream, upstream_addr, sha256)
) WITHOUT ROWID;
INSERT INTO "upstream_certificates" VALUES('orders','127.0.0.1:59175','0c7edf74e3a27d23b56c114f4d072304362035a8772678076b95d5e9c9680abc','CN=server.new','DNS:localhost,IP:127.0.0.1,IP:::1','CN=Test New CA','CN=Test New CA','4d26f746ab013cbf1b8fa55cad86281b5fe82f2d',1795835649000000,1827458049000000,1795922051403464,1795922051454950,3,NULL,NULL);
COMMIT;
