// The whole configuration as plain data. Built by load() from a TOML file, or by the command line;
// never changed afterwards.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/probe_kind.hpp"
#include "protocol/redactor.hpp"
#include "protocol/scram_mode.hpp"
#include "protocol/sslmode.hpp"

namespace config {

using Duration = std::chrono::milliseconds;

/// Where a value came from, so that any later error can point at it. line 0: a command-line flag or
/// a default.
struct Origin {
    std::string file;  ///< configuration file, or "command line"
    int line = 0;
    int column = 0;
    std::string key;  ///< dotted, as in the file: listener.tls.cert_file
};

/// One thing that is wrong (or, in a list of warnings, doubtful), with what would be right.
struct Diagnostic {
    Origin origin;
    std::string message;
    bool may_pass = false;  ///< a file that may be there, and readable, a moment later
};

/// "pgairlock.toml:12:13: listener.tls.mode: ..." or "--sslmode: ..." ; parts that are not known
/// are left out.
std::string to_string(const Diagnostic& diagnostic);

/// A file named by the configuration; paths are made absolute against the configuration file's
/// folder.
struct File {
    std::string path;  ///< empty: not given
    Origin origin;
    explicit operator bool() const noexcept { return !path.empty(); }
};

/// host:port or unix:/path.
struct Address {
    enum class Kind { tcp, unix_socket };
    Kind kind = Kind::tcp;
    std::string host;  ///< name, IPv4 or IPv6 literal without brackets; the path for a UNIX-domain socket
    std::uint16_t port = 0;
    Origin origin;
};

/// "127.0.0.1:6432", "[::1]:6432", "unix:/run/x".
std::string to_string(const Address& address);

/// An address range of listener.allow. IPv4 is kept as v4-mapped IPv6 so that one comparison serves
/// both.
struct Cidr {
    std::array<std::uint8_t, 16> bytes{};
    int prefix_length = 128;  ///< 0 to 128, counted in the mapped form

