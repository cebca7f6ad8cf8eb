#include "config_fixture.hpp"

namespace {

using namespace config_fixture;

const auto every_key = R"([log]
level = "debug"
format = "json"
file = "log/pgairlock.log"
[runtime]
threads = 4
max_connections = 500
max_connections_per_address = 20
max_connections_before_login = 300
reserved_connections = 3
reserved_users = ["postgres", "dba"]
client_opening_timeout = "3s"
client_login_timeout = "10s"
drain_timeout = "0s"
state_dir = "../state"
[[listener]]
name = "legacy"
listen = ["127.0.0.1:6432", "[::1]:0", "unix:/run/pgairlock/.s.PGSQL.6432"]
upstream = "orders"
allow = ["10.0.0.0/8", "2001:db8::/32"]
max_connections = 100
login_rate_per_address = 20
idle_timeout = "1h"
tcp_keepalive = "0s"
tcp_user_timeout = "45s"
[listener.tls]
mode = "require"
direct = false
cert_file = "server.crt"
key_file = "server.key"
trust = "undistributed"
ca_file = "ca.crt"
client_cert = "require"
ssl_min_protocol_version = "TLSv1"
ssl_max_protocol_version = "TLSv1.3"
ssl_ciphers = "DEFAULT"
ssl_tls13_ciphers = "TLS_AES_128_GCM_SHA256"
ssl_groups = "X25519"
legacy = true
[[listener.tls.certificate]]
cert_file = "server.crt"
key_file = "server.key"
server_names = ["db.example.com", "*.example.com"]
[[listener.tls.certificate]]
cert_file = "ca.crt"
key_file = "server.key"
[[listener]]
listen = "127.0.0.1:6433"
upstream = "orders"
[upstream.orders]
hosts = ["db.example.com", "10.0.0.1:5433", "::1", "[fe80::1%eth0]:5432", "unix:/run/postgresql/.s.PGSQL.5432"]
max_user_connections = 10
max_db_connections = 50
max_logins_in_flight = 5
sslmode = "verify-full"
sslrootcert = ["ca.crt", "system"]
sslnegotiation = "direct"
sslcert = "server.crt"
sslkey = "server.key"
ssl_ciphers = "DEFAULT"
ssl_tls13_ciphers = "TLS_AES_256_GCM_SHA384"
ssl_groups = "P-384"
ssl_server_name = "db.internal"
ssl_min_protocol_version = "TLSv1.3"
ssl_max_protocol_version = "TLSv1.3"
target_session_attrs = "any"
connect_timeout = "250ms"
tcp_keepalive = "2m"
tcp_user_timeout = "30s"
[upstream.archive]
hosts = "archive"
[audit]
file = "-"
[auth]
scram = "terminate"
users_file = "users.txt"
[admin]
console = "unix:/run/pgairlock/.s.PGSQL.6434"
console_uids = [1000, 1001]
console_readers = 1002
)";

}  // namespace

