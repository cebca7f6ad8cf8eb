#include "proxy/admin/console_show.hpp"

#include <algorithm>
#include <array>

namespace proxy {
namespace {

// PgBouncer's columns in its order, and what is ours behind them. What a proxy that does not look
// into sessions cannot know, such as how many queries there were, is never 0: it is NaN where tools
// add numbers up, which would stumble over NULL, and NULL elsewhere.
constexpr std::array views{
    ConsoleView{"clients", "open sessions, by their clients",
                R"(SELECT 'C' AS type, usename AS "user", datname AS "database",
  CASE state WHEN 'active' THEN 'active' ELSE 'idle' END AS state, coalesce(client_addr, 'unix') AS addr,
  client_port AS port, NULL AS local_addr, NULL AS local_port, logged_in AS connect_time, NULL AS request_time,
  0 AS wait, 0 AS wait_us, 0 AS close_needed, session AS ptr, upstream_addr AS link, 0 AS remote_pid,
  CASE WHEN ssl THEN concat(version, '/', cipher) ELSE '' END AS tls,
  application_name, session, listener, upstream, weak, verifies
FROM open_sessions)"},
    ConsoleView{"servers", "open sessions, by their servers",
                R"(SELECT 'S' AS type, usename AS "user", datname AS "database",
  CASE state WHEN 'active' THEN 'active' ELSE 'idle' END AS state, upstream_addr AS addr,
  NULL AS port, NULL AS local_addr, NULL AS local_port, logged_in AS connect_time,
  NULL AS request_time, 0 AS wait, 0 AS wait_us, 0 AS close_needed, session AS ptr, session AS link,
  backend_pid AS remote_pid,
  CASE WHEN upstream_ssl THEN concat(upstream_version, '/', upstream_cipher) ELSE '' END AS tls,
  application_name, upstream
FROM open_sessions)"},
    ConsoleView{"pools", "sessions by database and user; there is no pooling",
                R"(SELECT datname AS "database", usename AS "user", count(*) AS cl_active, 0 AS cl_waiting,
  0 AS cl_active_cancel_req, 0 AS cl_waiting_cancel_req, count(*) AS sv_active, 0 AS sv_active_cancel,
  0 AS sv_being_canceled, 0 AS sv_idle, 0 AS sv_used, 0 AS sv_tested, 0 AS sv_login, 0 AS maxwait, 0 AS maxwait_us,
  'session' AS pool_mode
FROM open_sessions GROUP BY datname, usename ORDER BY 1, 2)"},
    ConsoleView{"lists", "how many of what there are",
                R"(SELECT 'databases' AS list, count(*) AS items FROM upstream_totals
UNION ALL SELECT 'users', count(DISTINCT usename) FROM open_sessions
UNION ALL SELECT 'pools', count(*) FROM (SELECT DISTINCT datname, usename FROM open_sessions)
UNION ALL SELECT 'free_clients', 0
UNION ALL SELECT 'used_clients', count(*) FROM open_sessions
UNION ALL SELECT 'login_clients', (SELECT coalesce(sum(logins_in_flight + logins_waiting), 0) FROM hosts)
UNION ALL SELECT 'free_servers', 0
UNION ALL SELECT 'used_servers', count(*) FROM open_sessions
UNION ALL SELECT 'dns_names', 0
UNION ALL SELECT 'dns_zones', 0
UNION ALL SELECT 'dns_queries', 0
UNION ALL SELECT 'dns_pending', 0)"},
    ConsoleView{"users", "users who have open sessions",
                R"(SELECT DISTINCT usename AS name, 'session' AS pool_mode FROM open_sessions ORDER BY 1)"},
    ConsoleView{"stats", "sessions and bytes by upstream, since the start",
                R"(SELECT upstream AS "database", float8 'NaN' AS total_xact_count, float8 'NaN' AS total_query_count,
  bytes_from_client AS total_received, bytes_from_server AS total_sent, float8 'NaN' AS total_xact_time,
  float8 'NaN' AS total_query_time, float8 'NaN' AS total_wait_time, float8 'NaN' AS avg_xact_count,
  float8 'NaN' AS avg_query_count, float8 'NaN' AS avg_recv, float8 'NaN' AS avg_sent, float8 'NaN' AS avg_xact_time,
  float8 'NaN' AS avg_query_time, float8 'NaN' AS avg_wait_time, float8 'NaN' AS total_requests,
  connections AS total_connections
FROM upstream_totals)"},
    ConsoleView{"stats_totals", "the same, with PgBouncer's other names",
                R"(SELECT upstream AS "database", float8 'NaN' AS xact_count, float8 'NaN' AS query_count,
  bytes_from_client AS bytes_received, bytes_from_server AS bytes_sent, float8 'NaN' AS xact_time,
  float8 'NaN' AS query_time, float8 'NaN' AS wait_time, connections
FROM upstream_totals)"},
    ConsoleView{"totals", "the same, of all upstreams together",
                R"(SELECT 'total_received' AS name, sum(bytes_from_client) AS value FROM upstream_totals
UNION ALL SELECT 'total_sent', sum(bytes_from_server) FROM upstream_totals
UNION ALL SELECT 'total_connections', sum(connections) FROM upstream_totals)"},
    ConsoleView{"databases", "upstreams, each with all its hosts",
                R"(SELECT h.upstream AS name, group_concat(h.host, ',') AS host,
  CASE WHEN min(h.port) = max(h.port) THEN h.port END AS port, h.upstream AS "database", NULL AS force_user,
  0 AS pool_size, 0 AS min_pool_size, 0 AS reserve_pool, 'session' AS pool_mode,
  CAST((SELECT setting FROM config WHERE key = 'runtime.max_connections') AS INTEGER) AS max_connections,
  (SELECT count(*) FROM open_sessions o WHERE o.upstream = h.upstream) AS current_connections, 0 AS paused,
  0 AS disabled, min(h.sslmode) AS sslmode
FROM hosts h GROUP BY h.upstream)"},
    ConsoleView{"config", "every configuration key with its value",
                R"(SELECT key, setting AS value, default_value AS "default",
  CASE WHEN reloadable THEN 'yes' ELSE 'no' END AS changeable FROM config)"},
    ConsoleView{"all", "what drivers ask for by SHOW name",
                R"(SELECT name, setting, short_desc AS description FROM pg_settings ORDER BY lower(name))"},
    // Days are rounded down, as everywhere: SQL divides towards zero.
    ConsoleView{"certificates", "what servers have shown, from the inventory",
                R"(SELECT upstream, upstream_addr, subject, issuer, anchor, not_before, not_after,
  (not_after - now() - CASE WHEN not_after < now() THEN 86399999999 ELSE 0 END) / 86400000000 AS days_left, first_seen, last_seen, candidate_ok, sha256
FROM upstream_certificates ORDER BY upstream, upstream_addr, last_seen DESC)"},
    ConsoleView{"hosts", "hosts, what they are, the logins under way there, and how many sessions their upstream has",
                R"(SELECT h.upstream, h.host, h.port, h.sslmode, h.logins_in_flight, h.logins_waiting,
  (SELECT count(*) FROM open_sessions o WHERE o.upstream = h.upstream) AS upstream_sessions,
  h.role, h.role_doubtful, h.role_source, h.role_since, h.role_seen, h.discovered FROM hosts h)"},
};

}  // namespace

std::span<const ConsoleView> console_views() noexcept { return views; }

const ConsoleView* find_view(std::string_view name) noexcept {
    const auto found =
        std::find_if(views.begin(), views.end(), [&](const ConsoleView& one) { return one.name == name; });
    return found == views.end() ? nullptr : &*found;
}

}  // namespace proxy
