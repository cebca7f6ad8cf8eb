#include "protocol/session_list.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace protocol {
namespace {

enum Column : std::size_t {
    pid,
    started,
    client_addr,
    client_port,
    usename,
    datname,
    application_name,
    version,
    cipher,
    client_dn,
    backend_type,
    is_self,
    all,
    may_see,
    server_started,
    now,
    columns
};

/// PostgreSQL has no more (MAX_BACKENDS in postmaster.h): what a server says beyond is not counted.
constexpr std::int64_t max_backends = 262'143;

/// client_port of a session by a UNIX-domain socket (PostgreSQL docs, "pg_stat_activity").
constexpr std::string_view socket_port = "-1";

std::optional<std::int64_t> integer(const std::optional<std::string>& value) {
    if (!value) return std::nullopt;
    std::int64_t parsed = 0;
    const char* const end = value->data() + value->size();
    const auto [stop, error] = std::from_chars(value->data(), end, parsed);
    if (error != std::errc() || stop != end) return std::nullopt;
    return parsed;
}

/// Of a server's clock. What is beyond is no time, and could not be reckoned with.
std::optional<std::int64_t> microseconds(const std::optional<std::string>& value) {
    constexpr std::int64_t end = std::int64_t{1} << 53;  // in the year 2255
    const auto parsed = integer(value);
    return parsed && *parsed >= 0 && *parsed < end ? parsed : std::nullopt;
}

std::optional<std::int64_t> process_id(const std::optional<std::string>& value) {
    const auto parsed = integer(value);
    return parsed && *parsed >= 0 && *parsed <= std::numeric_limits<std::int32_t>::max() ? parsed : std::nullopt;
}

std::optional<bool> flag(const std::optional<std::string>& value) {
    if (value == "t") return true;
    if (value == "f") return false;
    return std::nullopt;
}

/// Of an answer: the same in every row.
std::optional<SessionList> about_server(const TextRow& row) {
    const auto may = flag(row[may_see]);
    const auto began = microseconds(row[server_started]);
    const auto clock = microseconds(row[now]);
    if (!may || !began || !clock) return std::nullopt;
    return SessionList{.server_started = *began, .now = *clock, .hidden = !*may};
}

}  // namespace

// By `state` and its like nothing is asked: who waits does not matter, nor what for. pg_stat_ssl's
// client_dn was clientdn before PostgreSQL 12. A session that has not logged in yet has no role.
const std::string_view session_list_query =
    "SELECT a.pid, "
    "CAST(pg_catalog.date_part('epoch', a.backend_start) OPERATOR(pg_catalog.*) 1000000 AS pg_catalog.int8), "
    "pg_catalog.host(a.client_addr), a.client_port, a.usename, a.datname, a.application_name, "
    "CASE WHEN s.ssl THEN s.version END, CASE WHEN s.ssl THEN s.cipher END, "
    "CASE WHEN s.ssl THEN coalesce(pg_catalog.to_jsonb(s) OPERATOR(pg_catalog.->>) 'client_dn', "
    "pg_catalog.to_jsonb(s) OPERATOR(pg_catalog.->>) 'clientdn') END, "
    "a.backend_type, a.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid(), pg_catalog.count(*) OVER (), "
    "pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'), "
    "CAST(pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()) OPERATOR(pg_catalog.*) 1000000 AS "
    "pg_catalog.int8), "
    "CAST(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000000 AS "
    "pg_catalog.int8) "
    "FROM pg_catalog.pg_stat_activity AS a LEFT JOIN pg_catalog.pg_stat_ssl AS s ON s.pid OPERATOR(pg_catalog.=) a.pid "
    "WHERE a.usesysid IS NOT NULL AND (a.backend_type OPERATOR(pg_catalog.=) 'client backend' "
    "OR a.backend_type OPERATOR(pg_catalog.=) 'walsender' OR a.backend_type IS NULL) LIMIT 10000";

std::optional<SessionList> session_list(std::span<const TextRow> rows) {
    std::optional<SessionList> list;
    std::int64_t present = 0;
    for (const TextRow& row : rows) {
        if (row.size() != columns) return std::nullopt;
        if (!list && !(list = about_server(row))) return std::nullopt;
        const auto id = process_id(row[pid]);
        const auto count = integer(row[all]);
        const auto self = flag(row[is_self]);
        if (!id || !count || !self) return std::nullopt;
        present = std::clamp<std::int64_t>(*count, 0, max_backends);
        if (*self) continue;
        const auto began = microseconds(row[started]);
        if (!row[backend_type] || !began || (!row[client_addr] && row[client_port] != socket_port)) {
            ++list->left_out;
            continue;
        }
        const auto text = [&](Column column) { return row[column].value_or(std::string()); };
        list->sessions.push_back({.pid = *id,
                                  .started = *began,
                                  .client_addr = text(client_addr),
                                  .usename = text(usename),
                                  .datname = text(datname),
                                  .application_name = text(application_name),
                                  .version = text(version),
                                  .cipher = text(cipher),
                                  .client_dn = text(client_dn)});
    }
    if (!list) return std::nullopt;
    const auto beyond = present - static_cast<std::int64_t>(rows.size());
    if (beyond > 0) list->left_out += static_cast<std::uint64_t>(beyond);
    return list;
}

}  // namespace protocol