TEST_CASE("config: every key arrives where it belongs") {
    const Folder folder;
    for (const char* const name : {"server.crt", "server.key", "ca.crt", "users.txt"}) folder.write(name);
    const std::string file = folder.write("pgairlock.toml", every_key);
    const Loaded loaded = load(file);
    const Config& config = valid(loaded);
    CHECK(texts(loaded.warnings) == Lines{});

    CHECK(config.file == file);
    CHECK(config.log.level == LogLevel::debug);
    CHECK(config.log.format == LogFormat::json);
    CHECK(config.log.file == folder.path("log/pgairlock.log"));
    CHECK(config.runtime.threads == 4);
    CHECK(config.runtime.max_connections == 500);
    CHECK(config.runtime.max_connections_per_address == 20);
    CHECK(config.runtime.max_connections_before_login == 300);
    CHECK(config.runtime.reserved_connections == 3);
    CHECK(config.runtime.reserved_users == std::vector<std::string>{"postgres", "dba"});
    CHECK(config.listeners[0].max_connections == 100);
    CHECK(config.listeners[0].login_rate_per_address == 20);
    CHECK(config.upstreams[0].max_user_connections == 10);
    CHECK(config.upstreams[0].max_db_connections == 50);
    CHECK(config.upstreams[0].max_logins_in_flight == 5);
    CHECK(config.runtime.client_opening_timeout == 3s);
    CHECK(config.runtime.client_login_timeout == 10s);
    CHECK(config.runtime.drain_timeout == 0s);
    CHECK(config.runtime.state_dir == std::filesystem::path{folder.path("")}.parent_path().parent_path() / "state");
    CHECK(config.audit.file == "-");
    CHECK(config.auth.scram == ScramMode::terminate);
    CHECK(config.auth.users_file.path == folder.path("users.txt"));
    CHECK(config.auth.users_file.origin.line == 76);
    CHECK(config.auth.users_file.origin.column == 14);
    CHECK(config.auth.users_file.origin.key == "auth.users_file");
    CHECK(config.admin.console == "unix:/run/pgairlock/.s.PGSQL.6434");
    CHECK(config.admin.console_origin.line == 78);
    CHECK(config.admin.console_uids == std::vector<unsigned>{1000, 1001});
    CHECK(config.admin.console_readers == std::vector<unsigned>{1002});

    REQUIRE(config.listeners.size() == 2);
    const Listener& listener = config.listeners[0];
    CHECK(listener.name == "legacy");
    REQUIRE(listener.listen.size() == 3);
    CHECK(to_string(listener.listen[0]) == "127.0.0.1:6432");
    CHECK(to_string(listener.listen[1]) == "[::1]:0");
    CHECK(to_string(listener.listen[2]) == "unix:/run/pgairlock/.s.PGSQL.6432");
    CHECK(listener.upstream == "orders");
    REQUIRE(listener.allow.size() == 2);
    CHECK(listener.allow[0].contains(v4(10, 255, 0, 1)));
    CHECK_FALSE(listener.allow[0].contains(v4(127, 0, 0, 1)));
    CHECK(listener.idle_timeout == 1h);
    CHECK(listener.tcp_keepalive == 0s);
    CHECK(listener.tcp_user_timeout == 45s);

    const ListenerTls& tls = listener.tls;
    CHECK(tls.mode == ClientTlsMode::require);
    CHECK_FALSE(tls.direct);
    CHECK(tls.cert_file.path == folder.path("server.crt"));
    CHECK(tls.cert_file.origin.line == 29);
    CHECK(tls.cert_file.origin.column == 13);
    CHECK(tls.cert_file.origin.key == "listener.tls.cert_file");
    CHECK(tls.key_file.path == folder.path("server.key"));
    CHECK(tls.trust == Trust::undistributed);
    CHECK(tls.ca_file.path == folder.path("ca.crt"));
    CHECK(tls.client_cert == ClientCert::require);
    CHECK(tls.ssl_min_protocol_version == TlsVersion::v1_0);
    CHECK(tls.ssl_max_protocol_version == TlsVersion::v1_3);
    CHECK(tls.ssl_ciphers == "DEFAULT");
    CHECK(tls.ssl_tls13_ciphers == "TLS_AES_128_GCM_SHA256");
    CHECK(tls.ssl_groups == "X25519");
    CHECK(tls.legacy);
    REQUIRE(tls.certificate.size() == 2);
    CHECK(tls.certificate[0].server_names == Lines{"db.example.com", "*.example.com"});
    CHECK(tls.certificate[1].cert_file.path == folder.path("ca.crt"));
    CHECK(tls.certificate[1].key_file.path == folder.path("server.key"));

    CHECK(config.listeners[1].name == "orders");
    REQUIRE(config.upstreams.size() == 2);
    const Upstream& upstream = config.upstreams[0];
    CHECK(upstream.name == "orders");
    CHECK(config.find_upstream("archive") == &config.upstreams[1]);
    CHECK(config.find_upstream("nothing") == nullptr);
    REQUIRE(upstream.hosts.size() == 5);
    CHECK(to_string(upstream.hosts[0]) == "db.example.com:5432");
    CHECK(to_string(upstream.hosts[1]) == "10.0.0.1:5433");
    CHECK(to_string(upstream.hosts[2]) == "[::1]:5432");
    CHECK(to_string(upstream.hosts[3]) == "[fe80::1%eth0]:5432");
    CHECK(to_string(upstream.hosts[4]) == "unix:/run/postgresql/.s.PGSQL.5432");
    CHECK(upstream.sslmode == SslMode::verify_full);
    REQUIRE(upstream.sslrootcert.size() == 2);
    CHECK(upstream.sslrootcert[0].path == folder.path("ca.crt"));
    CHECK(upstream.sslrootcert[1].path == "system");
    CHECK(upstream.sslnegotiation == SslNegotiation::direct);
    CHECK(upstream.sslcert.path == folder.path("server.crt"));
    CHECK(upstream.sslkey.path == folder.path("server.key"));
    CHECK(upstream.ssl_ciphers == "DEFAULT");
    CHECK(upstream.ssl_tls13_ciphers == "TLS_AES_256_GCM_SHA384");
    CHECK(upstream.ssl_groups == "P-384");
    CHECK(upstream.ssl_server_name == "db.internal");
    CHECK(upstream.ssl_min_protocol_version == TlsVersion::v1_3);
    CHECK(upstream.ssl_max_protocol_version == TlsVersion::v1_3);
    CHECK(upstream.target_session_attrs == TargetSessionAttrs::any);
    CHECK(upstream.connect_timeout == 250ms);
    CHECK(upstream.tcp_keepalive == 120s);
    CHECK(upstream.tcp_user_timeout == 30s);
}

