#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "config/keys.hpp"
#include "config/load.hpp"
#include "config/secret.hpp"
#include "support/catch.hpp"

namespace {

using namespace config;
using namespace std::chrono_literals;
using protocol::ScramMode;
using protocol::SslMode;

using Lines = std::vector<std::string>;

Lines texts(const std::vector<Diagnostic>& diagnostics) {
    Lines lines;
    for (const Diagnostic& diagnostic : diagnostics) lines.push_back(to_string(diagnostic));
    return lines;
}

/// A folder with a configuration file and what it names, removed afterwards.
class Folder {
   public:
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "config_test.XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string path(const std::string& name) const { return path_ + "/" + name; }
    std::string write(const std::string& name, const std::string& text = "") const {
        std::ofstream{path(name)} << text;
        return path(name);
    }

   private:
    std::string path_;
};

/// The text, behind a valid upstream on one line, as file "t": what it says is on line 2 and later.
Loaded load_after_upstream(const std::string& text) { return load_text("upstream.a = {hosts = 'a:1'}\n" + text, "t"); }

Lines errors_after_upstream(const std::string& text) { return texts(load_after_upstream(text).errors); }

/// The lines, as those of [upstream.a] on line 2 and later.
Loaded load_upstream(const std::string& lines) { return load_text("[upstream.a]\n" + lines, "t"); }

Lines upstream_errors(const std::string& lines) { return texts(load_upstream(lines).errors); }

const Config& valid(const Loaded& loaded) {
    CHECK(texts(loaded.errors) == Lines{});
    REQUIRE(loaded.config);
    return *loaded.config;
}

std::array<std::uint8_t, 16> v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
    return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d};
}

/// The header, and each key at the value that the reference calls its default.
template <class S>
std::string defaults(const std::string& header) {
    std::string text = header + "\n";
    for (const Key<S>& key : section<S>().keys) {
        if (!key.default_value.empty()) text += std::string{key.name} + " = " + std::string{key.default_value} + "\n";
    }
    return text;
}

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

