// Which certificates of servers come near their end, or have ended.
#include <algorithm>

#include "proxy/report/report.hpp"

namespace proxy::report {

std::vector<ExpiringCertificate> certificates_expiring(const Report& report) {
    std::vector<ExpiringCertificate> all;
    const Timestamp now = report.filter.now;
    if (now == 0) return all;
    for (const ReportCertificate& one : report.upstream_certificates) {
        const bool is_near = one.row.not_after - now <= expiring_within;
        const bool is_there = now - one.row.last_seen <= server_gone_after;
        if (one.current && is_near && is_there) all.push_back({&one.row, days_until(one.row.not_after, now)});
    }
    std::stable_sort(all.begin(), all.end(), [](const ExpiringCertificate& a, const ExpiringCertificate& b) {
        return a.row->not_after < b.row->not_after;
    });
    return all;
}

std::string end_text(const ReportCertificate& certificate, Timestamp now) {
    const std::string date = time_text(certificate.row.not_after).substr(0, 10);
    if (!certificate.current || now == 0 || certificate.row.not_after - now > expiring_within) return date;
    if (certificate.row.not_after <= now) return date + ", ended";
    const std::int64_t days = days_until(certificate.row.not_after, now);
    return date + (days == 0 ? ", within a day" : ", in " + plural(static_cast<std::uint64_t>(days), "day"));
}

std::string why_expiring(const Report& report) {
    if (report.upstream_certificates.empty()) return "no certificate of a server is known";
    const auto all = certificates_expiring(report);
    if (all.empty()) return "";
    const UpstreamCertificateRow& first = *all.front().row;
    return plural(all.size(), "certificate") + " of servers: the first, of " + first.upstream_addr + " (" +
           first.upstream + "), " + (all.front().days_left < 0 ? "has ended on " : "ends on ") +
           time_text(first.not_after);
}

}  // namespace proxy::report