TEST_CASE("config: a file with one host is enough") {
    const Loaded loaded = load_text("[upstream.orders]\nhosts = ['db.example.com']\n", "t");
    const Config& config = valid(loaded);
    CHECK(loaded.warnings.empty());
    REQUIRE(config.listeners.size() == 1);
    const Listener& listener = config.listeners[0];
    CHECK(listener.name == "orders");
    CHECK(listener.upstream == "orders");
    REQUIRE(listener.listen.size() == 1);
    CHECK(to_string(listener.listen[0]) == "127.0.0.1:6432");
    REQUIRE(listener.allow.size() == 2);
    CHECK(listener.allow[0].contains(v4(127, 9, 9, 9)));
    CHECK_FALSE(listener.allow[0].contains(v4(10, 0, 0, 1)));
    CHECK(listener.allow[1].contains({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}));
    CHECK(listener.tls.mode == ClientTlsMode::allow);
    CHECK(config.upstreams[0].sslmode == SslMode::verify_full);
    CHECK(config.upstreams[0].sslrootcert.empty());
    CHECK(config.upstreams[0].ssl_groups == "P-256:?X25519MLKEM768:X25519:P-384:P-521:X448");
}

TEST_CASE("config: the defaults that the reference names are the defaults") {
    const Loaded loaded =
        load_text(defaults<Log>("[log]") + defaults<Runtime>("[runtime]") + defaults<Listener>("[[listener]]") +
                      defaults<ListenerTls>("[listener.tls]") + defaults<Audit>("[audit]") + defaults<Auth>("[auth]") +
                      defaults<Admin>("[admin]") + defaults<Upstream>("[upstream.a]") + "hosts = 'a'\n",
                  "t");
    const Config& config = valid(loaded);
    CHECK(loaded.warnings.empty());
    const Config fresh;
    CHECK(config.log.level == fresh.log.level);
    CHECK(config.log.format == fresh.log.format);
    CHECK(config.log.file.empty());
    CHECK(config.runtime.threads == fresh.runtime.threads);
    CHECK(config.runtime.max_connections == fresh.runtime.max_connections);
    CHECK(config.runtime.max_connections_per_address == fresh.runtime.max_connections_per_address);
    CHECK(config.runtime.max_connections_before_login == fresh.runtime.max_connections_before_login);
    CHECK(config.runtime.reserved_connections == fresh.runtime.reserved_connections);
    CHECK(config.runtime.reserved_users == fresh.runtime.reserved_users);
    CHECK(config.upstreams[0].max_user_connections == Upstream{}.max_user_connections);
    CHECK(config.upstreams[0].max_db_connections == Upstream{}.max_db_connections);
    CHECK(config.upstreams[0].max_logins_in_flight == Upstream{}.max_logins_in_flight);
    CHECK(config.runtime.client_opening_timeout == fresh.runtime.client_opening_timeout);
    CHECK(config.runtime.client_login_timeout == fresh.runtime.client_login_timeout);
    CHECK(config.runtime.drain_timeout == fresh.runtime.drain_timeout);
    CHECK(config.runtime.state_dir.empty());
    CHECK(config.audit.file == fresh.audit.file);
    CHECK(config.auth.scram == fresh.auth.scram);
    CHECK_FALSE(config.auth.users_file);
    CHECK(config.admin.console == fresh.admin.console);
    CHECK(config.admin.console_uids.empty());
    CHECK(config.admin.console_readers.empty());

    const Loaded minimal = load_text("[upstream.a]\nhosts = 'a'\n", "t");
    const Listener& listener = config.listeners.at(0);
    const Listener& fresh_listener = valid(minimal).listeners.at(0);
    CHECK(listener.name == fresh_listener.name);
    CHECK(to_string(listener.listen.at(0)) == to_string(fresh_listener.listen.at(0)));
    CHECK(listener.upstream == fresh_listener.upstream);
    REQUIRE(listener.allow.size() == 2);
    for (const std::size_t i : {0u, 1u}) {
        CHECK(listener.allow[i].bytes == fresh_listener.allow.at(i).bytes);
        CHECK(listener.allow[i].prefix_length == fresh_listener.allow.at(i).prefix_length);
    }
    CHECK(listener.idle_timeout == fresh_listener.idle_timeout);
    CHECK(listener.tcp_keepalive == fresh_listener.tcp_keepalive);
    CHECK(listener.tcp_user_timeout == fresh_listener.tcp_user_timeout);

    const ListenerTls& tls = listener.tls;
    const ListenerTls fresh_tls;
    CHECK(tls.mode == fresh_tls.mode);
    CHECK(tls.direct == fresh_tls.direct);
    CHECK_FALSE(tls.cert_file);
    CHECK_FALSE(tls.key_file);
    CHECK(tls.trust == fresh_tls.trust);
    CHECK_FALSE(tls.ca_file);
    CHECK(tls.client_cert == fresh_tls.client_cert);
    CHECK(tls.ssl_min_protocol_version == fresh_tls.ssl_min_protocol_version);
    CHECK(tls.ssl_max_protocol_version == fresh_tls.ssl_max_protocol_version);
    CHECK(tls.ssl_ciphers == fresh_tls.ssl_ciphers);
    CHECK(tls.ssl_tls13_ciphers == fresh_tls.ssl_tls13_ciphers);
    CHECK(tls.ssl_groups == fresh_tls.ssl_groups);
    CHECK(tls.legacy == fresh_tls.legacy);

    const Upstream& upstream = config.upstreams.at(0);
    const Upstream fresh_upstream;
    CHECK(upstream.sslmode == fresh_upstream.sslmode);
    CHECK(upstream.sslrootcert.empty());
    CHECK(upstream.sslnegotiation == fresh_upstream.sslnegotiation);
    CHECK_FALSE(upstream.sslcert);
    CHECK_FALSE(upstream.sslkey);
    CHECK(upstream.ssl_ciphers == fresh_upstream.ssl_ciphers);
    CHECK(upstream.ssl_tls13_ciphers == fresh_upstream.ssl_tls13_ciphers);
    CHECK(upstream.ssl_groups == fresh_upstream.ssl_groups);
    CHECK(upstream.ssl_server_name == fresh_upstream.ssl_server_name);
    CHECK(upstream.ssl_min_protocol_version == fresh_upstream.ssl_min_protocol_version);
    CHECK(upstream.ssl_max_protocol_version == fresh_upstream.ssl_max_protocol_version);
    CHECK(upstream.connect_timeout == fresh_upstream.connect_timeout);
    CHECK(upstream.tcp_keepalive == fresh_upstream.tcp_keepalive);
    CHECK(upstream.tcp_user_timeout == fresh_upstream.tcp_user_timeout);
}

