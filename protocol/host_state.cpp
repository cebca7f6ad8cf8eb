#include "protocol/host_state.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace protocol {
namespace {

constexpr std::string_view master_session = "MASTER_SESSION_ID";

std::optional<bool> boolean(const std::optional<std::string>& value) {
    if (value == "t") return true;
    if (value == "f") return false;
    return std::nullopt;
}

std::optional<double> number(const std::optional<std::string>& value) {
    if (!value) return std::nullopt;
    double parsed = 0;
    const char* const end = value->data() + value->size();
    const auto [stop, error] = std::from_chars(value->data(), end, parsed);
    if (error != std::errc() || stop != end) return std::nullopt;
    return parsed;
}

bool is_label(std::string_view text) {
    constexpr std::size_t longest = 63;
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    };
    return !text.empty() && text.size() <= longest && text.front() != '-' && text.back() != '-' &&
           std::all_of(text.begin(), text.end(), fits);
}

/// Who set default_transaction_read_only: of these it says something of the session that asks, and
/// nothing of others.
bool is_own_setting(std::string_view source) {
    constexpr std::array<std::string_view, 8> own{"database", "user",        "database user", "client",
                                                  "override", "interactive", "session",       "test"};
    return std::find(own.begin(), own.end(), source) != own.end();
}

}  // namespace

const std::string_view host_state_query =
    "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only'), "
    "(SELECT s.source FROM pg_catalog.pg_settings AS s "
    "WHERE s.name OPERATOR(pg_catalog.=) 'default_transaction_read_only'), "
    "pg_catalog.to_regprocedure('pg_catalog.aurora_replica_status()') IS NOT NULL "
    "AND pg_catalog.to_regprocedure('pg_catalog.aurora_db_instance_identifier()') IS NOT NULL";

std::optional<HostState> host_state(std::span<const TextRow> rows) {
    constexpr std::size_t columns = 4;
    if (rows.size() != 1 || rows[0].size() != columns) return std::nullopt;
    const TextRow& row = rows[0];
    const auto in_recovery = boolean(row[0]);
    const auto is_aurora = boolean(row[3]);
    const bool says_read_only = row[1] == "on";
    if (!in_recovery || !is_aurora || (!says_read_only && row[1] != "off")) return std::nullopt;
    const bool own = !*in_recovery && row[2] && is_own_setting(*row[2]);
    return HostState{.in_recovery = *in_recovery, .read_only = says_read_only && !own, .is_aurora = *is_aurora};
}

const std::string_view aurora_query =
    "SELECT s.server_id OPERATOR(pg_catalog.=) pg_catalog.aurora_db_instance_identifier(), s.server_id, s.session_id, "
    "s.replica_lag_in_msec, "
    "pg_catalog.date_part('epoch', pg_catalog.now() OPERATOR(pg_catalog.-) s.last_update_timestamp) "
    "FROM pg_catalog.aurora_replica_status() AS s";

std::optional<std::vector<AuroraInstance>> aurora_instances(std::span<const TextRow> rows) {
    constexpr std::size_t columns = 5;
    if (rows.empty() || rows.size() > max_aurora_instances) return std::nullopt;
    std::vector<AuroraInstance> instances;
    for (const TextRow& row : rows) {
        if (row.size() != columns || !row[1]) return std::nullopt;
        const auto age = number(row[4]);
        const bool is_self = boolean(row[0]).value_or(false);
        const bool is_writer = row[2] == master_session;
        // The one that was asked may have no time of its own.
        const bool is_stale = row[4] && (!age || *age > static_cast<double>(max_age_of_instance.count()));
        if ((is_stale && !is_self && !is_writer) || !is_label(*row[1])) continue;
        instances.push_back(
            {.id = *row[1], .writer = is_writer, .lag_ms = number(row[3]).value_or(0), .is_self = is_self});
    }
    return instances;
}

}  // namespace protocol
