#include "protocol/console_absent.hpp"

#include <algorithm>
#include <array>

namespace protocol {
namespace {

constexpr std::array pgbouncer_commands{
    AbsentWord{"PAUSE",
               "PAUSE is PgBouncer's: here each session has a server connection of its own, and none is shared",
               "DRAIN takes no more clients and lets sessions end; KILL ends one."},
    AbsentWord{"RESUME", "RESUME is PgBouncer's: nothing can be paused here",
               "After DRAIN another process takes the clients."},
    AbsentWord{"DISABLE", "DISABLE is PgBouncer's: here the configuration says what is served",
               "Take the listener out of the configuration and RELOAD: its sessions go on, and nobody new comes."},
    AbsentWord{"ENABLE", "ENABLE is PgBouncer's: here the configuration says what is served",
               "Put the listener into the configuration and RELOAD."},
    AbsentWord{"RECONNECT", "RECONNECT is PgBouncer's: here no server connection outlives its session",
               "Names are looked up anew for every connection; KILL ends one session."},
    AbsentWord{
        "SUSPEND", "SUSPEND is PgBouncer's: here sessions go on while another process takes the sockets",
        "UPGRADE has the binary that is at our path now take over; DRAIN takes no more clients and lets sessions "
        "end."},
    AbsentWord{"WAIT_CLOSE", "WAIT_CLOSE is PgBouncer's: there are no pools whose connections could be waited for",
               "SELECT count(*) FROM open_sessions says how many sessions are open; DRAIN ends with the last."},
    AbsentWord{"KILL_CLIENT", "KILL_CLIENT is PgBouncer's: here KILL ends one session",
               "KILL 'session' or KILL pid, as pg_stat_activity has them."},
};

constexpr std::array pgbouncer_views{
    AbsentWord{"active_sockets", "SHOW ACTIVE_SOCKETS is PgBouncer's: sockets are not shown one by one",
               "SHOW CLIENTS and SHOW SERVERS show the sessions that they belong to."},
    AbsentWord{"sockets", "SHOW SOCKETS is PgBouncer's: sockets are not shown one by one",
               "SHOW CLIENTS and SHOW SERVERS show the sessions that they belong to."},
    AbsentWord{"fds", "SHOW FDS is PgBouncer's: here UPGRADE hands sockets over by itself",
               "The metric process_open_fds says how many are open."},
    AbsentWord{"mem", "SHOW MEM is PgBouncer's: memory is not kept in its caches here",
               "The metric process_resident_memory_bytes says how much is used."},
    AbsentWord{"dns_hosts", "SHOW DNS_HOSTS is PgBouncer's: no answer of a name server is kept here",
               "SHOW HOSTS shows the configured hosts; names are looked up anew for every connection."},
    AbsentWord{"dns_zones", "SHOW DNS_ZONES is PgBouncer's: no answer of a name server is kept here",
               "SHOW HOSTS shows the configured hosts; names are looked up anew for every connection."},
    AbsentWord{"peers", "SHOW PEERS is PgBouncer's: cancel requests find their session without peers here",
               "The proxies of a fleet are in its inventory: pgairlock report --inventory URL."},
    AbsentWord{"peer_pools", "SHOW PEER_POOLS is PgBouncer's: cancel requests find their session without peers here",
               "SHOW POOLS shows sessions by database and user."},
    AbsentWord{"state", "SHOW STATE is PgBouncer's: nothing can be paused or suspended here",
               "pgairlock health --ready says whether clients are accepted."},
    AbsentWord{"stats_averages", "SHOW STATS_AVERAGES is PgBouncer's: averages are left to whoever reads counters",
               "SHOW STATS and the metrics have the counters since the start."},
};

/// Settings, and what there is in their place.
struct AbsentSettings {
    std::string_view names;  ///< between blanks
    std::string_view instead;
};

constexpr std::string_view no_pools = "There are no pools: each session has a server connection of its own.";
constexpr std::string_view in_server_or_none = "The server's own timeouts count, as clients or ALTER ROLE set them.";
constexpr std::array pgbouncer_settings{
    AbsentSettings{" max_client_conn ", "The configuration has runtime.max_connections."},
    AbsentSettings{" max_db_client_connections ", "The configuration has upstream.NAME.max_db_connections."},
    AbsentSettings{" max_user_client_connections ", "The configuration has upstream.NAME.max_user_connections."},
    AbsentSettings{" reserve_pool_size reserve_pool_timeout ",
                   "The configuration has runtime.reserved_connections, places that are kept for "
                   "runtime.reserved_users."},
    AbsentSettings{" min_pool_size ",
                   "The configuration has upstream.NAME.prewarm, TLS connections that are kept "
                   "ready for logins."},
    AbsentSettings{
        " pool_mode default_pool_size server_lifetime server_idle_timeout server_reset_query server_reset_query_always "
        "server_check_query server_check_delay server_fast_close server_round_robin "
        "max_prepared_statements autodb_idle_timeout ",
        no_pools},
    AbsentSettings{" query_timeout cancel_wait_timeout idle_transaction_timeout ", in_server_or_none},
    AbsentSettings{" query_wait_timeout ",
                   "The configuration has runtime.client_login_timeout: clients wait in their logins alone."},
    AbsentSettings{" client_idle_timeout ", "The configuration has listener.idle_timeout."},
    AbsentSettings{" client_login_timeout ", "The configuration has runtime.client_login_timeout."},
    AbsentSettings{" server_connect_timeout ", "The configuration has upstream.NAME.connect_timeout."},
    AbsentSettings{" server_login_retry ", "The configuration has upstream.NAME.wait_for_host."},
    AbsentSettings{" suspend_timeout ", "The configuration has runtime.upgrade_timeout."},
    AbsentSettings{" shutdown_timeout ", "The configuration has runtime.drain_timeout."},
    AbsentSettings{" tcp_keepcnt tcp_keepidle tcp_keepintvl ",
                   "The configuration has tcp_keepalive, for clients in [[listener]] and for servers in "
                   "[upstream.NAME]."},
    AbsentSettings{" auth_type auth_file auth_hba_file auth_ident_file auth_ldap_options auth_user auth_query "
                   "auth_dbname ",
                   "The server authenticates clients; the configuration has [auth]."},
    AbsentSettings{" admin_users stats_users ", "The configuration has admin.console_uids and admin.console_readers."},
    AbsentSettings{" client_tls_sslmode client_tls_key_file client_tls_cert_file client_tls_ca_file "
                   "client_tls_protocols client_tls_ciphers client_tls13_ciphers client_tls_ecdhcurve "
                   "client_tls_dheparams ",
                   "The configuration has [listener.tls]."},
    AbsentSettings{" server_tls_sslmode server_tls_key_file server_tls_cert_file server_tls_ca_file "
                   "server_tls_protocols server_tls_ciphers server_tls13_ciphers ",
                   "The configuration has sslmode, sslrootcert and the like in [upstream.NAME]."},
    AbsentSettings{" listen_addr listen_port unix_socket_dir unix_socket_mode unix_socket_group ",
                   "The configuration has listener.listen."},
    AbsentSettings{" verbose logfile syslog syslog_ident syslog_facility log_stats log_pooler_errors stats_period ",
                   "The configuration has [log] and [audit]."},
    AbsentSettings{" ignore_startup_parameters track_extra_parameters application_name_add_host disable_pqexec "
                   "pkt_buf max_packet_size sbuf_loopcnt listen_backlog so_reuseport tcp_defer_accept "
                   "tcp_socket_buffer dns_max_ttl "
                   "dns_nxdomain_ttl dns_zone_check_period resolv_conf job_name conffile service_name peer_id "
                   "query_wait_notify ",
                   "There is nothing of the kind here."},
};

}  // namespace

std::string_view instead_of_setting(std::string_view name) noexcept {
    if (name.empty() || name.find(' ') != std::string_view::npos) return {};
    for (const AbsentSettings& one : pgbouncer_settings) {
        const std::size_t at = one.names.find(name);
        const bool is_whole =
            at != std::string_view::npos && one.names[at - 1] == ' ' && one.names[at + name.size()] == ' ';
        if (is_whole) return one.instead;
    }
    return {};
}

std::span<const AbsentWord> absent_commands() noexcept { return pgbouncer_commands; }
std::span<const AbsentWord> absent_views() noexcept { return pgbouncer_views; }

const AbsentWord* find_absent(std::span<const AbsentWord> words, std::string_view word) noexcept {
    const auto found =
        std::find_if(words.begin(), words.end(), [&](const AbsentWord& one) { return one.word == word; });
    return found == words.end() ? nullptr : &*found;
}

}  // namespace protocol