TEST_CASE("config: a file that cannot be read is named with the reason") {
    const Folder folder;
    CHECK(texts(load(folder.path("none.toml")).errors) ==
          Lines{folder.path("none.toml") + ": cannot read the configuration file: No such file or directory"});
    CHECK(texts(load(folder.path(".")).errors) ==
          Lines{folder.path(".") + ": cannot read the configuration file: Is a directory"});
    // It can be opened, and then fails, as a file on a broken disk does.
    CHECK(texts(load("/proc/self/mem").errors) ==
          Lines{"/proc/self/mem: cannot read the configuration file: Input/output error"});
    CHECK(texts(load("/dev/zero").errors) ==
          Lines{"/dev/zero: cannot read the configuration file: it is larger than 16 MiB, which none needs to be"});
}

TEST_CASE("config: a syntax error has a line and a column") {
    const Lines errors = texts(load_text("[log]\nlevel = \n", "t").errors);
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].starts_with("t:2:7: log.level: the value is missing"));
    CHECK(texts(load_text("[log]\n[log]\n", "t").errors).size() == 1);
    CHECK_FALSE(load_text("a = '\xff'", "t").config);
}

TEST_CASE("config: all errors are reported at once, in the order of the file") {
    CHECK(texts(load_text("[upstream.a]\nhosts = 'a:b'\nsslmod = 'x'\n[log]\nlevel = 'x'\n[audit]\nfile = 1\n",
                          "dir/t.toml")
                    .errors) == Lines{"dir/t.toml:2:9: upstream.a.hosts: \"a:b\" is not a host: HOST:PORT, such as "
                                      "\"db.example.com:5432\" or \"[::1]:5432\", "
                                      "or \"unix:/path\" of at most 107 bytes",
                                      "dir/t.toml:3:1: upstream.a.sslmod: unknown key; did you mean \"sslmode\"?",
                                      "dir/t.toml:5:9: log.level: \"x\" is not one of trace, debug, info, warn, error",
                                      "dir/t.toml:7:8: audit.file: expected a string, got an integer"});
}

