// What became of the clients of an older report. Pure: report_against.cpp compares,
// report_against_json.cpp reads the older document and writes the comparison.
#pragma once

#include <boost/json/fwd.hpp>
#include <string_view>

#include "proxy/report/report.hpp"

namespace proxy::report {

/// What a report in JSON says of its clients.
struct OlderReport {
    std::vector<ComparedClient> clients{};
    Timestamp last_seen = 0;
    bool knows_proxies = false;  ///< and users of the operating system: not before inventories of version 2
    bool incomplete = false;
    bool looked = false;                           ///< at servers, for those that go around every proxy
    bool has_since = false;                        ///< it left out who was not seen since then
    std::map<std::string, std::string> proxies{};  ///< names by id
    /// As of restrictions(); nullopt: written before reports said so.
    std::optional<std::vector<std::pair<std::string, std::string>>> restrictions{};
};

/// Throws std::runtime_error when it is no report.
OlderReport parse_report(std::string_view document);

/// What a report says of its clients.
std::vector<ComparedClient> compared_clients(const Report& report);

/// Clients are the same by source, upstream, address, process, user, database and application name,
/// and by host where the address is of one host alone. Where an older report does not know hosts
/// and users of the operating system, those with the same rest are one, as bad as the worst of
/// them; so are names behind one pattern.
///
/// A client is worse when its State is, or when it is failing now; better when its State is, or
/// when it does not fail any more, and neither is worse. Where both are as they were, what it
/// breaks on (yes, unknown, no) and whether it is weak decide, and again one that is worse is
/// enough.
Comparison compare(const Report& report, const OlderReport& older);

boost::json::object to_json(const Comparison& comparison);

}  // namespace proxy::report
