#include "proxy/dashboard/warning.hpp"

#include <algorithm>

#include "proxy/record/expiry_warnings.hpp"
#include "proxy/report/report_silent.hpp"

namespace proxy::dashboard {

boost::json::array warnings_array(const std::vector<Warning>& warnings) {
    boost::json::array all;
    for (const bool critical : {true, false}) {
        for (const Warning& one : warnings) {
            if (one.critical != critical) continue;
            all.push_back({{"severity", critical ? "critical" : "warning"},
                           {"what", one.what},
                           {"text", name(one.text)},
                           {"since", time(one.since)}});
        }
    }
    return all;
}

void warn_of_end(std::vector<Warning>& warnings, const std::string& whose, const tls::Validity& validity,
                 SystemTime now, std::chrono::milliseconds within) {
    const SystemTime end = validity.not_after;
    const bool is_to_come = validity.not_before > now;
    if (end == SystemTime{} || (!is_to_come && end > now && end - now > within)) return;
    warnings.push_back({.critical = is_to_come || end <= now || end - now <= expiring_soon,
                        .what = "certificate_expiring",
                        .text = whose + " " + expiry_text(validity, now)});
}

void shows_no_more(report::Report& report, const std::vector<Outages::Outage>& outages) {
    for (report::ReportCertificate& one : report.upstream_certificates) {
        for (const Outages::Outage& outage : outages) {
            const bool is_its = outage.upstream == one.row.upstream && outage.key == one.row.upstream_addr;
            if (is_its && !outage.verify_error.empty()) one.current = false;
        }
    }
}

namespace {

void warn_of_candidate(std::vector<Warning>& warnings, const report::Report& report,
                       const report::ReportCertificate& one) {
    const std::string shown = "the certificate that " + one.row.upstream_addr + " (" + one.row.upstream + ") shows";
    const std::string proxies = report::in_the_way(report, one.rehearsal);
    if (one.row.candidate_ok == false) {
        warnings.push_back({.what = "candidate_refuses",
                            .text = "sslrootcert_candidate " + (proxies.empty() ? "" : "of " + proxies + " ") +
                                    "would refuse " + shown,
                            .since = to_time(one.row.candidate_since.value_or(0))});
    } else if (!one.row.candidate_ok && !one.rehearsal.not_judged_by.empty()) {
        warnings.push_back({.what = "candidate_missing",
                            .text = "sslrootcert_candidate of other proxies verifies " + shown + ", but " +
                                    (proxies.empty() ? "one" : proxies) + " has none",
                            .since = {}});
    }
}

}  // namespace

void warn_of_direct(std::vector<Warning>& warnings, const report::ReportSummary& summary) {
    const std::uint64_t direct = summary.direct.value_or(0);
    if (direct <= summary.direct_accepted) return;
    std::string text = report::plural(direct, "client") + " went around pgairlock in the last 7 days, " +
                       std::to_string(summary.direct_plain) + " of them in clear text";
    if (summary.direct_accepted > 0) text += "; " + std::to_string(summary.direct_accepted) + " are accepted";
    warnings.push_back({.what = "direct", .text = text, .since = {}});
}

std::vector<Warning> warnings_of(const report::Report& report, SystemTime now, std::chrono::milliseconds within) {
    std::vector<Warning> warnings;
    const report::SilentProxies silent = report::silent_proxies(report);
    for (const report::ReportProxy& proxy : report.proxies) {
        if (std::binary_search(silent.named.begin(), silent.named.end(), &proxy)) {
            warnings.push_back({.critical = true,
                                .what = "proxy_silent",
                                .text = "the proxy " + proxy.name + " has not been heard of for " +
                                        report::duration_text(proxy.silent),
                                .since = to_time(proxy.row.last_seen)});
        }
        if (proxy.row.events_dropped > 0) {
            warnings.push_back({.what = "events_dropped",
                                .text = "the proxy " + proxy.name + " lost " +
                                        report::plural(proxy.row.events_dropped, "event") +
                                        ": what they said may be in no report",
                                .since = to_time(proxy.row.last_loss)});
        }
    }
    if (silent.others > 0) {
        const bool is_one = silent.others == 1;
        warnings.push_back({.critical = true,
                            .what = "proxy_silent",
                            .text = std::to_string(silent.others) +
                                    (is_one ? " other proxy has" : " other proxies have") +
                                    " not been heard of for longer",
                            .since = {}});
    }
    for (const report::ReportCertificate& one : report.upstream_certificates) {
        if (!one.current) continue;
        warn_of_end(warnings, "the certificate that " + one.row.upstream_addr + " (" + one.row.upstream + ") shows",
                    {to_time(one.row.not_before), to_time(one.row.not_after)}, now, within);
        warn_of_candidate(warnings, report, one);
    }
    return warnings;
}

}  // namespace proxy::dashboard