TEST_CASE("config: a word that is nearly right is recognised") {
    CHECK(
        errors_after_upstream("[[listener]]\n[listener.tls]\nmode = 'requir'") ==
        Lines{"t:4:8: listener.tls.mode: \"requir\" is not one of disable, allow, require; did you mean \"require\"?"});
    CHECK(upstream_errors("hosts = 'a'\nsslmode = 'VERIFY_FULL'") ==
          Lines{"t:3:11: upstream.a.sslmode: \"VERIFY_FULL\" is not one of disable, allow, prefer, require, verify-ca, "
                "verify-full; did "
                "you mean \"verify-full\"?"});
    CHECK(errors_after_upstream("[runtiem]") == Lines{"t:2:2: runtiem: unknown table; did you mean \"runtime\"?"});
    CHECK(errors_after_upstream("[[listener]]\n[listener.tsl]") ==
          Lines{"t:3:11: listener.tsl: unknown table; did you mean \"tls\"?"});
}

TEST_CASE("config: a reserve leaves something, to somebody, of every limit") {
    const auto runtime = [](const std::string& lines) { return errors_after_upstream("[runtime]\n" + lines); };
    CHECK(runtime("max_connections = 10\nreserved_connections = 9\nreserved_users = ['postgres']") == Lines{});
    CHECK(runtime("max_connections = 10\nreserved_connections = 10\nreserved_users = ['postgres']") ==
          Lines{"t:4:24: runtime.reserved_connections: 10 leave none of max_connections = 10 for anybody else"});
    CHECK(runtime("reserved_connections = 1") ==
          Lines{"t:3:24: runtime.reserved_connections: needs reserved_users: for whom they are left"});
    CHECK(runtime("reserved_users = ['']") ==
          Lines{"t:3:19: runtime.reserved_users: an empty string has no place in a list"});
    CHECK(
        runtime("reserved_connections = 3\nreserved_users = ['postgres']\n[[listener]]\nname = 'l'\nmax_connections = "
                "4") == Lines{});
    CHECK(
        runtime("reserved_connections = 3\nreserved_users = ['postgres']\n[[listener]]\nname = 'l'\nmax_connections = "
                "3") == Lines{"t:7:19: listener.max_connections: 3 of listener \"l\" leave none beside "
                              "runtime.reserved_connections = 3"});
}

TEST_CASE("config: a limit that has no effect is told") {
    const auto warnings = [](const std::string& lines) { return texts(load_after_upstream(lines).warnings); };
    CHECK(warnings("[runtime]\nreserved_users = ['postgres']") ==
          Lines{"t:3:18: runtime.reserved_users: has no effect without reserved_connections, max_user_connections or "
                "max_db_connections"});
    CHECK(load_upstream("hosts = 'a'\nmax_user_connections = 1\n[runtime]\nreserved_users = ['postgres']")
              .warnings.empty());
    CHECK(warnings("[runtime]\nmax_connections = 10\n[[listener]]\nname = 'l'\nmax_connections = 11") ==
          Lines{"t:6:19: listener.max_connections: 11 of listener \"l\" are never reached: runtime.max_connections is "
                "10"});
}

TEST_CASE("config: what no release does yet is unknown") {
    CHECK(errors_after_upstream("[dashboard]") == Lines{"t:2:2: dashboard: unknown table; the tables are log, runtime, "
                                                        "listener, upstream, auth, audit, capture, admin, alert"});
    CHECK(load_text("level = 'info'\nupstream.a.hosts = 'a'", "t").errors.size() == 1);
}