TEST_CASE("config: prewarm needs a mode that insists on TLS") {
    for (const char* sslmode : {"disable", "allow", "prefer"}) {
        CHECK(upstream_errors("hosts = 'a'\nprewarm = 1\nsslmode = '" + std::string(sslmode) + "'") ==
              Lines{"t:3:11: upstream.a.prewarm: keeps TLS connections ready, which sslmode \"" + std::string(sslmode) +
                    "\" does not insist on (use \"verify-full\")"});
    }
    CHECK(upstream_errors("hosts = 'a'\nprewarm = 1").empty());
    CHECK(upstream_errors("hosts = 'a'\nprewarm = 1\nprewarm_max_age = '0s'").size() == 1);
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

TEST_CASE("config: kinds of servers and their order are those of libpq") {
    for (const char* wanted : {"any", "read-write", "read-only", "primary", "standby", "prefer-standby"})
        CHECK(upstream_errors("hosts = 'a'\ntarget_session_attrs = '" + std::string(wanted) + "'").empty());
    for (const char* order : {"disable", "random"})
        CHECK(upstream_errors("hosts = 'a'\nload_balance_hosts = '" + std::string(order) + "'").empty());
    CHECK(upstream_errors("hosts = 'a'\ntarget_session_attrs = 'master'").size() == 1);
    CHECK(upstream_errors("hosts = 'a'\nload_balance_hosts = 'round-robin'").size() == 1);
}

TEST_CASE("config: a monitor is asked for by its user, and asks no more often than it does at most") {
    CHECK(upstream_errors("hosts = 'a'\nmonitor_user = 'm'\nmonitor_interval = '250ms'").empty());
    CHECK(upstream_errors("hosts = 'a'\nmonitor_user = 'm'\nmonitor_interval = '249ms'") ==
          Lines{"t:4:20: upstream.a.monitor_interval: is shorter than 250ms"});
    CHECK(texts(load_upstream("hosts = 'a'\nmonitor_password_file = '/f'").warnings) ==
          Lines{"t:3:25: upstream.a.monitor_password_file: has no effect without monitor_user"});
    CHECK(texts(load_upstream("hosts = 'a'\nmonitor_interval = '1s'").warnings) ==
          Lines{"t:3:20: upstream.a.monitor_interval: has no effect without monitor_user"});
    CHECK(upstream_errors("hosts = 'a'\nmonitor_user = 'm'\nsample_interval = '1s'").empty());
    CHECK(upstream_errors("hosts = 'a'\nmonitor_user = 'm'\nsample_interval = '0s'").empty());
    CHECK(upstream_errors("hosts = 'a'\nmonitor_user = 'm'\nsample_interval = '999ms'") ==
          Lines{"t:4:19: upstream.a.sample_interval: is shorter than 1s"});
    CHECK(texts(load_upstream("hosts = 'a'\nsample_interval = '0s'").warnings) ==
          Lines{"t:3:19: upstream.a.sample_interval: has no effect without monitor_user"});
}

TEST_CASE("config: that sessions are closed on a demotion which nobody may hear of is warned of") {
    const std::string closing = "hosts = 'a'\ntarget_session_attrs = 'read-write'\non_demotion = 'close'";
    CHECK(texts(load_upstream(closing).warnings) ==
          Lines{"t:4:15: upstream.a.on_demotion: \"close\" may never act without monitor_user: that a server was "
                "demoted is then only known after the next login at it, of which there may be none"});
    CHECK(load_upstream(closing + "\nmonitor_user = 'm'").warnings.empty());
    CHECK(load_upstream("hosts = 'a'\ntarget_session_attrs = 'read-write'").warnings.empty());
}

TEST_CASE("config: sessions leave a demoted server where they were to write") {
    for (const char* wanted : {"read-write", "primary"})
        CHECK(
            upstream_errors("hosts = 'a'\non_demotion = 'close'\ntarget_session_attrs = '" + std::string(wanted) + "'")
                .empty());
    for (const char* wanted : {"any", "read-only", "standby", "prefer-standby"})
        CHECK(upstream_errors("hosts = 'a'\non_demotion = 'close'\ntarget_session_attrs = '" + std::string(wanted) +
                              "'") ==
              Lines{"t:3:15: upstream.a.on_demotion: \"close\" needs target_session_attrs = \"read-write\" or "
                    "\"primary\": others may stay where they are"});
    CHECK(upstream_errors("hosts = 'a'\non_demotion = 'keep'").empty());
    CHECK(upstream_errors("hosts = 'a'\non_demotion = 'now'").size() == 1);
}

TEST_CASE("config: what no release does yet is unknown") {
    CHECK(errors_after_upstream("[dashboard]") == Lines{"t:2:2: dashboard: unknown table; the tables are log, runtime, "
                                                        "listener, upstream, auth, audit, capture, admin, alert"});
    CHECK(load_text("level = 'info'\nupstream.a.hosts = 'a'", "t").errors.size() == 1);
}

TEST_CASE("config: a value of the wrong type is told from the right one") {
    const auto errors = errors_after_upstream(R"([runtime]
threads = "4"
drain_timeout = 30
state_dir = 1979-05-27
max_connections = 1.5
[[listener]]
allow = ["::1", 7]
listen = {a = 1}
[listener.tls]
direct = "yes"
mode = true
cert_file = []
)");
    CHECK(errors == Lines{"t:3:11: runtime.threads: a number has no quotes: write 4",
                          "t:4:17: runtime.drain_timeout: expected a duration (\"250ms\", \"5s\", \"2m\", \"1h\", "
                          "\"30d\"), got an integer",
                          "t:5:13: runtime.state_dir: expected a string, got a date",
                          "t:6:19: runtime.max_connections: expected an integer, got a floating-point number",
                          "t:8:17: listener.allow: expected a string, got an integer",
                          "t:9:10: listener.listen: expected a list of addresses, got a table",
                          "t:11:10: listener.tls.direct: expected a boolean (true or false), got a string",
                          "t:12:8: listener.tls.mode: expected one of disable, allow, require, got a boolean",
                          "t:13:13: listener.tls.cert_file: expected a file, got a list"});
    CHECK(errors_after_upstream("log = 1") == Lines{"t:2:7: log: expected a table, [log], got an integer"});
    CHECK(errors_after_upstream("[listener]") ==
          Lines{"t:2:1: listener: expected tables with the header [[listener]], got a table"});
    CHECK(errors_after_upstream("[[listener]]\n[listener.tls.certificate]").size() == 1);
    CHECK(errors_after_upstream("[[listener]]\ntls = 1").size() == 1);
    CHECK(load_text("upstream = 1", "t").errors.size() == 1);
}

TEST_CASE("config: a mistyped path of a secret file is shown where it can be no secret") {
    const auto told = [](const std::string& path) {
        return errors_after_upstream("[auth]\nscram = 'terminate'\nusers_file = '" + path + "'").front();
    };
    CHECK(told("/etcc-of-nobody/pgairlock/users.txt").find("\"/etcc-of-nobody/pgairlock/users.txt\"") !=
          std::string::npos);
    CHECK(told("./of-nobody/users").find("of-nobody/users\"") != std::string::npos);
    for (const char* const secret : {"/9j4AAQSkZJRgABAQ/Zx", "/etcc-of-nobody/Zm9vYmFy", "correct-horse"})
        CHECK(told(secret).find(secret) == std::string::npos);
}

TEST_CASE("config: a port alone is told with the address that it would be") {
    CHECK(errors_after_upstream("[admin]\nhttp = 6433\nconsole = 6434\n[[listener]]\nlisten = ['[::1]:1', 6432]") ==
          Lines{"t:3:8: admin.http: expected an address in quotes, got an integer: write \"127.0.0.1:6433\"",
                "t:4:11: admin.console: expected an address in quotes, got an integer: write "
                "\"unix:console/.s.PGSQL.6434\"",
                "t:6:22: listener.listen: expected an address in quotes, got an integer: write \"127.0.0.1:6432\""});
    CHECK(load_upstream("hosts = 5432").errors.front().message ==
          "expected an address in quotes, got an integer: write \"db.example.com:5432\"");
    CHECK(errors_after_upstream("[admin]\nhttp = 0\n") ==
          Lines{"t:3:8: admin.http: expected a string, got an integer"});
}

TEST_CASE("config: a list in one string is told with the list that it would be") {
    const auto one_error = [](const std::string& text) {
        const Lines errors = errors_after_upstream(text);
        return errors.size() == 1 ? errors.front() : "not one: " + std::to_string(errors.size());
    };
    CHECK(one_error("[[alert]]\ncommand = '/bin/true'\non = 'started, stopping'") ==
          "t:4:6: alert.on: \"started, stopping\" is one string: write [\"started\", \"stopping\"]");
    CHECK(one_error("[audit.probe]\nkinds = 'untrusted,wrong-name'") ==
          "t:3:9: audit.probe.kinds: \"untrusted,wrong-name\" is one string: write [\"untrusted\", \"wrong-name\"]");
    CHECK(one_error("[[listener]]\nallow = '10.0.0.0/8, ::1'") ==
          "t:3:9: listener.allow: \"10.0.0.0/8, ::1\" is one string: write [\"10.0.0.0/8\", \"::1\"]");
    CHECK(one_error("[[listener]]\nlisten = ['127.0.0.1:1,127.0.0.1:2']") ==
          "t:3:11: listener.listen: \"127.0.0.1:1,127.0.0.1:2\" is one string: write [\"127.0.0.1:1\", "
          "\"127.0.0.1:2\"]");
    const auto errors = load_upstream("hosts = 'b'\nsslrootcert = '/no/a.pem,/no/b.pem'").errors;
    REQUIRE(errors.size() == 1);
    CHECK(errors.front().message == "\"/no/a.pem,/no/b.pem\" is one string: write [\"/no/a.pem\", \"/no/b.pem\"]");
}

TEST_CASE("config: a comma in front of a port is told as the colon that was meant") {
    const auto message = [](const std::string& hosts) {
        const auto errors = load_upstream("hosts = " + hosts).errors;
        return errors.size() == 1 ? errors.front().message : "not one: " + std::to_string(errors.size());
    };
    CHECK(message("'db.example.com,5432'") ==
          "\"db.example.com,5432\": a port stands behind a colon: write \"db.example.com:5432\"");
    CHECK(message("'a, 5432, ::1,5433'") ==
          "\"a, 5432, ::1,5433\": a port stands behind a colon: write [\"a:5432\", \"[::1]:5433\"]");
    CHECK(message("'a:1,5432'") == "\"a:1,5432\" is one string: write [\"a:1\", \"5432\"]");
    CHECK(errors_after_upstream("[[listener]]\nlisten = '127.0.0.1,6432'") ==
          Lines{"t:3:10: listener.listen: \"127.0.0.1,6432\": a port stands behind a colon: write \"127.0.0.1:6432\""});
}

TEST_CASE("config: of an IPv6 address without brackets whose end may be a port nobody can tell") {
    const auto errors = [](const std::string& host) { return load_upstream("hosts = '" + host + "'").errors; };
    REQUIRE(errors("::1:5432").size() == 1);
    CHECK(errors("::1:5432").front().message ==
          "\"::1:5432\" needs brackets: write \"[::1]:5432\", or \"[::1:5432]:5432\" if all of it is the address");
    REQUIRE(errors("2001:db8:0:0:0:0:0:1:65432").size() == 1);
    CHECK(errors("2001:db8:0:0:0:0:0:1:65432").front().message ==
          "\"2001:db8:0:0:0:0:0:1:65432\" needs brackets: write \"[2001:db8:0:0:0:0:0:1]:65432\"");
    for (const char* const one : {"::1", "fe80::1", "2001:db8::ab12", "2001:db8::1:ab12", "[::1:5432]:5432",
                                  "[::1:5432]", "2001:db8:0:0:0:0:0:5432", "::ffff:10.0.0.1"})
        CHECK(errors(one).empty());
    CHECK(errors_after_upstream("[[listener]]\nlisten = '::1:6432'") ==
          Lines{"t:3:10: listener.listen: \"::1:6432\" needs brackets: write \"[::1]:6432\""});
}

TEST_CASE("config: control characters are refused everywhere") {
    CHECK(errors_after_upstream("[audit]\nfile = \"a\\u0000b\"") ==
          Lines{"t:3:8: audit.file: control characters are not allowed here"});
    CHECK(errors_after_upstream("[[listener]]\nname = \"a\\n\"").size() == 1);
    CHECK(load_text("[upstream.\"a\\nb\"]\nhosts = 'a'", "t").errors.size() == 1);
    CHECK(load_text("[upstream.\"\"]\nhosts = 'a'", "t").errors.size() == 1);
}

TEST_CASE("config: counts and durations have limits") {
    CHECK(errors_after_upstream(
              "[runtime]\nthreads = -1\nmax_connections = 0\nmax_connections_per_address = 4294967296") ==
          Lines{"t:3:11: runtime.threads: -1 is not between 0 and 1024",
                "t:4:19: runtime.max_connections: 0 is not between 1 and 1000000",
                "t:5:31: runtime.max_connections_per_address: 4294967296 is not between 0 and 1000000"});
    CHECK(errors_after_upstream("[runtime]\nclient_login_timeout = '0s'\ndrain_timeout = '5'") ==
          Lines{"t:3:24: runtime.client_login_timeout: \"0s\" must be more than zero",
                "t:4:17: runtime.drain_timeout: \"5\" is not a duration: a whole number and ms, s, m, h or d, such as "
                "\"30s\", and "
                "at most ten "
                "years"});
    CHECK(upstream_errors("hosts = 'a'\nconnect_timeout = '0ms'").size() == 1);
    CHECK(upstream_errors("hosts = 'a'\ntcp_keepalive = '10h'\ntcp_user_timeout = '1500ms'") ==
          Lines{"t:3:17: upstream.a.tcp_keepalive: \"10h\" is not a number of whole seconds up to 32767, which is what "
                "TCP takes",
                "t:4:20: upstream.a.tcp_user_timeout: \"1500ms\" is not a number of whole seconds up to 32767, which "
                "is what TCP "
                "takes"});
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

TEST_CASE("config: a server is required") {
    CHECK(texts(load_text("", "t").errors) ==
          Lines{"t: upstream: no server is configured; add a table [upstream.NAME] with hosts = [\"HOST:5432\"]"});
    CHECK(load_text("[upstream]", "t").errors.size() == 1);
    CHECK(texts(load_text("[upstream]\nhosts = 'a'", "t").errors) ==
          Lines{"t:2:1: upstream.hosts: expected a table of its own for each server, such as [upstream.orders]"});
    CHECK(
        upstream_errors("sslmode = 'verify-full'") ==
        Lines{"t:1:1: upstream.a.hosts: is required: where the server is, such as hosts = [\"db.example.com:5432\"]"});
    CHECK(upstream_errors("hosts = []") ==
          Lines{"t:2:9: upstream.a.hosts: expected at least one address, such as \"db.example.com:5432\""});
}

TEST_CASE("config: hosts that cannot be hosts are refused") {
    for (const char* const host : {"a:0", "a:", "a:65536", "a b:1", ":5432", "10.0.0.256:1", "::1:5432:",
                                   "unix:relative", "unix:/", "-a:1", "a..b:1", "[a]:1", "[]:1", "*:1", "unix:"}) {
        CAPTURE(host);
        CHECK(upstream_errors("hosts = '" + std::string{host} + "'\nssl_server_name = 'a'").size() == 1);
    }
    CHECK(upstream_errors("hosts = 'unix:/" + std::string(107, 'x') + "'\nssl_server_name = 'a'").size() == 1);
    CHECK(upstream_errors("hosts = ['a', '']").size() == 1);
}

TEST_CASE("config: a listener goes to an upstream of the file") {
    const std::string two = "[upstream.orders]\nhosts = 'a'\n[upstream.bills]\nhosts = 'b'\n[[listener]]\n";
    CHECK(texts(load_text(two, "t").errors) ==
          Lines{"t:5:1: listener.upstream: is required where there are several: one of orders, bills"});
    CHECK(texts(load_text(two + "upstream = 'ordrs'", "t").errors) ==
          Lines{"t:6:12: listener.upstream: \"ordrs\" is not one of orders, bills; did you mean \"orders\"?"});
    CHECK(valid(load_text(two + "upstream = 'bills'", "t")).listeners.at(0).upstream == "bills");
    CHECK(errors_after_upstream("[[listener]]\nupstream = 'b'") ==
          Lines{"t:3:12: listener.upstream: expected \"a\", got \"b\""});
}

TEST_CASE("config: the log, the audit and the inventory are three files") {
    const auto errors = [](const std::string& text) {
        return texts(load_text("[upstream.a]\nhosts = 'a'\n" + text, "t").errors);
    };
    CHECK(
        errors("[audit]\ninventory = 'audit.jsonl'") ==
        Lines{
            "t:4:13: audit.inventory: audit.inventory and audit.file are one file, \"audit.jsonl\": each would destroy "
            "what the other writes"});
    CHECK(errors("[audit]\nfile = 'x/../inventory.db'").size() == 1);
    CHECK(errors("[audit]\nfile = '/a/b'\ninventory = '/a/./b'").size() == 1);
    CHECK(errors("[audit]\nfile = '/a/b'\n[log]\nfile = '/a/b'").size() == 1);
    CHECK(errors("[runtime]\nstate_dir = '/s'\n[log]\nfile = '/s/audit.jsonl'").size() == 1);
    CHECK(errors("[audit]\nfile = 'inventory.db'\ninventory = 'postgresql://h/d'").size() == 1);
    CHECK(errors("[audit]\nfile = '/dev/stdout'\n[log]\nfile = '/dev/stdout'").empty());
    CHECK(errors("[audit]\nfile = '-'\ninventory = ''\n[log]\nfile = ''").empty());
    CHECK(errors("[audit]\nfile = ''\ninventory = 'postgresql://h/d'\n[log]\nfile = '/a'").empty());
}

TEST_CASE("config: listeners have distinct names") {
    const Loaded loaded = load_after_upstream(
        "[[listener]]\nname = 'listener-2'\n[[listener]]\nlisten = '127.0.0.1:2'\n[[listener]]\nlisten = "
        "'127.0.0.1:3'\n[[listener]]\n"
        "listen = '127.0.0.1:4'");
    const auto& listeners = valid(loaded).listeners;
    REQUIRE(listeners.size() == 4);
    CHECK(listeners[1].name == "a");
    CHECK(listeners[2].name == "listener-3");
    CHECK(listeners[3].name == "listener-4");
    CHECK(errors_after_upstream("[[listener]]\nname = 'x'\n[[listener]]\nname = 'x'\nlisten = '127.0.0.1:2'") ==
          Lines{"t:4:1: listener.name: \"x\" is the name of an earlier listener; names must differ"});
}

TEST_CASE("config: listeners have distinct addresses, but port 0 may repeat") {
    CHECK(errors_after_upstream("[[listener]]\n[[listener]]\nlisten = ['127.0.0.1:6432', 'unix:/x', 'unix:/x']") ==
          Lines{"t:4:11: listener.listen: \"127.0.0.1:6432\" is listened on already, by line 2",
                "t:4:40: listener.listen: \"unix:/x\" is listened on already, by line 4"});
    CHECK(errors_after_upstream("[[listener]]\nlisten = ['127.0.0.1:0', '127.0.0.1:0', '[::1]:0']") == Lines{});
}

TEST_CASE("config: a listener needs addresses with ports") {
    for (const char* const listen :
         {"127.0.0.1", "::1:6432", ":6432", "unix:x", "127.0.0.1:70000", "*", "*:", "*:70000", "*x:1", "a b:6432"}) {
        CAPTURE(listen);
        CHECK(errors_after_upstream("[[listener]]\nlisten = '" + std::string{listen} + "'").size() == 1);
    }
    CHECK(errors_after_upstream("[[listener]]\nlisten = []") ==
          Lines{"t:3:10: listener.listen: expected at least one address, such as \"127.0.0.1:6432\""});
}

TEST_CASE("config: an empty allow list lets nobody in and says so") {
    const Loaded loaded = load_after_upstream("[[listener]]\nallow = []");
    CHECK(valid(loaded).listeners.at(0).allow.empty());
    CHECK(texts(loaded.warnings) == Lines{"t:3:9: listener.allow: lets nobody in over TCP"});
    CHECK(
        errors_after_upstream("[[listener]]\nallow = '10.0.0.0/33'") ==
        Lines{"t:3:9: listener.allow: \"10.0.0.0/33\" is not an address range, such as \"10.0.0.0/8\" or \"::1/128\""});
}

TEST_CASE("config: rules of the client leg") {
    const Folder folder;
    const std::string file = "'" + folder.write("f") + "'";
    const auto load_tls = [](const std::string& lines) {
        return load_after_upstream("[[listener]]\n[listener.tls]\n" + lines);
    };
    const auto errors = [&](const std::string& lines) { return texts(load_tls(lines).errors); };
    const auto warnings = [&](const std::string& lines) { return texts(load_tls(lines).warnings); };

    SECTION("a certificate and its key go together") {
        CHECK(errors("cert_file = " + file) == Lines{"t:4:13: listener.tls.cert_file: needs key_file beside it"});
        CHECK(errors("key_file = " + file) == Lines{"t:4:12: listener.tls.key_file: needs cert_file beside it"});
        CHECK(errors("key_file = " + file + "\ncert_file = " + file) == Lines{});
    }
    SECTION("a further certificate needs both") {
        CHECK(errors("[[listener.tls.certificate]]\ncert_file = " + file) ==
              Lines{"t:4:1: listener.tls.certificate.key_file: is required in [[listener.tls.certificate]]"});
        CHECK(errors("[[listener.tls.certificate]]").size() == 2);
    }
    SECTION("server names are DNS names") {
        CHECK(errors("[[listener.tls.certificate]]\ncert_file = " + file + "\nkey_file = " + file +
                     "\nserver_names = ['*', 'a.*.b', 'ok', '*.ok', 'a b', '10.0.0.1', 'x.', 'x..']")
                  .size() == 5);
    }
    SECTION("client certificates need a CA") {
        for (const char* const value : {"request", "require"}) {
            CHECK(errors("mode = 'require'\nclient_cert = '" + std::string{value} + "'") ==
                  Lines{"t:5:15: listener.tls.client_cert: needs ca_file: the CA certificates that client certificates "
                        "are verified "
                        "against"});
        }
        CHECK(warnings("ca_file = " + file) ==
              Lines{"t:4:11: listener.tls.ca_file: has no effect without client_cert = \"request\" or \"require\""});
        CHECK(warnings("client_cert = 'require'\nca_file = " + file).size() == 1);
    }
    SECTION("TLS below 1.2 needs legacy") {
        CHECK(errors("ssl_min_protocol_version = 'TLSv1.1'") ==
              Lines{"t:4:28: listener.tls.ssl_min_protocol_version: \"TLSv1.1\" needs legacy = true: TLS below 1.2 is "
                    "broken"});
        CHECK(errors("ssl_min_protocol_version = 'TLSv1'\nlegacy = true") == Lines{});
    }
    SECTION("the highest version is not below the lowest") {
        CHECK(
            errors("ssl_max_protocol_version = 'TLSv1.1'") ==
            Lines{"t:4:28: listener.tls.ssl_max_protocol_version: ssl_max_protocol_version = \"TLSv1.1\" is lower than "
                  "ssl_min_protocol_version = \"TLSv1.2\""});
        CHECK(errors("ssl_max_protocol_version = ''") == Lines{});
        CHECK(errors("ssl_min_protocol_version = ''").size() == 1);
        CHECK(errors("ssl_min_protocol_version = 'TLSv1.4'").size() == 1);
    }
    SECTION("settings of TLS that is off are doubtful") {
        CHECK(warnings("mode = 'disable'") == Lines{});
        CHECK(warnings("mode = 'disable'\ndirect = false") ==
              Lines{"t:4:8: listener.tls.mode: \"disable\" leaves the rest of [listener.tls] without effect"});
    }
}

TEST_CASE("config: rules of the upstream leg are libpq's") {
    const Folder folder;
    const std::string file = "'" + folder.write("f") + "'";
    const auto errors = [](const std::string& lines) { return upstream_errors("hosts = 'a'\n" + lines); };

    SECTION("system certificates need verify-full") {
        for (const char* const sslmode : {"disable", "require", "verify-ca"}) {
            CHECK(errors("sslmode = '" + std::string{sslmode} + "'\nsslrootcert = ['system', " + file + "]") ==
                  Lines{"t:3:11: upstream.a.sslmode: weak sslmode \"" + std::string{sslmode} +
                        "\" may not be used with sslrootcert=system (use \"verify-full\")"});
        }
        CHECK(errors("sslrootcert = 'system'") == Lines{});
    }
    SECTION("verify-ca needs certificates") {
        CHECK(errors("sslmode = 'verify-ca'") == Lines{"t:3:11: upstream.a.sslmode: \"verify-ca\" needs sslrootcert: "
                                                       "the CA certificates that the server is verified "
                                                       "against"});
        CHECK(errors("sslmode = 'verify-ca'\nsslrootcert = " + file) == Lines{});
    }
    SECTION("direct TLS needs a mode that insists on TLS") {
        CHECK(
            errors("sslmode = 'prefer'\nsslnegotiation = 'direct'") ==
            Lines{"t:3:11: upstream.a.sslmode: weak sslmode \"prefer\" may not be used with sslnegotiation=direct (use "
                  "\"require\", "
                  "\"verify-ca\", or \"verify-full\")"});
        CHECK(errors("sslmode = 'require'\nsslnegotiation = 'direct'") == Lines{});
    }
    SECTION("a certificate and its key go together") {
        CHECK(errors("sslcert = " + file) == Lines{"t:3:11: upstream.a.sslcert: needs sslkey beside it"});
        CHECK(errors("sslkey = " + file) == Lines{"t:3:10: upstream.a.sslkey: needs sslcert beside it"});
    }
    SECTION("a server name is a DNS name or an address") {
        CHECK(errors("ssl_server_name = 'a b'") ==
              Lines{"t:3:19: upstream.a.ssl_server_name: \"a b\" is neither a DNS name nor an IP address"});
        for (const char* const name : {"db.example.com", "db.example.com.", "10.0.0.1", "::1", "fe80::1%eth0"}) {
            CHECK(errors("ssl_server_name = '" + std::string{name} + "'") == Lines{});
        }
    }
    SECTION("a name to send is a DNS name, or off") {
        CHECK(errors("ssl_sni = '10.0.0.1'") ==
              Lines{"t:3:11: upstream.a.ssl_sni: \"10.0.0.1\" is not a DNS name, nor \"off\""});
        for (const char* const name : {"", "off", "db.example.com", "db.example.com."})
            CHECK(errors("ssl_sni = '" + std::string{name} + "'") == Lines{});
        CHECK(load_upstream("hosts = 'a'\nssl_sni = 'b'").config->upstreams.at(0).ssl_sni == "b");
        CHECK(errors("sslsni = '0'").at(0).find("did you mean \"ssl_sni\"?") != std::string::npos);
    }
    SECTION("a name in other letters is refused with what DNS has for it") {
        const std::string name =
            "b\xc3\xbc"
            "cher.example";
        const auto says = [&](const std::string& toml) {
            const Lines all = upstream_errors(toml);
            return all.size() == 1 && all[0].ends_with("; write \"xn--bcher-kva.example\"");
        };
        CHECK(says("hosts = '" + name + "'"));
        CHECK(says("hosts = '" + name + ":5432'"));
        CHECK(says("hosts = 'a'\nssl_server_name = '" + name + "'"));
        CHECK(says("hosts = 'a'\nssl_sni = '" + name + "'"));
    }
    SECTION("a socket has no name to verify") {
        CHECK(upstream_errors("hosts = ['a', 'unix:/x']") ==
              Lines{"t:2:15: upstream.a.hosts: \"unix:/x\" has no name to verify: sslmode = \"verify-full\" needs "
                    "ssl_server_name"});
        CHECK(upstream_errors("hosts = 'unix:/x'\nssl_server_name = 'a'") == Lines{});
        CHECK(upstream_errors("hosts = 'unix:/x'\nsslmode = 'disable'") == Lines{});
    }
    SECTION("the highest version is not below the lowest") {
        CHECK(errors("ssl_min_protocol_version = 'TLSv1.3'\nssl_max_protocol_version = 'TLSv1.2'").size() == 1);
    }
    SECTION("empty groups are the default ones") {
        CHECK(valid(load_upstream("hosts = 'a'\nssl_groups = ''")).upstreams.at(0).ssl_groups == Upstream{}.ssl_groups);
    }
}

TEST_CASE("config: what is done about SCRAM is one of four") {
    const Folder folder;
    const std::string users = "\nusers_file = '" + folder.write("users.txt") + "'";
    const auto scram = [](const std::string& lines) {
        return valid(load_after_upstream("[auth]\n" + lines)).auth.scram;
    };
    CHECK(valid(load_after_upstream("")).auth.scram == ScramMode::automatic);
    CHECK(scram("") == ScramMode::automatic);
    CHECK(scram("scram = 'auto'") == ScramMode::automatic);
    CHECK(scram("scram = 'passthrough'") == ScramMode::passthrough);
    CHECK(scram("scram = 'bridge'") == ScramMode::bridge);
    CHECK(scram("scram = 'terminate'" + users) == ScramMode::terminate);
    CHECK(errors_after_upstream("[auth]\nscram = 'brigde'") ==
          Lines{"t:3:9: auth.scram: \"brigde\" is not one of auto, passthrough, bridge, terminate; did you mean "
                "\"bridge\"?"});
    CHECK(errors_after_upstream("[auth]\nscram = true") ==
          Lines{"t:3:9: auth.scram: expected one of auto, passthrough, bridge, terminate, got a boolean"});
    CHECK(errors_after_upstream("[auth]\nscram = ''").size() == 1);
    CHECK(errors_after_upstream("[auth]\npassword = 'x'").size() == 1);
}

TEST_CASE("config: a CRL that nothing would be looked up in is a mistake") {
    const Folder folder;
    const std::string crl = "sslcrl = '" + folder.write("some.crl") + "'";
    CHECK(
        upstream_errors("hosts = 'a'\nsslmode = 'require'\n" + crl) ==
        Lines{"t:4:10: upstream.a.sslcrl: needs sslrootcert: with sslmode \"require\" the server's certificate is not "
              "verified without it"});
    CHECK(upstream_errors("hosts = 'a'\nsslmode = 'verify-full'\n" + crl) == Lines{});
}

TEST_CASE("config: who terminates SCRAM needs users, and nobody else does") {
    const Folder folder;
    const std::string users = "users_file = '" + folder.write("users.txt") + "'\n";
    const Lines missing{
        "t:3:9: auth.scram: \"terminate\" needs users_file: who the users are, in the format of PgBouncer's "
        "userlist.txt"};
    CHECK(errors_after_upstream("[auth]\nscram = 'terminate'") == missing);
    CHECK(errors_after_upstream("[auth]\nscram = 'terminate'\nusers_file = ''") == missing);
    const Loaded both = load_after_upstream("[auth]\nscram = 'terminate'\n" + users);
    CHECK(valid(both).auth.users_file.path == folder.path("users.txt"));
    CHECK(texts(both.warnings) == Lines{});
    for (const char* const mode : {"auto", "passthrough", "bridge"}) {
        const Loaded unused = load_after_upstream("[auth]\n" + users + "scram = '" + mode + "'");
        valid(unused);
        CHECK(texts(unused.warnings) == Lines{"t:3:14: auth.users_file: has no effect without scram = \"terminate\""});
    }
    CHECK(texts(load_after_upstream("[auth]\n" + users).warnings).size() == 1);
    CHECK(errors_after_upstream("[auth]\nscram = 'terminate'\nusers_file = '/etc/none'") ==
          Lines{"t:4:14: auth.users_file: cannot read \"/etc/none\": No such file or directory"});
}

TEST_CASE("config: an upstream that could be somebody else is warned about") {
    const Folder folder;
    CHECK(texts(load_upstream("hosts = 'a'\nsslmode = 'require'").warnings) ==
          Lines{"t:3:11: upstream.a.sslmode: \"require\" does not authenticate the server; \"verify-full\" does"});
    CHECK(texts(load_upstream("hosts = 'a'\nsslmode = 'verify-ca'\nsslrootcert = '" + folder.write("f") + "'")
                    .warnings) == Lines{"t:3:11: upstream.a.sslmode: \"verify-ca\" does not check the server's name, "
                                        "only who issued its certificate; "
                                        "\"verify-full\" does"});
    CHECK(
        texts(load_upstream("hosts = 'a'\nsslmode = 'require'\nsslrootcert = '" + folder.write("f") + "'").warnings) ==
        Lines{"t:3:11: upstream.a.sslmode: \"require\" with sslrootcert does not check the server's name, only who "
              "issued its certificate; \"verify-full\" does"});
    CHECK(texts(load_upstream("hosts = 'a'\nsslmode = 'prefer'\nsslrootcert = '" + folder.write("f") + "'").warnings) ==
          Lines{"t:3:11: upstream.a.sslmode: \"prefer\" does not authenticate the server; \"verify-full\" does"});
    const Loaded old = load_upstream("hosts = 'a'\nssl_min_protocol_version = 'TLSv1'");
    CHECK(valid(old).upstreams.at(0).ssl_min_protocol_version == TlsVersion::v1_0);
    CHECK(
        texts(old.warnings) ==
        Lines{
            "t:3:28: upstream.a.ssl_min_protocol_version: \"TLSv1\" lets a server use TLS below 1.2, which is broken"});
}

TEST_CASE("config: a pass phrase for no key is warned about") {
    const Loaded loaded = load_upstream("hosts = 'a'\nssl_passphrase_command = 'echo secret'");
    CHECK(valid(loaded).upstreams.at(0).ssl_passphrase_command == "echo secret");
    CHECK(texts(loaded.warnings) == Lines{"t:3:26: upstream.a.ssl_passphrase_command: has no effect without sslkey"});
    CHECK(texts(load_upstream("hosts = 'a'\n[[listener]]\n[listener.tls]\nssl_passphrase_command = 'true'").warnings) ==
          Lines{"t:5:26: listener.tls.ssl_passphrase_command: has no effect without key_file"});
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

TEST_CASE("config: durations are whole numbers with a unit") {
    CHECK(parse_duration("250ms") == 250ms);
    CHECK(parse_duration("0s") == 0ms);
    CHECK(parse_duration("2m") == 120s);
    CHECK(parse_duration("87600h") == 87600h);
    CHECK(parse_duration("7d") == 168h);
    CHECK(parse_duration("3650d") == 87600h);
    for (const char* const text : {"", "5", "s", "5 s", "-5s", "+5s", "1.5s", "5S", "5D", "1w", "1h30m", "1d12h",
                                   "30d 12h", "87601h", "3651d", "99999999999999999999s"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_duration(text));
    }
}

TEST_CASE("config: sizes are whole numbers with a binary unit") {
    CHECK(parse_size("512B") == 512u);
    CHECK(parse_size("64KiB") == 65536u);
    CHECK(parse_size("1GiB") == 1073741824u);
    CHECK(parse_size("16777215TiB") == 16777215ull << 40);
    for (const char* const text : {"", "1", "KiB", "1KB", "1 KiB", "-1B", "16777216TiB"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_size(text));
    }
}

TEST_CASE("config: addresses read back as they were written") {
    for (const char* const text : {"127.0.0.1:6432", "[::1]:0", "db.example.com:65535", "my_db:1",
                                   "db.example.com.:5432", "unix:/run/x", "[fe80::1%eth0]:5432"}) {
        CAPTURE(text);
        const auto address = parse_address(text);
        REQUIRE(address);
        CHECK(to_string(*address) == text);
    }
    for (const char* const text : {"", "a", ":1", "a:", "a:1x", "a: 1", "a:+1", "::1", "[::1]", "[127.0.0.1]:1",
                                   "[::1:1", "unix:", "unix:x", "a/b:1", "1.2.3:1"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_address(text));
    }
}

TEST_CASE("config: one comparison serves IPv4 and IPv6 ranges") {
    const auto contains = [](const char* range, std::array<std::uint8_t, 16> address) {
        const auto cidr = parse_cidr(range);
        REQUIRE(cidr);
        return cidr->contains(address);
    };
    CHECK(contains("192.168.0.0/20", v4(192, 168, 15, 255)));
    CHECK_FALSE(contains("192.168.0.0/20", v4(192, 168, 16, 0)));
    CHECK(contains("10.1.2.3", v4(10, 1, 2, 3)));
    CHECK_FALSE(contains("10.1.2.3", v4(10, 1, 2, 2)));
    CHECK(contains("10.9.9.9/8", v4(10, 0, 0, 1)));
    CHECK(contains("0.0.0.0/0", v4(1, 2, 3, 4)));
    CHECK_FALSE(contains("0.0.0.0/0", {0x20, 1}));
    CHECK(contains("::/0", {0x20, 1}));
    CHECK(contains("2001:db8::/33", {0x20, 1, 0x0d, 0xb8, 0x7f}));
    CHECK_FALSE(contains("2001:db8::/33", {0x20, 1, 0x0d, 0xb8, 0x80}));
    for (const char* const text :
         {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/-1", "localhost", "[::1]/128"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_cidr(text));
    }
}

TEST_CASE("config: a diagnostic leaves out what is not known") {
    CHECK(to_string(Diagnostic{{"f", 3, 4, "a.b"}, "wrong"}) == "f:3:4: a.b: wrong");
    CHECK(to_string(Diagnostic{{"f", 0, 0, ""}, "wrong"}) == "f: wrong");
    CHECK(to_string(Diagnostic{{"command line", 0, 0, "--x"}, "wrong"}) == "--x: wrong");
    CHECK(to_string(Diagnostic{{"", 0, 0, ""}, "wrong"}) == "wrong");
}

TEST_CASE("config: [audit.probe] says what is wrong with it") {
    const auto errors = [](const std::string& text) { return errors_after_upstream("[audit.probe]\n" + text); };
    CHECK(errors("enabled = true").empty());
    CHECK(errors("fraction = 1").empty());
    CHECK(errors("fraction = 0.5").empty());
    CHECK(errors("fraction = 1.5") ==
          Lines{"t:3:12: audit.probe.fraction: a share is between 0 and 1, such as 0.05 for one in twenty"});
    CHECK(errors("fraction = 'x'") == Lines{"t:3:12: audit.probe.fraction: expected a number, got a string"});
    CHECK(errors("kinds = ['wrong']").size() == 1);
    CHECK(errors("enabled = true\nkinds = ['candidate']") ==
          Lines{"t:4:9: audit.probe.kinds: \"candidate\" needs candidate_cert_file: the certificate that clients will "
                "meet"});
    CHECK(errors(
              "window = ['2026-03-01T02:00Z/2026-03-01T04:00Z', '2026-03-01T02:00:00+01:00/2026-03-02T00:00:00-05:30']")
              .empty());
    for (const char* window :
         {"2026-03-01T02:00Z", "2026-03-01T04:00Z/2026-03-01T02:00Z", "2026-02-30T02:00Z/2026-03-01T04:00Z",
          "2026-03-01T25:00Z/2026-03-01T04:00Z", "2026-03-01T02:00/2026-03-01T04:00"}) {
        CHECK(errors("window = ['" + std::string(window) + "']").size() == 1);
    }
    CHECK(errors_after_upstream("[audit]\ninventory = ''\n[audit.probe]\nenabled = true") ==
          Lines{"t:5:11: audit.probe.enabled: needs audit.inventory: what was done to whom must outlive restarts"});
}

TEST_CASE("config: [capture] is read into its struct") {
    const Loaded loaded = load_after_upstream(
        "[capture]\nwindows = ['2199-03-01T02:00Z/2199-03-01T04:00Z']\ntrigger = 'failures'\npayload = 'full'\n"
        "listeners = ['a']\nusers = ['Jo Doe', 'x']\ndatabases = 'orders'\nclient_addrs = ['10.0.0.0/8']\n"
        "max_file_size = '64KiB'\nmax_total_size = '1MiB'\nmin_free_space = '0B'\nkeylog = true\n"
        "allow_secrets = true");
    REQUIRE(texts(loaded.errors) == Lines{});
    CHECK(texts(loaded.warnings) == Lines{});
    const config::Capture& capture = loaded.config->capture;
    CHECK(capture.windows.size() == 1);
    CHECK(capture.trigger == config::CaptureTrigger::failures);
    CHECK(capture.payload == protocol::Payload::full);
    CHECK(capture.users == Lines{"Jo Doe", "x"});
    CHECK(capture.databases == Lines{"orders"});
    CHECK(capture.client_addrs.size() == 1);
    CHECK(capture.max_file_size == 64 * 1024);
    CHECK(capture.max_total_size == 1024 * 1024);
    CHECK(capture.min_free_space == 0);
    CHECK(capture.dir == "captures");
}

TEST_CASE("config: without [capture] nothing is captured, and nothing secret ever") {
    const Loaded loaded = load_after_upstream("");
    REQUIRE(loaded.config);
    CHECK(loaded.config->capture.windows.empty());
    CHECK(loaded.config->capture.payload == protocol::Payload::redacted);
    CHECK_FALSE(loaded.config->capture.allow_secrets);
    CHECK_FALSE(loaded.config->capture.keylog);
}

TEST_CASE("config: [capture] says what is wrong with it") {
    const auto errors = [](const std::string& text) { return errors_after_upstream("[capture]\n" + text); };
    const auto warnings = [](const std::string& text) {
        return texts(load_after_upstream("[capture]\n" + text).warnings);
    };
    CHECK(errors("keylog = true") == Lines{"t:3:10: capture.keylog: needs allow_secrets = true: whoever has the keys "
                                           "reads passwords and everything else"});
    CHECK(warnings("allow_secrets = true").size() == 1);
    CHECK(warnings("allow_secrets = true\npayload = 'full'").empty());
    CHECK(errors("listeners = ['elsewhere']").size() == 1);
    CHECK(errors("listeners = ['a']").empty());
    CHECK(errors("dir = ''").size() == 1);
    CHECK(errors("max_file_size = '3GiB'") ==
          Lines{"t:3:17: capture.max_file_size: max_file_size is larger than max_total_size"});
    CHECK(errors("max_file_size = '1 MiB'").size() == 1);
    CHECK(errors("max_file_size = '0B'") == Lines{"t:3:17: capture.max_file_size: \"0B\" must be more than zero"});
    CHECK(errors("max_file_size = 5") ==
          Lines{"t:3:17: capture.max_file_size: expected a size (\"512B\", \"64KiB\", \"256MiB\", \"1GiB\"), got "
                "an integer"});
    CHECK(errors("payload = 'all'").size() == 1);
    CHECK(errors("users = ['']").size() == 1);
    CHECK(errors("windows = ['2199-03-01T02:00Z/2199-03-01T04:00Z', '2199-03-01T03:00Z/2199-03-01T05:00Z']") ==
          Lines{"t:3:11: capture.windows: two of them overlap: make them one"});
    CHECK(errors("windows = ['2199-03-01T02:00Z/2199-03-01T04:00Z', '2199-03-01T04:00Z/2199-03-01T05:00Z']").empty());
    CHECK(warnings("windows = ['2001-03-01T02:00Z/2001-03-01T04:00Z']") ==
          Lines{"t:3:11: capture.windows: all of them have passed: nothing is captured"});
    CHECK(warnings("windows = ['2001-03-01T02:00Z/2001-03-01T04:00Z', '2199-03-01T02:00Z/2199-03-01T04:00Z']").empty());
}

TEST_CASE("config: a fleet's URL with less than verify-full is warned of") {
    const auto warnings = [](const std::string& url) {
        return texts(load_after_upstream("[audit]\ninventory = '" + url + "'").warnings);
    };
    CHECK(warnings("postgresql://u@h/d") == Lines{});
    CHECK(warnings("postgresql://u@h/d?connect_timeout=3&sslmode=verify-full") == Lines{});
    CHECK(warnings("postgresql://u@h/d?sslmode=prefer&connect_timeout=3") ==
          Lines{"t:3:13: audit.inventory: sslmode=prefer does not authenticate the server; verify-full, the default, "
                "does"});
    CHECK(warnings("postgresql://u@h/d?sslmode=require&sslrootcert=/etc/ca.pem") ==
          Lines{"t:3:13: audit.inventory: sslmode=require with sslrootcert does not check the server's name, only who "
                "issued its certificate; verify-full, the default, does"});
    CHECK(warnings("postgresql://u@h/d?sslmode=verify-ca") ==
          Lines{"t:3:13: audit.inventory: sslmode=verify-ca does not check the server's name, only who issued its "
                "certificate; verify-full, the default, does"});
}

TEST_CASE("config: a file that holds a password is warned of when others may read it") {
    const Folder folder;
    const auto warnings = [&](const std::string& url, std::filesystem::perms mode) {
        const std::string file =
            folder.write("t.toml", "upstream.a = {hosts = 'a:1'}\n[audit]\ninventory = '" + url + "'");
        std::filesystem::permissions(file, mode);
        return texts(load(file).warnings);
    };
    using std::filesystem::perms;
    const perms secret = perms::owner_read | perms::owner_write;
    for (const char* const url : {"postgresql://u:p%2Fw@h/d", "postgres://h/d?user=u&password=p"}) {
        const Lines said = warnings(url, secret | perms::others_read);
        REQUIRE(said.size() == 1);
        CHECK(said[0].starts_with(folder.path("t.toml") + ":3:13: audit.inventory: this file holds a password, and has "
                                                          "group or world access: "));
        CHECK(said[0].find("p%2Fw") == std::string::npos);
        CHECK(warnings(url, secret) == Lines{});
    }
    for (const char* const url :
         {"postgresql://u@h:5432/d", "postgresql://[::1]:5432/d", "postgresql:///d?passfile=/p"})
        CHECK(warnings(url, secret | perms::others_read) == Lines{});
}

TEST_CASE("config: the console is a socket that libpq finds, or off") {
    const auto errors = [](const std::string& lines) {
        return texts(load_text("[admin]\n" + lines + "\n[upstream.a]\nhosts = 'a'\n", "t").errors);
    };
    for (const char* const console : {"", "unix:/run/x/.s.PGSQL.1", "unix:console/.s.PGSQL.65535"}) {
        CHECK(errors("console = '" + std::string(console) + "'") == Lines{});
    }
    for (const char* const console : {"/run/x/.s.PGSQL.1", "unix:/run/console", "unix:.s.PGSQL.1", "unix:/x/.s.PGSQL.0",
                                      "unix:/x/.s.PGSQL.65536", "unix:/x/.s.PGSQL.", "127.0.0.1:6434"}) {
        CHECK(errors("console = '" + std::string(console) + "'") ==
              Lines{"t:2:11: admin.console: \"" + std::string(console) +
                    "\" is not \"unix:\" and a path that ends with /.s.PGSQL.PORT, which is how libpq finds it"});
    }
    CHECK(errors("console_uids = [-1]") == Lines{"t:2:17: admin.console_uids: -1 is the number of no user"});
    CHECK(errors("console_uids = [4294967295]") ==
          Lines{"t:2:17: admin.console_uids: 4294967295 is the number of no user"});
    CHECK(errors("console_readers = ['alice']") ==
          Lines{"t:2:20: admin.console_readers: expected an integer, got a string"});
    CHECK(errors("console_readers = 'alice'") ==
          Lines{"t:2:19: admin.console_readers: expected a list of integers, got a string"});
}

TEST_CASE("config: http is one address of this host, or has a token") {
    const Folder folder;
    const std::string token = folder.write("token", "0123456789abcdef");
    const auto load = [](const std::string& lines) {
        return load_text("[admin]\n" + lines + "\n[upstream.a]\nhosts = 'a'\n", "t");
    };
    for (const char* const http : {"", "127.0.0.1:6433", "127.8.9.10:0", "[::1]:6433", "unix:/run/pgairlock/http"}) {
        INFO(http);
        CHECK(texts(load("http = '" + std::string(http) + "'").errors) == Lines{});
    }
    for (const char* const http :
         {"6433", "localhost:6433", "127.0.0.1", "unix:", "http://127.0.0.1:6433", "127.0.0.1:65536"}) {
        const Lines errors = texts(load("http = '" + std::string(http) + "'").errors);
        REQUIRE(errors.size() == 1);
        CHECK(errors[0].starts_with("t:2:8: admin.http: " + config::shown(http) + " is not an address to listen on: "));
    }
    for (const char* const http :
         {"0.0.0.0:6433", "[::]:6433", "10.0.0.1:6433", "[::ffff:10.0.0.1]:1", "[fe80::1%eth0]:1"}) {
        const std::string lines = "http = '" + std::string(http) + "'";
        CHECK(texts(load(lines).errors) ==
              Lines{"t:2:8: admin.http: \"" + std::string(http) +
                    "\" is reached from other hosts: it needs http_token_file, a file with the token that they send"});
        CHECK(texts(load(lines + "\nhttp_token_file = '" + token + "'").errors) == Lines{});
    }
    CHECK(texts(load("http_token_file = '" + token + "'").warnings) ==
          Lines{"t:2:19: admin.http_token_file: has no effect without http"});
}

TEST_CASE("config: an address range reads as it is written") {
    for (const char* const range : {"10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "::1/128", "2001:db8::/32", "::/0"}) {
        CHECK(to_string(*parse_cidr(range)) == range);
    }
}

namespace {

/// What is said of one [[listener]] with these lines, errors and warnings.
Lines said_of_front(const std::string& lines) {
    const Loaded loaded = load_after_upstream("[[listener]]\n" + lines);
    Lines out;
    for (const Diagnostic& one : loaded.errors) out.push_back("error " + to_string(one));
    for (const Diagnostic& one : loaded.warnings) out.push_back("warning " + to_string(one));
    return out;
}

}  // namespace

TEST_CASE("config: a listener behind a load balancer names those that it believes") {
    const auto loaded = load_after_upstream(
        "[[listener]]\nallow = '10.0.0.0/8'\nproxy_protocol = 'require'\n"
        "trusted_proxies = ['192.0.2.0/28', '2001:db8::7']\n");
    REQUIRE(loaded.config);
    CHECK(loaded.warnings.empty());
    const Listener& listener = loaded.config->listeners.at(0);
    CHECK(listener.proxy_protocol == ProxyProtocol::require);
    REQUIRE(listener.trusted_proxies.size() == 2);
    CHECK(to_string(listener.trusted_proxies[0]) == "192.0.2.0/28");
    CHECK(to_string(listener.trusted_proxies[1]) == "2001:db8::7/128");
    CHECK(load_after_upstream("[[listener]]").config->listeners.at(0).proxy_protocol == ProxyProtocol::off);
}

TEST_CASE("config: proxy_protocol and trusted_proxies need each other") {
    const std::string needs =
        "proxy_protocol = \"require\" needs trusted_proxies: the addresses of the load balancers that are believed "
        "what their headers say";
    const std::string allow = "allow = '10.0.0.0/8'\n";
    CHECK(said_of_front(allow + "proxy_protocol = 'require'") ==
          Lines{"error t:4:18: listener.proxy_protocol: " + needs});
    CHECK(said_of_front(allow + "proxy_protocol = 'require'\ntrusted_proxies = []") ==
          Lines{"error t:5:19: listener.trusted_proxies: " + needs});
    CHECK(said_of_front(allow + "trusted_proxies = ['192.0.2.1']") ==
          Lines{"warning t:4:19: listener.trusted_proxies: has no effect without proxy_protocol = \"require\""});
    CHECK(said_of_front(allow + "proxy_protocol = 'optional'") ==
          Lines{"error t:4:18: listener.proxy_protocol: \"optional\" is not one of off, require"});
}

TEST_CASE("config: a listener behind a load balancer that would believe everybody, or let nobody in, is warned of") {
    const std::string front = "proxy_protocol = 'require'\ntrusted_proxies = ";
    CHECK(
        said_of_front(front + "['192.0.2.1']") ==
        Lines{"warning t:3:18: listener.proxy_protocol: only clients of this host are let in: allow, which is asked of "
              "the address in the header, is this host alone unless it is given"});
    CHECK(said_of_front("listen = '0.0.0.0:6432'\n" + front + "['192.0.2.1']").size() == 1);
    CHECK(
        said_of_front("allow = '10.0.0.0/8'\n" + front + "['0.0.0.0/0']") ==
        Lines{"warning t:5:19: listener.trusted_proxies: believes everybody: whoever connects may name any address as "
              "its own, also one in allow"});
    CHECK(
        said_of_front("allow = '10.0.0.0/8'\nlisten = 'unix:/tmp/.s.PGSQL.6432'\n" + front + "['192.0.2.1']") ==
        Lines{"warning t:5:18: listener.proxy_protocol: has no effect on UNIX-domain sockets, and there is no other"});
}
