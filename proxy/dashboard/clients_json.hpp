// What the dashboard says of clients: the report in JSON, and what only a page needs. Pure.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/dashboard/json_parts.hpp"
#include "proxy/report/report.hpp"
#include "proxy/session/live_sessions.hpp"

namespace proxy::dashboard {

using OpenSessions = std::vector<std::shared_ptr<const LiveSession>>;

/// Tells a client from all others, in this answer and the next one.
std::string key_of(const report::ReportClient& client);

/// Whether its connections were protected better in the last seven days than in the seven before:
/// "better", "worse", "same"; "new": it was never seen before them. Empty: of one of them nothing
/// is known.
std::string_view trend_of(const report::ReportClient& client, Timestamp now);

/// The report as `pgairlock report --format json` writes it, and of each client `key`, `explain`,
/// `trend` and `sessions_open`. `open`: nullptr: nobody knows, as in a fleet.
std::string clients_text(const report::Report& report, const OpenSessions* open, Timestamp now);

/// As "proxies" of the overview.
boost::json::array proxies_array(const report::Report& report);

/// Clients of one upstream, for metrics.
struct UpstreamClients {
    std::uint64_t plain = 0;              ///< in clear at least sometimes, falling back included
    std::uint64_t tls_not_verifying = 0;  ///< would accept an impostor
    std::uint64_t verifying = 0;
    std::uint64_t unknown = 0;
    std::uint64_t not_ready = 0;  ///< breaks on the rotation of the certificate authority, or may
};

/// Clients of the last seven days.
struct Week {
    static constexpr Timestamp length = 7 * day_length;

    Timestamp until = 0;
    report::ReportSummary summary;
    std::uint64_t not_ready = 0;
    std::map<std::string, UpstreamClients> by_upstream;
};

/// Of a report since a week before `now`.
Week week_of(const report::Report& report, Timestamp now);
Week week_of(const std::vector<InventoryRows>& inventories, Timestamp now);
/// As "clients" of the overview.
boost::json::object week_object(const Week& week);

}  // namespace proxy::dashboard
