#include "config/keys.hpp"

#include <array>

namespace config {

using namespace std::string_view_literals;

template <>
const Section<Log>& section() {
    static const Section<Log> it{
        "[log]",
        "Messages for operators.",
        {
            {"level", &Log::level, R"("info")", "The least severe messages that are written."},
            {"format", &Log::format, R"("text")",
             "Lines for people, or one JSON object a line, with `session`, `client` and `listener` where it is about "
             "one."},
            {"file", &Log::file, R"("")", "Where messages go; reopened on SIGUSR1. Empty: standard error.", Rule::path},
        },
        {}};
    return it;
}

template <>
const Section<Runtime>& section() {
    static const Section<Runtime> it{
        "[runtime]",
        "The process as a whole.",
        {
            {"threads", &Runtime::threads, "0", "Worker threads; 0: one per core.", Rule::threads,
             TakesEffect::at_restart},
            {"max_connections", &Runtime::max_connections, "10000",
             "Clients that log in or have, at a time; beyond it clients get FATAL 53300 `too_many_connections`. Others "
             "take none of these places, however many they are and whatever they wait for.",
             Rule::positive},
            {"max_connections_per_address", &Runtime::max_connections_per_address, "0",
             "The same for one client address, or one IPv6 network (/64); 0: no limit."},
            {"max_connections_before_login", &Runtime::max_connections_before_login, "4000",
             "Client connections at a time that have not logged in yet, as sshd's `MaxStartups`; one address, or IPv6 "
             "network (/64), may take half of them. Beyond it clients get FATAL 53300 too, but cancel requests are "
             "taken.",
             Rule::positive},
            {"reserved_connections", &Runtime::reserved_connections, "0",
             "How many of `max_connections`, and of each listener's own, are left for `reserved_users`, as "
             "PostgreSQL's "
             "setting of that name and `superuser_reserved_connections`."},
            {"reserved_users", &Runtime::reserved_users, "[]",
             "Users, such as `postgres`, who may take the last `reserved_connections` and to whom no "
             "`max_user_connections` and `max_db_connections` apply, as to superusers in PostgreSQL. By the name "
             "that a client gives: it has not proved yet that it is this user."},
            {"client_opening_timeout", &Runtime::client_opening_timeout, R"("10s")",
             "For each step of a client's opening: its first packet, its TLS handshake, its StartupMessage through TLS "
             "or after a declined one. Never beyond `client_login_timeout`.",
             Rule::positive},
            {"client_login_timeout", &Runtime::client_login_timeout, R"("60s")",
             "From accepting a connection to the server's first ReadyForQuery.", Rule::positive},
            {"drain_timeout", &Runtime::drain_timeout, R"("30s")",
             "How long sessions may go on after SIGTERM; `0s`: they end at once."},
            {"upgrade_timeout", &Runtime::upgrade_timeout, R"("1h")",
             "How long the old process serves its sessions after an upgrade (SIGUSR2, docs/upgrade.md)."},
            {"state_dir", &Runtime::state_dir, R"("")",
             "Folder for what pgairlock writes: generated certificates and audit files. Empty: `$STATE_DIRECTORY`, "
             "else "
             "`/var/lib/pgairlock` for root, else `$XDG_STATE_HOME/pgairlock`.",
             Rule::path, TakesEffect::at_restart},
            {"name", &Runtime::name, R"("")",
             "This proxy in inventory, report and audit, where there are several. Empty: the host's name.", Rule::none,
             TakesEffect::at_restart},
            {"core_dumps", &Runtime::core_dumps, "false",
             "Whether a crash may leave a core file, and a debugger of our own user may attach. Both show private "
             "keys, "
             "passwords of logins under way and what sessions carry.",
             Rule::none, TakesEffect::at_restart},
        },
        {}};
    return it;
}

template <>
const Section<Listener>& section() {
    static const Section<Listener> it{
        "[[listener]]",
        "Where clients connect. The table may be repeated; a file without one gets a listener with the defaults.",
        {
            {"name", &Listener::name, R"("")",
             "Its name in logs and audit events. Empty: the upstream's name, or `listener-N` when that is taken."},
            {"listen", &Listener::listen, R"(["127.0.0.1:6432"])",
             "IP addresses or names with a port, `*` with a port (every IPv4 and every IPv6 address), and "
             "`unix:/path`; `[::]` is every IPv6 address and no other. A name is looked up at the start and at each "
             "reload, and stands for all of its addresses. One that goes away takes no new clients; its sessions go "
             "on.",
             Rule::listen_address},
            {"upstream", &Listener::upstream, R"("")",
             "Name of the `[upstream.NAME]` that its connections go to. May be left out when there is exactly one."},
            {"allow", &Listener::allow, R"(["127.0.0.0/8", "::1/128"])",
             "Client addresses that are let in, as `ADDRESS/BITS`, or `ADDRESS` for one alone; bits of the address "
             "beyond "
             "`BITS` do not count. Others are refused and audited. Not asked of UNIX-domain sockets: the permissions "
             "of "
             "their folder decide."},
            {"proxy_protocol", &Listener::proxy_protocol, R"("off")",
             "`require`: every connection must come from `trusted_proxies` and begin with a PROXY protocol header, "
             "version 1 or 2 ([front.md](front.md)); `allow`, all limits and the inventory then speak of the address "
             "in it. Not asked of UNIX-domain sockets."},
            {"trusted_proxies", &Listener::trusted_proxies, "[]",
             "With `require`: addresses of the load balancers in front, as in `allow`. What they say of their clients "
             "is believed; nobody else is let in."},
            {"max_connections", &Listener::max_connections, "0",
             "Its clients that log in or have, at a time; beyond it clients get FATAL 53300 `too_many_connections`. "
             "`0`: only `max_connections` of `[runtime]`, which counts those of all listeners."},
            {"login_rate_per_address", &Listener::login_rate_per_address, "0",
             "Logins a second that one client address, or IPv6 network (/64), may begin; after a rest it may begin "
             "those of 5 s at once. Beyond it clients get FATAL 53300 `login_rate`. Cancel requests are no logins. "
             "`0`: no limit."},
            {"idle_timeout", &Listener::idle_timeout, R"("0s")",
             "Sessions on which no byte moves for so long are ended, **also those that wait for the answer to a long "
             "query**; `0s`: never."},
            {"tcp_keepalive", &Listener::tcp_keepalive, R"("60s")",
             "Idle time before TCP keepalive probes to the client; `0s`: off.", Rule::tcp_timer},
            {"tcp_user_timeout", &Listener::tcp_user_timeout, R"("0s")",
             "How long data sent to the client may stay unacknowledged before the connection is given up; `0s`: as "
             "long "
             "as keepalive takes to give up, which is twice `tcp_keepalive`.",
             Rule::tcp_timer},
        },
        {"tls"}};
    return it;
}

template <>
const Section<ListenerTls>& section() {
    static const Section<ListenerTls> it{
        "[listener.tls]",
        "TLS towards the clients of the `[[listener]]` above it.",
        {
            {"mode", &ListenerTls::mode, R"("allow")",
             "`disable`: TLS is not offered; `allow`: the client decides; `require`: plain connections get FATAL "
             "28000, but on UNIX-domain sockets, where libpq has no TLS."},
            {"direct", &ListenerTls::direct, "true", "Accept PostgreSQL 17's direct TLS (`sslnegotiation=direct`)."},
            {"cert_file", &ListenerTls::cert_file, R"("")",
             "Certificate chain, PEM; reloaded when it changes. Empty: one is generated in the state directory."},
            {"key_file", &ListenerTls::key_file, R"("")",
             "Its private key, PEM; refused when group or others may read it. Encrypted: see "
             "`ssl_passphrase_command`."},
            {"ssl_passphrase_command", &ListenerTls::ssl_passphrase_command, R"("")",
             "As in PostgreSQL: a command for the shell whose first line of output is the pass phrase of an encrypted "
             "key; `%p` becomes a prompt. Run at start and at each reload, for at most 20 s, without input.",
             Rule::command},
            {"trust", &ListenerTls::trust, R"("distributed")",
             "`distributed`: verifying clients are expected to trust the certificate; `undistributed`: nobody was "
             "given its CA, "
             "so "
             "whoever completes the handshake does not verify."},
            {"ca_file", &ListenerTls::ca_file, R"("")",
             "CA certificates, PEM, that client certificates are verified against."},
            {"ssl_crl_file", &ListenerTls::ssl_crl_file, R"("")",
             "CRLs, PEM: client certificates that are revoked there are refused. There must be one of every CA in "
             "their "
             "chain; reloaded when it changes."},
            {"client_cert", &ListenerTls::client_cert, R"("disable")",
             "Whether TLS clients are asked for a certificate, and whether they must have one."},
            {"ssl_min_protocol_version", &ListenerTls::ssl_min_protocol_version, R"("TLSv1.2")",
             "Lowest TLS version; below `TLSv1.2` needs `legacy = true`.", Rule::not_empty},
            {"ssl_max_protocol_version", &ListenerTls::ssl_max_protocol_version, R"("")",
             "Highest TLS version. Empty: the newest."},
            {"ssl_ciphers", &ListenerTls::ssl_ciphers, R"("")",
             "Cipher list up to TLS 1.2, in OpenSSL's syntax. Empty: OpenSSL's."},
            {"ssl_tls13_ciphers", &ListenerTls::ssl_tls13_ciphers, R"("")",
             "Cipher suites of TLS 1.3. Empty: OpenSSL's."},
            {"ssl_groups", &ListenerTls::ssl_groups, R"("")",
             "Key exchange groups, separated by colons; those with `?` are left out where OpenSSL does not have them. "
             "Empty: OpenSSL's."},
            {"legacy", &ListenerTls::legacy, "false",
             "Lower OpenSSL's security level on this leg only, for very old clients; audited as weak."},
        },
        {"certificate"}};
    return it;
}

template <>
const Section<Certificate>& section() {
    static const Section<Certificate> it{
        "[[listener.tls.certificate]]",
        "Further certificates: RSA beside ECDSA, or others by the name that the client asks for. The table may be "
        "repeated.",
        {
            {"cert_file", &Certificate::cert_file, "", "As in `[listener.tls]`."},
            {"key_file", &Certificate::key_file, "", "As in `[listener.tls]`."},
            {"ssl_passphrase_command", &Certificate::ssl_passphrase_command, R"("")",
             "As in `[listener.tls]`, whose command is used when there is none here.", Rule::command},
            {"server_names", &Certificate::server_names, "[]",
             "Names (SNI) that it is shown for; `*.` may stand in front. Empty: any.", Rule::server_name},
        },
        {}};
    return it;
}

// Long because it is a table.
template <>
const Section<Upstream>& section() {
    static const Section<Upstream> it{
        "[upstream.NAME]",
        "A PostgreSQL server, by a name of your choice. At least one is needed.",
        {
            {"hosts", &Upstream::hosts, "",
             "`HOST:PORT` (5432 when left out) or `unix:/path`, tried in order, those last that did not serve lately; "
             "names are resolved anew for every connection.",
             Rule::host_address},
            {"sslmode", &Upstream::sslmode, R"("verify-full")", "As in libpq."},
            {"sslrootcert", &Upstream::sslrootcert, "[]",
             "CA certificates, PEM ([files.md](files.md)), that the server is verified against, or `system`; reloaded "
             "when they change. "
             "Empty: `system` "
             "for "
             "`verify-full`."},
            {"sslrootcert_candidate", &Upstream::sslrootcert_candidate, "[]",
             "Rehearsal of a rotation: every server certificate is also judged against these CA files. The result is "
             "recorded "
             "(`candidate_ok`), never enforced."},
            {"sslcrl", &Upstream::sslcrl, R"("")",
             "CRLs, PEM: a server certificate that is revoked there is refused. There must be one of every CA in its "
             "chain; reloaded when it changes."},
            {"sslnegotiation", &Upstream::sslnegotiation, R"("postgres")",
             "`direct` starts with TLS at once; PostgreSQL 17 and later."},
            {"sslcert", &Upstream::sslcert, R"("")", "Client certificate for the server, PEM."},
            {"sslkey", &Upstream::sslkey, R"("")",
             "Its private key, PEM; refused when group or others may read it. Encrypted: see "
             "`ssl_passphrase_command`."},
            {"ssl_passphrase_command", &Upstream::ssl_passphrase_command, R"("")",
             "As in `[listener.tls]`, for `sslkey`; in the place of libpq's `sslpassword`.", Rule::command},
            {"ssl_ciphers", &Upstream::ssl_ciphers, R"("")",
             "Cipher list up to TLS 1.2, in OpenSSL's syntax. Empty: OpenSSL's."},
            {"ssl_tls13_ciphers", &Upstream::ssl_tls13_ciphers, R"("")", "Cipher suites of TLS 1.3. Empty: OpenSSL's."},
            {"ssl_groups", &Upstream::ssl_groups, R"("P-256:?X25519MLKEM768:X25519:P-384:P-521:X448")",
             "Key exchange groups. A key share of the first, or of those with `*`, is sent at once; those with `?` are "
             "left out where OpenSSL does not have them. P-256 comes first because it is PostgreSQL's own. A server "
             "that chooses another gets its share at once the next time. Empty: the default."},
            {"ssl_server_name", &Upstream::ssl_server_name, R"("")",
             "Name to send (SNI) and to verify instead of the host's, for private DNS and tunnels.", Rule::host_name},
            {"ssl_sni", &Upstream::ssl_sni, R"("")",
             "Name to send (SNI) instead of the one that is verified, for servers and balancers that choose by it; "
             "`off` sends none, as libpq's `sslsni=0`. Empty: the verified name.",
             Rule::sni},
            {"ssl_min_protocol_version", &Upstream::ssl_min_protocol_version, R"("TLSv1.2")", "Lowest TLS version.",
             Rule::not_empty},
            {"ssl_max_protocol_version", &Upstream::ssl_max_protocol_version, R"("")",
             "Highest TLS version. Empty: the newest."},
            {"target_session_attrs", &Upstream::target_session_attrs, R"("any")",
             "The kind of server that is wanted among `hosts` and all their addresses, as in libpq "
             "([failover.md](failover.md))."},
            {"load_balance_hosts", &Upstream::load_balance_hosts, R"("disable")",
             "`random`: each connection tries `hosts`, and the addresses of each, in an order of its own, as in "
             "libpq."},
            {"wait_for_host", &Upstream::wait_for_host, "false",
             "While no host serves, or none of the kind that is wanted, clients wait for one within their "
             "`client_login_timeout`. `false`: they get FATAL 57P03 at once. Logins that cannot be repeated (SCRAM or "
             "MD5 passed through) wait for others to look ([failover.md](failover.md#while-no-host-serves))."},
            {"monitor_user", &Upstream::monitor_user, R"("")",
             "Role that pgairlock itself logs in as, to the database `postgres`, to ask every host whether it takes "
             "writes before clients come ([monitor.md](monitor.md)): `CREATE ROLE pgairlock_monitor LOGIN` is enough. "
             "One connection to each address, for the whole process. Empty: what logins tell is all that is known."},
            {"monitor_password_file", &Upstream::monitor_password_file, R"("")",
             "File with its password, one line; refused when group or others may read it, as private keys are; "
             "reloaded when it changes. Empty: the servers ask for none, as with `cert`."},
            {"monitor_interval", &Upstream::monitor_interval, R"("5s")",
             "Between two questions; 250 ms for a minute after something has changed. At least `250ms`.",
             Rule::positive},
            {"discover", &Upstream::discover, "false",
             "`true`: instances of an Aurora cluster that the monitor has found are used beside `hosts`, once each has "
             "said itself who it is ([monitor.md](monitor.md#hosts-that-are-found)). Needs `monitor_user`."},
            {"discover_pattern", &Upstream::discover_pattern, R"("")",
             "With `discover`, the names of instances: `?.db.example.com`, where `?` stands for the instance, within "
             "the "
             "domain of one of `hosts`. Empty: as Amazon RDS names them beside those in `hosts`."},
            {"sample_interval", &Upstream::sample_interval, R"("5s")",
             "With `monitor_user`: between two looks at the servers' own lists of their sessions, which show in the "
             "inventory who goes around this proxy ([sampling.md](sampling.md)). Needs `GRANT pg_read_all_stats` to "
             "that role. At least `1s`; `0s`: none."},
            {"on_demotion", &Upstream::on_demotion, R"("keep")",
             "With `target_session_attrs` `read-write` or `primary`, sessions on a server that has stopped to be what "
             "is wanted: `keep`: they go on, and their writes fail; `close`: they get FATAL 57P01 once they are idle "
             "outside of a transaction ([monitor.md](monitor.md#sessions-on-a-server-that-was-demoted))."},
            {"max_user_connections", &Upstream::max_user_connections, "0",
             "Clients of one user that log in or have, at a time, over all databases; beyond it they get FATAL 53300 "
             "`too_many_user_connections`. As in PgBouncer, whose server connections these are here. `0`: no limit."},
            {"max_db_connections", &Upstream::max_db_connections, "0",
             "The same for one database, over all users: `too_many_db_connections`. Physical replication has no "
             "database."},
            {"max_logins_in_flight", &Upstream::max_logins_in_flight, "100",
             "Logins under way at one of `hosts` at a time, from the connection to the first ReadyForQuery; those "
             "whose client is silent for a second do not count. Others wait in order, within "
             "`client_login_timeout`, and are refused with them when the host answers nobody. `0`: no limit."},
            {"prewarm", &Upstream::prewarm, "0",
             "TLS connections to the server that each thread keeps ready, so that a client need not wait for them. "
             "They occupy no slot of "
             "`max_connections`, but a process each. At most 1000.",
             Rule::prewarm},
            {"prewarm_max_age", &Upstream::prewarm_max_age, R"("30s")",
             "How long one is kept; then it is closed and made anew. The server's `authentication_timeout` (60 s) runs "
             "meanwhile, and the "
             "login must fit into the rest.",
             Rule::positive},
            {"connect_timeout", &Upstream::connect_timeout, R"("5s")",
             "For each address: TCP, TLS, and the server's first answer to the StartupMessage.", Rule::positive},
            {"tcp_keepalive", &Upstream::tcp_keepalive, R"("60s")",
             "Idle time before TCP keepalive probes to the server; `0s`: off.", Rule::tcp_timer},
            {"tcp_user_timeout", &Upstream::tcp_user_timeout, R"("0s")",
             "How long data sent to the server may stay unacknowledged before the connection is given up; `0s`: as "
             "long "
             "as keepalive takes to give up, which is twice `tcp_keepalive`.",
             Rule::tcp_timer},
        },
        {}};
    return it;
}

template <>
const Section<Auth>& section() {
    static const Section<Auth> it{"[auth]",
                                  "How logins with SCRAM cross two TLS connections "
                                  "([authentication.md](authentication.md)). Other methods always pass through.",
                                  {
                                      {"scram", &Auth::scram, R"("auto")",
                                       "`auto`: pass through what can be, and ask clients for their password where "
                                       "channel binding is in the way; `passthrough`: "
                                       "never ask; `bridge`: always ask, for drivers without SCRAM; `terminate`: be "
                                       "the SCRAM server, by `users_file`."},
                                      {"users_file", &Auth::users_file, R"("")",
                                       "Users with passwords or SCRAM secrets, in the format of PgBouncer's "
                                       "`userlist.txt`; refused when group or others may read "
                                       "it, reloaded when it changes. Needed by `terminate`, of no effect otherwise."},
                                      {"mock_authentication_nonce_file", &Auth::mock_authentication_nonce_file, R"("")",
                                       "At least 32 random bytes (`openssl rand -out FILE 32`), from which come the "
                                       "salts of users without a SCRAM secret. Proxies that stand behind one address "
                                       "need the same one. Refused when group or others may read it. Empty: one is "
                                       "made once and kept in the state directory."},
                                  },
                                  {}};
    return it;
}

template <>
const Section<Audit>& section() {
    static const Section<Audit> it{
        "[audit]",
        "The record of who connected how.",
        {
            {"file", &Audit::file, R"("audit.jsonl")",
             "JSON Lines; relative to the state directory, reopened on SIGUSR1. `-`: standard output. Empty: off.",
             Rule::none, TakesEffect::at_restart},
            {"chain", &Audit::chain, "false",
             "Every line carries a digest of itself and of all lines before it, so that later changes show "
             "([audit.md](audit.md#the-chain), `pgairlock audit verify`).",
             Rule::none, TakesEffect::at_restart},
            {"inventory", &Audit::inventory, R"("inventory.db")",
             "What is known about every client, kept over restarts: an SQLite file, relative to the state directory, "
             "or `postgresql://...` "
             "for one that many proxies share. Empty: off.",
             Rule::none, TakesEffect::at_restart},
            {"inventory_retention", &Audit::inventory_retention, R"("400d")",
             "Clients, servers and days that were not seen for so long are forgotten; `0s`: never."},
            {"consistent_after", &Audit::consistent_after, R"("720h")",
             "What a client did before does not count any more in the [report](report.md) once it was seen to behave "
             "otherwise, and only so, for this long and at least as often; `0s`: only once `pgairlock client repaired` "
             "says so.",
             Rule::none, TakesEffect::at_restart},
            {"application_name_pattern", &Audit::application_name_pattern, R"("")",
             "A regular expression (ECMAScript): what it matches in an application_name becomes `*` in the inventory, "
             "so that names that never repeat are one client. The audit file has them as they are.",
             Rule::none, TakesEffect::at_restart},
            {"expiry_warning", &Audit::expiry_warning, R"("30d")",
             "A certificate in use that ends within this time is told of: when it begins, 7 days and 1 day before the "
             "end, and at the end, once each. Also one that is not valid yet. In the log, as `certificate_expiring` in "
             "the [audit](audit.md#certificate_expiring), and by `[[alert]]`. `0s`: none is."},
            {"process_owner", &Audit::process_owner, "true",
             "Find out process, executable and user of clients on this host.", Rule::none, TakesEffect::at_restart},
        },
        {"probe"}};
    return it;
}

template <>
const Section<Probe>& section() {
    static const Section<Probe> it{
        "[audit.probe]",
        "Certificate probes: a small share of TLS connections is shown another certificate, to see whether the client "
        "notices "
        "([verification.md](verification.md)). A client that does loses that connection.",
        {
            {"enabled", &Probe::enabled, "false", "Nothing is probed unless this is set."},
            {"kinds", &Probe::kinds, R"(["untrusted", "wrong-name", "candidate"])",
             "`untrusted`: an issuer that nobody knows; `wrong-name`: the real issuer, another name; `candidate`: the "
             "certificate that "
             "clients will meet after the rotation."},
            {"fraction", &Probe::fraction, "0.05", "Share of a client's connections, 0 to 1."},
            {"max_per_client", &Probe::max_per_client, "3",
             "Failures inflicted on one client, then none for `cooldown`.", Rule::positive},
            {"max_per_hour", &Probe::max_per_hour, "60",
             "Failures inflicted on all clients together within an hour. 0: no limit but those of each client."},
            {"cooldown", &Probe::cooldown, R"("30d")", "See `max_per_client`."},
            {"grace", &Probe::grace, R"("60s")",
             "After a failure the same source gets the real certificate for this long."},
            {"window", &Probe::window, "[]",
             "When probes may be made, as `START/END` in RFC 3339, such as `2026-03-01T02:00Z/2026-03-01T04:00Z`. "
             "Empty: always."},
            {"candidate_cert_file", &Probe::candidate_cert_file, R"("")",
             "The certificate that clients will meet after the rotation, PEM."},
            {"candidate_key_file", &Probe::candidate_key_file, R"("")", "Its private key, PEM."},
            {"ca_dir", &Probe::ca_dir, R"("")",
             "`gen-cert`'s folder: its CA issues the `wrong-name` certificate. Empty: `tls/` of the state directory.",
             Rule::path},
        },
        {}};
    return it;
}

template <>
const Section<Capture>& section() {
    static const Section<Capture> it{
        "[capture]",
        "Traffic as files that Wireshark opens ([capture.md](capture.md)): in `windows`, and whenever `CAPTURE START` "
        "asks for it. What runs when these keys change goes on as it began.",
        {
            {"dir", &Capture::dir, R"("captures")",
             "Folder of the files, relative to the state directory. It is made when it is missing, and must be nobody "
             "else's (0700)."},
            {"windows", &Capture::windows, "[]",
             "When capturing starts and stops by itself, as `START/END` in RFC 3339, such as "
             "`2026-03-01T02:00Z/2026-03-01T04:00Z`. Empty: never."},
            {"trigger", &Capture::trigger, R"("all")",
             "`all`: every connection; `failures`: those whose TLS or login failed, on either leg, with what came "
             "before."},
            {"payload", &Capture::payload, R"("redacted")",
             "`headers`: types and lengths of messages; `redacted`: also SQL without its literals; `full`: everything "
             "but "
             "secrets. The rest is blanked in place."},
            {"listeners", &Capture::listeners, "[]", "Only connections to these listeners, by name. Empty: all."},
            {"users", &Capture::users, "[]", "Only sessions of these users. Empty: all."},
            {"databases", &Capture::databases, "[]", "Only sessions with these databases. Empty: all."},
            {"application_names", &Capture::application_names, "[]",
             "Only sessions that began with one of these. Empty: all."},
            {"client_addrs", &Capture::client_addrs, "[]",
             "Only connections from these addresses, as `ADDRESS/BITS` or `ADDRESS`; UNIX-domain sockets have none. "
             "Empty: all."},
            {"max_file_size", &Capture::max_file_size, R"("256MiB")",
             "A file that would become larger is followed by "
             "another one.",
             Rule::positive},
            {"max_file_age", &Capture::max_file_age, R"("1h")", "So is one that is older.", Rule::positive},
            {"max_total_size", &Capture::max_total_size, R"("2GiB")",
             "Of all capture files in `dir` together, also of those that are being written. Beyond it the oldest of a "
             "ring is deleted, whichever capture made it; a file that somebody named counts, and stays. A capture for "
             "which that leaves no room ends.",
             Rule::positive},
            {"min_free_space", &Capture::min_free_space, R"("1GiB")",
             "Where the file system of `dir` has less, capturing stops and traffic goes on. `0B`: until it is full."},
            {"keylog", &Capture::keylog, "false",
             "Also the TLS records of both legs, and the keys that decrypt them. Needs `allow_secrets`."},
            {"allow_secrets", &Capture::allow_secrets, "false",
             "Lets `payload = \"full\"` hold passwords, tokens and cancel keys, and `keylog` TLS keys. Otherwise they "
             "are blanked whatever `payload` says."},
        },
        {}};
    return it;
}

template <>
const Section<Admin>& section() {
    static const Section<Admin> it{
        "[admin]",
        "How the running proxy is asked and commanded ([commands.md](commands.md#the-console)).",
        {
            {"http", &Admin::http, R"("")",
             "Where metrics, health checks and the [dashboard](dashboard.md) are asked for over HTTP: an IP address "
             "and a port, such as `127.0.0.1:6433`, or `unix:/path` ([operate.md](operate.md)). Empty: off. Beyond "
             "loopback it needs `http_token_file`.",
             Rule::http_address, TakesEffect::at_restart},
            {"http_token_file", &Admin::http_token_file, R"("")",
             "File with the token without which only health checks are answered (`Authorization: Bearer TOKEN`, or "
             "Basic with the token as the password, which browsers ask for). "
             "Refused when group or others may read it, as private keys are; reloaded when it changes."},
            {"console", &Admin::console, R"("unix:console/.s.PGSQL.6434")",
             "The console's UNIX-domain socket, for psql and `pgairlock capture`: `unix:` and a path, relative to the "
             "state directory, that ends with `/.s.PGSQL.PORT`. Empty: off. Whoever connects is told by the kernel: "
             "root and our own user may command.",
             Rule::console_socket, TakesEffect::at_restart},
            {"console_uids", &Admin::console_uids, "[]", "Numbers of further users who may command."},
            {"console_readers", &Admin::console_readers, "[]",
             "Numbers of users who may read (`CAPTURE STATUS`, `SHOW`) and not command."},
        },
        {}};
    return it;
}

template <>
const Section<Alert>& section() {
    static const Section<Alert> it{
        "[[alert]]",
        "Whom to tell of what, as soon as it happens ([alerts.md](alerts.md)): by HTTP, or by a program of yours. The "
        "table may be repeated.",
        {
            {"name", &Alert::name, R"("")",
             "Its name in messages, log and metrics: letters, digits, `-`, `_`, `.`. Empty: `alert-N`.",
             Rule::plain_name},
            {"on", &Alert::on, "",
             "What to tell of: `new_weak_client`, `client_changed`, `client_weakened`, `certificate_expiring`, "
             "`upstream_certificate`, `upstream_unverified`, `upstream_failed`, `host_role_changed`, `reload_failed`, "
             "`events_dropped`, `inventory_failed`, `capture_started`, `capture_stopped`, `console_command`, "
             "`started`, "
             "`stopping`."},
            {"webhook", &Alert::webhook, R"("")",
             "URL that messages are sent to by POST. `https://` is verified in full; `http://` only to this host "
             "itself. No redirect is followed. Only scheme and host of it are ever shown.",
             Rule::web_url},
            {"webhook_file", &Alert::webhook_file, R"("")",
             "File with that URL instead, refused when group or others may read it; reloaded when it changes."},
            {"command", &Alert::command, "[]",
             "Program to run instead, by its absolute path, and its arguments; it is given the message on standard "
             "input. No shell is in between.",
             Rule::command},
            {"template", &Alert::form, R"("json")",
             "What is sent: `json`, pgairlock's own, or `slack`, which Mattermost and others understand too."},
            {"template_file", &Alert::template_file, R"("")",
             "File with JSON of your own instead, in which `{title}` and other words stand for what happened."},
            {"token_file", &Alert::token_file, R"("")",
             "File with a token for the webhook (`Authorization: Bearer TOKEN`), refused when group or others may read "
             "it; reloaded when it changes."},
            {"sslrootcert", &Alert::sslrootcert, R"(["system"])",
             "CA certificates, PEM, that the webhook's certificate is verified against, or `system`; reloaded when "
             "they change."},
            {"listeners", &Alert::listeners, "[]",
             "Only of what happens at these listeners, by name, and of what is about none. Empty: all."},
            {"upstreams", &Alert::upstreams, "[]",
             "Only of what happens with these upstreams, by name, and of what is about none. Empty: all."},
            {"group_wait", &Alert::group_wait, R"("5s")",
             "How long the first of a kind waits for others, which are told with it."},
            {"group_interval", &Alert::group_interval, R"("5m")",
             "Between two messages of one kind about one upstream: what happens meanwhile is told together."},
            {"timeout", &Alert::timeout, R"("10s")", "For one attempt, from looking up the name to the answer's head.",
             Rule::positive},
            {"send_resolved", &Alert::send_resolved, "true",
             "Tell also of the end of `reload_failed`, `upstream_unverified` and `upstream_failed`."},
        },
        {}};
    return it;
}

std::span<const std::string_view> top_level_tables() noexcept {
    static constexpr std::array tables{"log"sv,   "runtime"sv, "listener"sv, "upstream"sv, "auth"sv,
                                       "audit"sv, "capture"sv, "admin"sv,    "alert"sv};
    return tables;
}

template <>
std::span<const std::string_view> names<LogLevel>() noexcept {
    static constexpr std::array all{"trace"sv, "debug"sv, "info"sv, "warn"sv, "error"sv};
    return all;
}

template <>
std::span<const std::string_view> names<LogFormat>() noexcept {
    static constexpr std::array all{"text"sv, "json"sv};
    return all;
}

template <>
std::span<const std::string_view> names<ClientTlsMode>() noexcept {
    static constexpr std::array all{"disable"sv, "allow"sv, "require"sv};
    return all;
}

template <>
std::span<const std::string_view> names<ProxyProtocol>() noexcept {
    static constexpr std::array all{"off"sv, "require"sv};
    return all;
}

template <>
std::span<const std::string_view> names<Trust>() noexcept {
    static constexpr std::array all{"distributed"sv, "undistributed"sv};
    return all;
}

template <>
std::span<const std::string_view> names<ClientCert>() noexcept {
    static constexpr std::array all{"disable"sv, "request"sv, "require"sv};
    return all;
}

template <>
std::span<const std::string_view> names<TlsVersion>() noexcept {
    static constexpr std::array all{""sv, "TLSv1"sv, "TLSv1.1"sv, "TLSv1.2"sv, "TLSv1.3"sv};
    return all;
}

template <>
std::span<const std::string_view> names<protocol::SslMode>() noexcept {
    using protocol::SslMode;
    static const std::array all{to_string(SslMode::disable),   to_string(SslMode::allow),
                                to_string(SslMode::prefer),    to_string(SslMode::require),
                                to_string(SslMode::verify_ca), to_string(SslMode::verify_full)};
    return all;
}

template <>
std::span<const std::string_view> names<SslNegotiation>() noexcept {
    static constexpr std::array all{"postgres"sv, "direct"sv};
    return all;
}

template <>
std::span<const std::string_view> names<TargetSessionAttrs>() noexcept {
    static constexpr std::array all{"any"sv,     "read-write"sv, "read-only"sv,
                                    "primary"sv, "standby"sv,    "prefer-standby"sv};
    return all;
}

template <>
std::span<const std::string_view> names<LoadBalanceHosts>() noexcept {
    static constexpr std::array all{"disable"sv, "random"sv};
    return all;
}

template <>
std::span<const std::string_view> names<OnDemotion>() noexcept {
    static constexpr std::array all{"keep"sv, "close"sv};
    return all;
}

template <>
std::span<const std::string_view> names<protocol::ScramMode>() noexcept {
    using protocol::ScramMode;
    static const std::array all{to_string(ScramMode::automatic), to_string(ScramMode::passthrough),
                                to_string(ScramMode::bridge), to_string(ScramMode::terminate)};
    return all;
}

template <>
std::span<const std::string_view> names<ProbeKind>() noexcept {
    static const std::array all{to_string(ProbeKind::untrusted), to_string(ProbeKind::wrong_name),
                                to_string(ProbeKind::candidate)};
    return all;
}

template <>
std::span<const std::string_view> names<CaptureTrigger>() noexcept {
    static constexpr std::array all{"all"sv, "failures"sv};
    return all;
}

template <>
std::span<const std::string_view> names<protocol::Payload>() noexcept {
    static constexpr std::array all{"headers"sv, "redacted"sv, "full"sv};
    return all;
}

template <>
std::span<const std::string_view> names<AlertKind>() noexcept {
    static constexpr std::array all{
        "new_weak_client"sv,      "client_changed"sv,      "client_weakened"sv,  "certificate_expiring"sv,
        "upstream_certificate"sv, "upstream_unverified"sv, "upstream_failed"sv,  "host_role_changed"sv,
        "reload_failed"sv,        "events_dropped"sv,      "inventory_failed"sv, "capture_started"sv,
        "capture_stopped"sv,      "console_command"sv,     "started"sv,          "stopping"sv};
    static_assert(all.size() == static_cast<std::size_t>(AlertKind::stopping) + 1);
    return all;
}

template <>
std::span<const std::string_view> names<AlertTemplate>() noexcept {
    static constexpr std::array all{"json"sv, "slack"sv};
    return all;
}

}  // namespace config