TEST_CASE("config: named files must be there and readable") {
    const Folder folder;
    const std::string key = folder.write("k");
    const auto errors =
        texts(load_text("[upstream.a]\nhosts = 'a'\nsslrootcert = ['none.pem', '/']\nsslcert = 'none.crt'\nsslkey = '" +
                            key + "'\n",
                        folder.path("t"))
                  .errors);
    const std::string file = folder.path("t");
    CHECK(errors == Lines{file + ":3:16: upstream.a.sslrootcert: cannot read \"" + folder.path("none.pem") +
                              "\": No such file or directory",
                          file + ":3:28: upstream.a.sslrootcert: cannot read \"/\": Is a directory",
                          file + ":4:11: upstream.a.sslcert: cannot read \"" + folder.path("none.crt") +
                              "\": No such file or directory"});
}

TEST_CASE("config: flags are a short form of a file") {
    const Folder folder;
    const std::string ca = folder.write("ca.crt");
    const Loaded loaded = from_flags({.listen = "0.0.0.0:7000",
                                      .upstream = "db:1",
                                      .sslrootcert = {ca},
                                      .sslmode = "verify-ca",
                                      .state_dir = "state"});
    const Config& config = valid(loaded);
    CHECK(config.file.empty());
    REQUIRE(config.listeners.size() == 1);
    CHECK(config.listeners[0].name == "default");
    CHECK(config.listeners[0].upstream == "default");
    CHECK(to_string(config.listeners[0].listen.at(0)) == "0.0.0.0:7000");
    REQUIRE(config.upstreams.size() == 1);
    CHECK(config.upstreams[0].name == "default");
    CHECK(to_string(config.upstreams[0].hosts.at(0)) == "db:1");
    CHECK(config.upstreams[0].sslmode == SslMode::verify_ca);
    CHECK(config.upstreams[0].sslrootcert.at(0).path == ca);
    CHECK(config.upstreams[0].sslrootcert.at(0).origin.file == "command line");
    CHECK(config.runtime.state_dir == std::filesystem::current_path() / "state");
    REQUIRE(loaded.warnings.size() == 2);  // of sslmode, and of a door through which nobody gets
    CHECK(to_string(loaded.warnings[1]).starts_with("--listen: \"0.0.0.0:7000\" is reached from other hosts"));
}

TEST_CASE("config: one flag is enough") {
    const Loaded loaded =
        from_flags({.listen = "", .upstream = "db", .sslrootcert = {}, .sslmode = "", .state_dir = ""});
    const Config& config = valid(loaded);
    CHECK(loaded.warnings.empty());
    CHECK(to_string(config.listeners.at(0).listen.at(0)) == "127.0.0.1:6432");
    CHECK(to_string(config.upstreams.at(0).hosts.at(0)) == "db:5432");
    CHECK(config.upstreams[0].sslmode == SslMode::verify_full);
    CHECK(config.runtime.state_dir.empty());
}

TEST_CASE("config: errors in flags name the flag") {
    const auto errors = [](const Flags& flags) { return texts(from_flags(flags).errors); };
    CHECK(errors({}) == Lines{"--upstream: expected at least one address, such as \"db.example.com:5432\""});
    const Flags wrong{
        .listen = "6432", .upstream = "db:0", .sslrootcert = {"/none"}, .sslmode = "strict", .state_dir = ""};
    CHECK(errors(wrong) ==
          Lines{"--upstream: \"db:0\": no server listens on port 0",
                "--sslmode: \"strict\" is not one of disable, allow, prefer, require, verify-ca, verify-full",
                "--sslrootcert: cannot read \"/none\": No such file or directory",
                "--listen: \"6432\" is not an address to listen on: an IP address and a port, such as "
                "\"127.0.0.1:6432\" or \"[::1]:6432\", or \"unix:/path\" of at most 107 bytes"});
    const Origin origin = from_flags(wrong).errors.at(1).origin;
    CHECK(origin.file == "command line");
    CHECK(origin.line == 0);
    CHECK(origin.key == "--sslmode");
    CHECK(errors({.listen = "", .upstream = "db", .sslrootcert = {"system"}, .sslmode = "require", .state_dir = ""}) ==
          Lines{"--sslmode: weak sslmode \"require\" may not be used with sslrootcert=system (use \"verify-full\")"});
    CHECK(errors({.listen = "", .upstream = "unix:/x", .sslrootcert = {}, .sslmode = "", .state_dir = ""}) ==
          Lines{"--upstream: \"unix:/x\" has no name to verify: sslmode = \"verify-full\" needs ssl_server_name"});
}
