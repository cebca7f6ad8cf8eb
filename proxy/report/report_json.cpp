// The report for programs: its JSON, whose clients are those of report_json_client.cpp.
#include "proxy/report/report_json.hpp"

#include <boost/json.hpp>

#include "proxy/report/report_against.hpp"
#include "proxy/report/report_json_parts.hpp"

namespace proxy::report {
namespace {

namespace json = boost::json;
using json_parts::strings;
using json_parts::text;
using json_parts::time;

json::object to_json(const ReportCertificate& certificate) {
    const UpstreamCertificateRow& row = certificate.row;
    json::array sans;
    for (std::string_view rest = row.sans; !rest.empty();) {
        const std::size_t comma = rest.find(',');
        std::string_view san = rest.substr(0, comma);
        while (san.starts_with(' ')) san.remove_prefix(1);
        sans.emplace_back(protocol::as_utf8(san));
        rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
    return {{"upstream", protocol::as_utf8(row.upstream)},
            {"upstream_addr", protocol::as_utf8(row.upstream_addr)},
            {"current", certificate.current},
            {"subject", text(row.subject)},
            {"sans", std::move(sans)},
            {"issuer", text(row.issuer)},
            {"anchor", text(row.anchor)},
            {"serial", text(row.serial)},
            {"sha256", text(row.sha256)},
            {"not_before", time(row.not_before)},
            {"not_after", time(row.not_after)},
            {"first_seen", time(row.first_seen)},
            {"last_seen", time(row.last_seen)},
            {"connections", row.count},
            {"candidate_ok", row.candidate_ok ? json::value(*row.candidate_ok) : json::value(nullptr)},
            {"candidate_since", time(row.candidate_since.value_or(0))},
            {"candidate_refused_by", strings(certificate.rehearsal.refused_by)},
            {"candidate_not_judged_by", strings(certificate.rehearsal.not_judged_by)},
            {"issuer_key_id", text(row.issuer_key_id)},
            {"anchor_key_sha256", text(row.anchor_key_sha256)},
            {"groups", strings(row.groups)}};
}

json::value percent(std::optional<std::uint64_t> share) { return share ? json::value(*share) : json::value(nullptr); }

json::object to_json(const Report& report, const SampledServer& server) {
    std::vector<std::string> looked_by;
    for (const ReportProxy& proxy : report.proxies) {
        if (server.looked_by.contains(proxy.row.id)) looked_by.push_back(proxy.name);
    }
    return {{"upstream", protocol::as_utf8(server.upstream)},
            {"upstream_addr", protocol::as_utf8(server.upstream_addr)},
            {"looked_by", strings(looked_by)},
            {"first_look", time(server.first_look)},
            {"last_look", time(server.last_look)},
            {"looks", server.looks},
            {"interval_ms", server.interval / 1000},
            {"hidden", server.hidden},
            {"failed", server.failed},
            {"left_out", server.left_out},
            {"coverage", percent(coverage(server))}};
}

json::object summary(const Report& report) {
    const ReportSummary& from = report.summary;
    json::object actions;
    for (const auto& [action, clients] : from.actions) actions[to_string(action)] = clients;
    json::array probes;
    for (const auto& [kind, cost] : from.probes) probes.push_back(json_parts::probe(cost));
    json::array days;
    for (const auto& [day, by_mode] : from.days) {
        json::object modes;
        for (const auto& [mode, connections] : by_mode) modes[mode] = connections;
        days.push_back({{"day", day_text(day)}, {"modes", std::move(modes)}});
    }
    json::object filters;
    for (const auto& [option, value] : restrictions(report.filter)) filters[option] = protocol::as_utf8(value);
    return {{"since", time(report.filter.since.value_or(0))},
            {"until", time(report.filter.until.value_or(0))},
            {"filters", std::move(filters)},
            {"incomplete", strings(from.incomplete)},
            {"proxies", report.proxies.size()},
            {"silent_proxies", from.silent_proxies},
            {"direct", from.direct ? json::value(*from.direct) : json::value(nullptr)},
            {"direct_plain", from.direct ? json::value(from.direct_plain) : json::value(nullptr)},
            {"direct_accepted", from.direct ? json::value(from.direct_accepted) : json::value(nullptr)},
            {"coverage", percent(from.coverage)},
            {"around", strings(who_goes_around(report))},
            {"clients", from.clients},
            {"plain", from.plain},
            {"plain_network", from.plain_network},
            {"plain_local", from.plain_local},
            {"tls_not_verifying", from.tls_not_verifying},
            {"verifying", from.verifying},
            {"unknown", from.unknown},
            {"weak", from.weak},
            {"mixed", from.mixed},
            {"failing", from.failing},
            {"accepted", from.accepted},
            {"bridged", from.bridged},
            {"falls_back", from.falls_back},
            {"never_logged_in", from.never_logged_in},
            {"breaks_on_ca_rotation", from.breaks_on_ca_rotation},
            {"breaks_on_ca_rotation_unknown", from.breaks_on_ca_rotation_unknown},
            {"breaks_on_force_ssl", from.breaks_on_force_ssl},
            {"breaks_on_force_ssl_unknown", from.breaks_on_force_ssl_unknown},
            {"actions", std::move(actions)},
            {"connections", from.connections},
            {"failures", from.failures},
            {"unattributed_failures", from.unattributed_failures},
            {"unattributed_refused", from.unattributed_refused},
            {"first_seen", time(from.first_seen)},
            {"last_seen", time(from.last_seen)},
            {"probes", std::move(probes)},
            {"days", std::move(days)}};
}

json::object to_json(const ReportProxy& proxy) {
    const ProxyRow& row = proxy.row;
    return {{"name", protocol::as_utf8(proxy.name)},
            {"id", row.id},
            {"version", text(row.version)},
            {"first_seen", time(row.first_seen)},
            {"started", time(row.started)},
            {"last_seen", time(row.last_seen)},
            {"silent", proxy.silent > 0},
            {"only_looks", proxy.only_looks},
            {"listeners", text(row.listeners)},
            {"events_dropped", row.events_dropped},
            {"rows_left_out", row.rows_left_out},
            {"unclean_ends", row.unclean_ends}};
}

json::object to_json(const Unattributed& one) {
    json::array candidates;
    for (const ClientIdentity& who : one.candidates) {
        candidates.push_back({{"usename", protocol::as_utf8(who.usename)},
                              {"datname", protocol::as_utf8(who.datname)},
                              {"application_name", protocol::as_utf8(who.application_name)},
                              {"client_process", text(who.client_exe)}});
    }
    return {{"upstream", protocol::as_utf8(one.from.upstream)},
            {"client_addr", text(one.from.client_addr)},
            {"client_process", text(one.from.client_exe)},
            {"failures", one.count},
            {"refused", one.refused},
            {"last_failure", time(one.last_seen)},
            {"error", text(one.error)},
            {"candidates", std::move(candidates)}};
}

json::array expiring_array(const Report& report) {
    json::array all;
    for (const ExpiringCertificate& one : certificates_expiring(report)) {
        all.push_back({{"upstream", protocol::as_utf8(one.row->upstream)},
                       {"upstream_addr", protocol::as_utf8(one.row->upstream_addr)},
                       {"subject", text(one.row->subject)},
                       {"issuer", text(one.row->issuer)},
                       {"sha256", text(one.row->sha256)},
                       {"not_after", time(one.row->not_after)},
                       {"days_left", one.days_left}});
    }
    return all;
}

}  // namespace

json::array certificates_array(const Report& report) {
    json::array certificates;
    for (const ReportCertificate& certificate : report.upstream_certificates)
        certificates.push_back(to_json(certificate));
    return certificates;
}

std::string json_text(const Report& report, const AddToClient& add) {
    json::array proxies;
    for (const ReportProxy& proxy : report.proxies) proxies.push_back(to_json(proxy));
    json::array unattributed;
    for (const Unattributed& one : report.unattributed) unattributed.push_back(to_json(one));
    json::array sampling;
    for (const SampledServer& server : report.sampling) sampling.push_back(to_json(report, server));
    const auto serialized = [](const json::value& value) { return protocol::printable_json(json::serialize(value)); };
    std::string text =
        "{\"summary\":" + serialized(summary(report)) + ",\"proxies\":" + serialized(proxies) + ",\"clients\":[";
    for (const ReportClient& client : report.clients) {
        json::object said = json_parts::client(report, client);
        if (add) add(client, said);
        if (&client != &report.clients.front()) text += ',';
        text += serialized(said);
    }
    text += "],\"unattributed_failures\":" + serialized(unattributed) +
            ",\"upstream_certificates\":" + serialized(certificates_array(report)) +
            ",\"certificates_expiring\":" + serialized(expiring_array(report)) +
            ",\"sampling\":" + serialized(sampling);
    if (report.against) text += ",\"against\":" + serialized(to_json(*report.against));
    return text + "}";
}

std::string to_json(const Report& report) { return json_text(report, {}) + "\n"; }

}  // namespace proxy::report
