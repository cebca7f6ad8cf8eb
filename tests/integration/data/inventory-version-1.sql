-- Written by pgairlock 0.1.0 (commit 8b4b91fa69a1), dumped by Python's sqlite3.
PRAGMA user_version = 1;
BEGIN TRANSACTION;
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
INSERT INTO "clients" VALUES(1,'orders','127.0.0.2','/usr/bin/python3.11','trust_user','postgres','nightly',0,'legacy',1795908350503164,1795908351956227,4,3,0,0,0,'cert/trust','TLSv1.3');
INSERT INTO "clients" VALUES(2,'orders','127.0.0.3','/usr/bin/python3.11','trust_user','postgres','',0,'legacy',1795908350911375,1795908351376003,4,0,0,0,0,'cert/trust','TLSv1.3');
INSERT INTO "clients" VALUES(3,'orders','127.0.0.4','/usr/bin/python3.11','trust_user','postgres','',0,'legacy',1795908351532822,1795908351800335,3,0,0,0,0,'cert/trust','TLSv1.3');
INSERT INTO "clients" VALUES(4,'orders','127.0.0.5','/usr/bin/python3.11','nobody_knows','postgres','',0,'legacy',1795908352056076,1795908352146842,0,0,0,0,2,'','');
CREATE TABLE days (
  day INTEGER NOT NULL,            -- days since 1970, UTC
  client INTEGER NOT NULL REFERENCES clients ON DELETE CASCADE,
  mode TEXT NOT NULL, connections INTEGER NOT NULL,
  PRIMARY KEY (day, client, mode)
) WITHOUT ROWID;
INSERT INTO "days" VALUES(20785,1,'TLSv1.3',1);
INSERT INTO "days" VALUES(20785,1,'plain',3);
INSERT INTO "days" VALUES(20785,2,'TLSv1.3',4);
INSERT INTO "days" VALUES(20785,3,'TLSv1.3',3);
CREATE TABLE evidence (
  client INTEGER NOT NULL REFERENCES clients ON DELETE CASCADE,
  evidence TEXT NOT NULL, certificate TEXT NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,
  session TEXT NOT NULL,           -- the last one, to be looked up in the audit file
  PRIMARY KEY (client, evidence, certificate)
) WITHOUT ROWID;
INSERT INTO "evidence" VALUES(1,'clear_startup','',1795908350503164,1795908350788185,3,'3f26d5ebc55b-3');
INSERT INTO "evidence" VALUES(1,'tls_startup','05-proxy.front.crt',1795908351956227,1795908351956227,1,'3f26d5ebc55b-13');
INSERT INTO "evidence" VALUES(2,'tls_startup','05-proxy.front.crt',1795908350911375,1795908351376003,4,'3f26d5ebc55b-9');
INSERT INTO "evidence" VALUES(3,'tls_startup','05-proxy.front.crt',1795908351532822,1795908351800335,2,'3f26d5ebc55b-12');
INSERT INTO "evidence" VALUES(3,'untrusted_accepted','probe: untrusted',1795908351652775,1795908351652775,1,'3f26d5ebc55b-11');
INSERT INTO "evidence" VALUES(4,'clear_startup','',1795908352056076,1795908352146842,2,'3f26d5ebc55b-15');
CREATE TABLE fingerprints (
  client INTEGER NOT NULL REFERENCES clients ON DELETE CASCADE,
  ja4 TEXT NOT NULL, sni TEXT NOT NULL, last_seen INTEGER NOT NULL,
  PRIMARY KEY (client, ja4, sni)
) WITHOUT ROWID;
INSERT INTO "fingerprints" VALUES(1,'t13d311100_e8f1e7e78f70_d41ae481755e','localhost',1795908351956227);
INSERT INTO "fingerprints" VALUES(2,'t13d311100_e8f1e7e78f70_d41ae481755e','localhost',1795908351376003);
INSERT INTO "fingerprints" VALUES(3,'t13d311100_e8f1e7e78f70_d41ae481755e','localhost',1795908351800335);
CREATE TABLE handshakes (
  upstream TEXT NOT NULL, client_addr TEXT NOT NULL, client_exe TEXT NOT NULL, ja4 TEXT NOT NULL, sni TEXT NOT NULL,
  evidence TEXT NOT NULL, certificate TEXT NOT NULL,
  listener TEXT NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,
  session TEXT NOT NULL, error TEXT NOT NULL,
  PRIMARY KEY (upstream, client_addr, client_exe, ja4, sni, evidence, certificate)
) WITHOUT ROWID;
INSERT INTO "handshakes" VALUES('orders','127.0.0.3','/usr/bin/python3.11','t13d311100_e8f1e7e78f70_d41ae481755e','localhost','candidate_refused','probe: candidate','legacy',1795908350955963,1795908350955963,1,'3f26d5ebc55b-6','alert unknown_ca (48)');
INSERT INTO "handshakes" VALUES('orders','127.0.0.3','/usr/bin/python3.11','t13d311100_e8f1e7e78f70_d41ae481755e','localhost','untrusted_refused','probe: untrusted','legacy',1795908350929143,1795908350929143,1,'3f26d5ebc55b-5','alert unknown_ca (48)');
INSERT INTO "handshakes" VALUES('orders','127.0.0.6','/usr/bin/python3.11','t13d311100_e8f1e7e78f70_d41ae481755e','localhost','tls_refused','05-proxy.front.crt','legacy',1795908352160110,1795908352160110,1,'3f26d5ebc55b-16','alert unknown_ca (48)');
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('instance','4243801ac186f572');
CREATE TABLE probes (
  upstream TEXT NOT NULL, client_addr TEXT NOT NULL, client_exe TEXT NOT NULL,
  kind TEXT NOT NULL,              -- untrusted, wrong-name, candidate
  shown INTEGER NOT NULL, accepted INTEGER NOT NULL, refused INTEGER NOT NULL,  -- refused: connections that the client lost by it
  last_shown INTEGER NOT NULL, last_refused INTEGER NOT NULL,  -- 0: never
  PRIMARY KEY (upstream, client_addr, client_exe, kind)
) WITHOUT ROWID;
INSERT INTO "probes" VALUES('orders','127.0.0.3','/usr/bin/python3.11','candidate',1,0,1,1795908350955963,1795908350955963);
INSERT INTO "probes" VALUES('orders','127.0.0.3','/usr/bin/python3.11','untrusted',1,0,1,1795908350929143,1795908350929143);
INSERT INTO "probes" VALUES('orders','127.0.0.4','/usr/bin/python3.11','untrusted',1,1,0,1795908351652775,0);
CREATE TABLE upstream_certificates (
  upstream TEXT NOT NULL, upstream_addr TEXT NOT NULL, sha256 TEXT NOT NULL,
  subject TEXT NOT NULL, sans TEXT NOT NULL,  -- comma-separated
  issuer TEXT NOT NULL, anchor TEXT NOT NULL, serial TEXT NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,
  candidate_ok INTEGER,            -- 1: sslrootcert_candidate alone would do; NULL: there was none
  candidate_since INTEGER,         -- since when candidate_ok has its value
  PRIMARY KEY (upstream, upstream_addr, sha256)
) WITHOUT ROWID;
INSERT INTO "upstream_certificates" VALUES('orders','127.0.0.1:33083','8abbafd525ffa78b377dd160e3738796fc76c866f357afe2cb6ce4bce49e0bda','CN=server.new','DNS:localhost,IP:127.0.0.1,IP:::1','CN=Test New CA','CN=Test New CA','6c2fa7860e26428aaaffbed2cb34cd4bc49d27bc',1795821943000000,1827444343000000,1795908350503164,1795908351956227,11,NULL,NULL);
COMMIT;
