// What somebody has to look at, in a sentence.
#pragma once

#include <boost/json/array.hpp>
#include <optional>
#include <string>
#include <vector>

#include "proxy/dashboard/json_parts.hpp"
#include "proxy/report/report.hpp"
#include "proxy/upstream/outages.hpp"
#include "tls/certificates.hpp"

namespace proxy::dashboard {

struct Warning {
    bool critical = false;
    std::string what;  ///< one word of a closed list (docs/dashboard.md)
    std::string text;
    std::optional<SystemTime> since{};
};

/// A certificate that ends within so long is one, where no audit.expiry_warning says otherwise: the
/// page and the alert agree.
inline constexpr std::chrono::milliseconds expiring = std::chrono::hours(30 * 24);
/// And critical within so long.
inline constexpr std::chrono::hours expiring_soon{7 * 24};

boost::json::array warnings_array(const std::vector<Warning>& warnings);

/// Of a certificate, unless it is valid and lasts; `whose`: "the certificate of 10.0.0.1:5432". In
/// the words of the log. One that has ended, or is not valid yet, is told of whatever `within` is.
void warn_of_end(std::vector<Warning>& warnings, const std::string& whose, const tls::Validity& validity,
                 SystemTime now, std::chrono::milliseconds within = expiring);

/// A server whose certificate is refused now does not show what it showed when it was accepted.
void shows_no_more(report::Report& report, const std::vector<Outages::Outage>& outages);

/// Clients that go around every proxy, but for those that were accepted.
void warn_of_direct(std::vector<Warning>& warnings, const report::ReportSummary& summary);

/// What an inventory says: proxies that are silent or lost events, certificates of servers, whose
/// candidate would refuse one.
std::vector<Warning> warnings_of(const report::Report& report, SystemTime now,
                                 std::chrono::milliseconds within = expiring);

}  // namespace proxy::dashboard