    bool contains(const std::array<std::uint8_t, 16>& address) const noexcept;
};

/// "10.0.0.0/8", "::1/128".
std::string to_string(const Cidr& range);

enum class LogLevel { trace, debug, info, warn, error };
enum class LogFormat { text, json };

struct Log {
    LogLevel level = LogLevel::info;
    LogFormat format = LogFormat::text;
    std::string file;  ///< empty: stderr
    Origin file_origin{};
};

struct Runtime {
    unsigned threads = 0;  ///< 0: one per core
    unsigned max_connections = 10000;
    unsigned max_connections_per_address = 0;  ///< 0: no limit
    unsigned max_connections_before_login = 4000;
    unsigned reserved_connections = 0;  ///< of max_connections, for reserved_users alone
    std::vector<std::string> reserved_users;
    Duration client_opening_timeout{10'000};
    Duration client_login_timeout{60'000};
    Duration drain_timeout{30'000};
    Duration upgrade_timeout{3'600'000};
    std::string state_dir;  ///< empty: see proxy/command/state_dir.hpp
    std::string name;       ///< of this proxy where there are several; empty: the host's
    bool core_dumps = false;
};

enum class ClientTlsMode { disable, allow, require };
/// Whether connections begin with a header that says whose they are. There is no third: one that is
/// believed where it happens to come is believed of anybody.
enum class ProxyProtocol { off, require };
enum class Trust { distributed, undistributed };
enum class ClientCert { disable, request, require };
enum class TlsVersion { unset, v1_0, v1_1, v1_2, v1_3 };

std::string_view to_string(ClientTlsMode mode) noexcept;
/// "TLSv1.2"; "" for unset.
std::string_view to_string(TlsVersion version) noexcept;

struct Certificate {
    File cert_file;
    File key_file;
    std::string ssl_passphrase_command{};   ///< empty: that of the listener
    std::vector<std::string> server_names;  ///< empty: any
};

struct ListenerTls {
    ClientTlsMode mode = ClientTlsMode::allow;
    bool direct = true;
    File cert_file;  ///< empty, and no certificate table: one is generated in the state directory
    File key_file;
    std::string ssl_passphrase_command;  ///< of every encrypted key of this listener that has none of its own
    Trust trust = Trust::distributed;
    File ca_file;
    File ssl_crl_file;  ///< empty: no client certificate is looked up
    ClientCert client_cert = ClientCert::disable;
    TlsVersion ssl_min_protocol_version = TlsVersion::v1_2;
    TlsVersion ssl_max_protocol_version = TlsVersion::unset;
    std::string ssl_ciphers;
    std::string ssl_tls13_ciphers;
    std::string ssl_groups;
    bool legacy = false;
    std::vector<Certificate> certificate;
    Origin origin;  ///< of the table, for errors that concern several keys
};

struct Listener {
    std::string name;
    std::vector<Address> listen;
    std::string upstream;  ///< name of an Upstream of the same Config: load() has checked it
    std::vector<Cidr> allow;
    ProxyProtocol proxy_protocol = ProxyProtocol::off;
    std::vector<Cidr> trusted_proxies;    ///< with `require`: who may connect, and is believed
    unsigned max_connections = 0;         ///< 0: Runtime's alone
    unsigned login_rate_per_address = 0;  ///< logins a second; 0: no limit
    Duration idle_timeout{0};             ///< 0: never
    Duration tcp_keepalive{60'000};
    Duration tcp_user_timeout{0};  ///< 0: as long as keepalive takes to give up
    ListenerTls tls;
    Origin origin;
};

enum class SslNegotiation { postgres, direct };
/// libpq's.
enum class TargetSessionAttrs { any, read_write, read_only, primary, standby, prefer_standby };
enum class LoadBalanceHosts { disable, random };

/// How often a server is asked while roles change, and at most.
inline constexpr Duration shortest_monitor_interval{250};
inline constexpr Duration shortest_sample_interval{1'000};

/// What becomes of sessions whose server takes no writes any more.
enum class OnDemotion { keep, close };

inline constexpr std::string_view sni_off = "off";

struct Upstream {
    std::string name;
    std::vector<Address> hosts;
    protocol::SslMode sslmode = protocol::SslMode::verify_full;
    std::vector<File>
        sslrootcert_candidate;  ///< rehearsal: every handshake is also judged against these, never enforced
    std::vector<File>
        sslrootcert;  ///< path "system": the operating system's. Empty: not given (then verify-full means "system")
    File sslcrl;      ///< empty: no server certificate is looked up
    SslNegotiation sslnegotiation = SslNegotiation::postgres;
    File sslcert;
    File sslkey;
    std::string ssl_passphrase_command;  ///< empty: sslkey is not encrypted
    std::string ssl_ciphers;
    std::string ssl_tls13_ciphers;
    std::string ssl_groups = "P-256:?X25519MLKEM768:X25519:P-384:P-521:X448";
    std::string ssl_server_name;
    std::string ssl_sni;  ///< empty: the name that is verified; sni_off: none
    TlsVersion ssl_min_protocol_version = TlsVersion::v1_2;
    TlsVersion ssl_max_protocol_version = TlsVersion::unset;
    TargetSessionAttrs target_session_attrs = TargetSessionAttrs::any;
    LoadBalanceHosts load_balance_hosts = LoadBalanceHosts::disable;
    bool wait_for_host = false;  ///< a client waits for one that serves, as long as it may log in
    std::string monitor_user;    ///< empty: no server is asked by us
    File monitor_password_file;  ///< empty: the servers ask for no password
    Duration monitor_interval{5'000};
    Duration sample_interval{5'000};  ///< zero: nobody is asked who is connected
    OnDemotion on_demotion = OnDemotion::keep;
    unsigned max_user_connections = 0;  ///< 0: no limit; and so for the next two
    unsigned max_db_connections = 0;
    unsigned max_logins_in_flight = 100;  ///< at each host
    unsigned prewarm = 0;                 ///< TLS connections kept ready, for each thread
    Duration prewarm_max_age{30'000};     ///< below the server's authentication_timeout
    Duration connect_timeout{5'000};      ///< per address: until the server answers the StartupMessage
    Duration tcp_keepalive{60'000};
    Duration tcp_user_timeout{0};  ///< 0: as long as keepalive takes to give up
    Origin origin;
};

struct Auth {
    protocol::ScramMode scram = protocol::ScramMode::automatic;
    File users_file;
    File mock_authentication_nonce_file;  ///< empty: one is kept in the state directory
};

/// A stretch of time in which probes may be made, from "START/END" in RFC 3339.
struct TimeWindow {
    std::chrono::system_clock::time_point begin;
    std::chrono::system_clock::time_point end;
};

using protocol::ProbeKind;
using protocol::to_string;

/// Certificate probes: another certificate is shown to a few connections, to see whether the client
/// notices.
struct Probe {
    bool enabled = false;
    std::vector<ProbeKind> kinds{ProbeKind::untrusted, ProbeKind::wrong_name, ProbeKind::candidate};
    double fraction = 0.05;  ///< of a client's connections, 0 to 1
    unsigned max_per_client = 3;
    unsigned max_per_hour = 60;  ///< of all clients together; 0: no limit
    Duration cooldown{std::chrono::hours(720)};
    Duration grace{60'000};
    std::vector<TimeWindow> window;  ///< empty: always
    File candidate_cert_file;
    File candidate_key_file;
    std::string ca_dir;  ///< empty: tls/ in the state directory
    Origin origin;
};

struct Audit {
    std::string file = "audit.jsonl";  ///< relative to the state directory; "-": stdout; empty: off
    Origin file_origin{};
    bool chain = false;                      ///< each line carries a digest of all before it
    std::string inventory = "inventory.db";  ///< relative to the state directory; postgresql://...; empty: off
    Duration inventory_retention{
        std::chrono::hours(24 * 400)};  ///< clients and days not seen for so long are forgotten
    Duration consistent_after{
        std::chrono::hours(24 * 30)};                      ///< a client that was seen otherwise for so long was changed
    std::string application_name_pattern;                  ///< a regular expression; empty: none
    Duration expiry_warning{std::chrono::hours(24 * 30)};  ///< a certificate that ends within it is told of; 0: none is
    bool process_owner = true;
    Probe probe;
};

enum class CaptureTrigger { all, failures };

/// What of the traffic is kept, when, and where.
struct Capture {
    std::string dir = "captures";  ///< relative to the state directory
    Origin dir_origin{};
    std::vector<TimeWindow> windows;  ///< empty: only commands start one
    CaptureTrigger trigger = CaptureTrigger::all;
    protocol::Payload payload = protocol::Payload::redacted;
    std::vector<std::string> listeners;  ///< these five are filters: empty matches everything
    std::vector<std::string> users;
    std::vector<std::string> databases;
    std::vector<std::string> application_names;
    std::vector<Cidr> client_addrs;
    std::uint64_t max_file_size = std::uint64_t{256} << 20;  ///< bytes, and so are the next two
    Duration max_file_age{std::chrono::hours(1)};
    std::uint64_t max_total_size = std::uint64_t{2} << 30;
    std::uint64_t min_free_space = std::uint64_t{1} << 30;
    bool keylog = false;
    bool allow_secrets = false;
};

/// How the running proxy is asked and commanded.
struct Admin {
    std::string http;  ///< "127.0.0.1:6433" or "unix:/path"; empty: off
    Origin http_origin{};
    File http_token_file;
    std::string console = "unix:console/.s.PGSQL.6434";  ///< a path relative to the state directory; empty: off
    Origin console_origin{};
    std::vector<unsigned> console_uids;     ///< besides root and our own
    std::vector<unsigned> console_readers;  ///< may read, but not command
};

/// What a message may be sent about. The words are those of audit events where there is one.
enum class AlertKind {
    new_weak_client,
    client_changed,
    client_weakened,  // client_changed, and for the worse
    certificate_expiring,
    upstream_certificate,
    upstream_unverified,  // upstream_failed, because of the certificate
    upstream_failed,
    reload_failed,
    events_dropped,
    inventory_failed,
    capture_started,
    capture_stopped,
    console_command,
    started,
    stopping,
};

enum class AlertTemplate { json, slack };

/// Whom to tell of what, as soon as it happens.
struct Alert {
    std::string name;
    std::vector<AlertKind> on;
    std::string webhook;  ///< a URL, parts of which are secret (web_url.hpp)
    File webhook_file;    ///< holds that URL instead
    std::vector<std::string> command;
    AlertTemplate form = AlertTemplate::json;
    File template_file;                  ///< instead of `form`
    File token_file;                     ///< Authorization: Bearer
    std::vector<File> sslrootcert;       ///< path "system": the operating system's; empty: those
    std::vector<std::string> listeners;  ///< these two are filters: empty matches everything
    std::vector<std::string> upstreams;
    Duration group_wait{5'000};
    Duration group_interval{300'000};
    Duration timeout{10'000};  ///< of one attempt
    bool send_resolved = true;
    Origin origin;
};

struct Config {
    std::string file;  ///< empty: made from flags
    Log log;
    Runtime runtime;
    std::vector<Listener> listeners;
    std::vector<Upstream> upstreams;
    Auth auth;
    Audit audit;
    Capture capture;
    Admin admin;
    std::vector<Alert> alerts;

    /// nullptr when there is none of that name; never for a listener's own upstream.
    const Upstream* find_upstream(std::string_view name) const noexcept;
};

}  // namespace config
