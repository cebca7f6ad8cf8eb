// The report for programs: JSON and CSV. Both have every value in full.
#include "proxy/report/report_json.hpp"

#include <algorithm>
#include <array>
#include <boost/algorithm/string/join.hpp>
#include <boost/json.hpp>

#include "protocol/utf8.hpp"
#include "proxy/report/report.hpp"
#include "proxy/report/report_against.hpp"

namespace proxy::report {
namespace {

namespace json = boost::json;
using boost::algorithm::join;

json::value text(std::string_view value) {
    return value.empty() ? json::value(nullptr) : json::value(protocol::as_utf8(value));
}

json::value time(Timestamp value) { return value == 0 ? json::value(nullptr) : json::value(time_text(value)); }

/// A name that was read from a StartupMessage is never null, even when it is empty.
json::value name(const ReportClient& client, std::string_view value) {
    return client.known ? json::value(protocol::as_utf8(value)) : json::value(nullptr);
}

json::object to_json(const ProbeCost& cost) {
    return {{"kind", cost.kind},
            {"shown", cost.shown},
            {"accepted", cost.accepted},
            {"refused", cost.refused},
            {"last_shown", time(cost.last_shown)}};
}

json::object to_json(const EvidenceRow& row) {
    return {{"evidence", row.label},
            {"certificate", text(row.certificate)},
            {"first_seen", time(row.first_seen)},
            {"last_seen", time(row.last_seen)},
            {"count", row.count},
            {"session", text(row.session)},
            {"possible", row.possible}};
}

std::map<std::string, std::uint64_t> modes(const ReportClient& client) {
    std::map<std::string, std::uint64_t> out;
    for (const auto& [day, by_mode] : client.row.days) {
        for (const auto& [mode, facts] : by_mode) {
            if (facts.connections > 0) out[mode] += facts.connections;
        }
    }
    return out;
}

json::array days(const ReportClient& client) {
    json::array out;
    for (const auto& [day, by_mode] : client.row.days) {
        json::object modes;
        std::uint64_t failures = 0;
        for (const auto& [mode, facts] : by_mode) {
            if (facts.connections > 0) modes[mode] = facts.connections;
            failures += facts.failures;
        }
        out.push_back({{"day", day_text(day)}, {"modes", std::move(modes)}, {"failures", failures}});
    }
    return out;
}

json::array strings(const auto& texts) {
    json::array out;
    for (const std::string& one : texts) out.emplace_back(protocol::as_utf8(one));
    return out;
}

json::value accepted(const ReportClient& client) {
    if (!client.accepted) return nullptr;
    const Acceptance& accepted = *client.accepted;
    return {{"owner", text(accepted.owner)},    {"reason", text(accepted.reason)},  {"until", time(accepted.until)},
            {"state", strings(accepted.state)}, {"worse", strings(accepted.worse)}, {"excused", client.excused}};
}

/// Examples: there may be thousands.
json::object names(const ReportClient& client) {
    constexpr std::size_t most_examples = 5;
    const auto& all = client.row.names;
    const std::vector<std::string> examples(all.begin(),
                                            all.begin() + static_cast<long>(std::min(all.size(), most_examples)));
    return {{"count", std::max<std::size_t>(all.size(), 1)}, {"examples", strings(examples)}};
}

std::vector<std::string> labels(const ReportClient& client, bool possible) {
    std::vector<std::string> out;
    for (const EvidenceRow& row : client.row.evidence) {
        if (row.possible == possible && std::find(out.begin(), out.end(), row.label) == out.end())
            out.push_back(row.label);
    }
    return out;
}

json::object identity(const Report& report, const ReportClient& client) {
    const ClientRow& row = client.row;
    const std::vector<std::string> seen_by = proxies_of(report, client);
    return {{"proxy", text(join(seen_by, ", "))},
            {"proxies", strings(seen_by)},
            {"host", row.who.seen_by.empty() ? json::value(nullptr) : text(join(seen_by, ", "))},
            {"source", "seen"},
            {"upstream", protocol::as_utf8(row.who.upstream)},
            {"listener", text(row.listener)},
            {"client_addr", text(row.who.client_addr)},
            {"client_process", text(row.who.client_exe)},
            {"client_uid", row.who.client_uid >= 0 ? json::value(row.who.client_uid) : json::value(nullptr)},
            {"usename", name(client, row.who.usename)},
            {"datname", name(client, row.who.datname)},
            {"application_name", name(client, row.who.application_name)},
            {"names", names(client)}};
}

json::object to_json(const Report& report, const ReportClient& client) {
    const ClientRow& row = client.row;
    json::object by_mode;
    for (const auto& [mode, connections] : modes(client)) by_mode[mode] = connections;
    json::array evidence;
    for (const std::string& label : labels(client, false)) evidence.emplace_back(label);
    json::array detail;
    for (const EvidenceRow& piece : row.evidence) detail.push_back(to_json(piece));
    json::array probes;
    for (const ProbeCost& cost : client.probes) {
        json::object probe = to_json(cost);
        probe["shared"] = cost.shared;
        probes.push_back(std::move(probe));
    }
    json::object out = identity(report, client);
    out.insert({{"connections", row.connections},
                {"plain", row.plain},
                {"weak_tls", row.weak_tls},
                {"bridged", row.bridged},
                {"auth_failed", row.auth_failed},
                {"auth_failures", row.auth_failed},
                {"failures", client.failures()},
                {"possible_failures", client.perhaps_failed},
                {"last_failure", time(row.last_failure)},
                {"failing", client.failing},
                {"auth_method", text(row.auth_method)},
                {"version", text(row.version)},
                {"modes", std::move(by_mode)},
                {"days", days(client)},
                {"first_seen", time(row.first_seen)},
                {"last_seen", time(row.last_seen)},
                {"sslmode_min", protocol::to_string(client.sslmode.min)},
                {"sslmode_max", protocol::to_string(client.sslmode.max)},
                {"verifies", protocol::to_string(client.verifies)},
                {"state", to_string(state_of(client))},
                {"weak", client.weak},
                {"mixed", client.mixed},
                {"changed", client.changed_at > 0},
                {"changed_at", time(client.changed_at)},
                {"falls_back", client.falls_back},
                {"breaks_on_force_ssl", protocol::to_string(client.breaks_on_force_ssl)},
                {"breaks_on_ca_rotation", protocol::to_string(client.breaks_on_ca_rotation)},
                {"action", to_string(client.action)},
                {"accepted", accepted(client)},
                {"note", text(client.note)},
                {"repaired_at", time(client.repaired_at)},
                {"decided_at", time(client.marked_at)},
                {"not_probed", text(row.not_probed)},
                {"evidence", std::move(evidence)},
                {"evidence_detail", std::move(detail)},
                {"probes", std::move(probes)},
                {"error", text(client.error)}});
    return out;
}

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
            {"candidate_since", time(row.candidate_since.value_or(0))}};
}

json::object summary(const Report& report) {
    const ReportSummary& from = report.summary;
    json::object actions;
    for (const auto& [action, clients] : from.actions) actions[to_string(action)] = clients;
    json::array probes;
    for (const auto& [kind, cost] : from.probes) probes.push_back(to_json(cost));
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
            {"last_failure", time(one.last_seen)},
            {"error", text(one.error)},
            {"candidates", std::move(candidates)}};
}

/// RFC 4180, and nothing that a spreadsheet takes for a formula or a terminal for a command: names
/// come from the wire.
std::string cell(std::string_view value) {
    std::string safe;
    if (!value.empty() && std::string_view("=+-@\t\r\n").find(value.front()) != std::string_view::npos) safe = "'";
    safe += printable(value);
    if (safe.find_first_of(",\"\r\n") == std::string::npos && !safe.starts_with(' ') && !safe.ends_with(' '))
        return safe;
    std::string quoted = "\"";
    for (const char c : safe) {
        quoted += c;
        if (c == '"') quoted += c;
    }
    return quoted + "\"";
}

std::string line(const std::vector<std::string>& cells) {
    std::string out;
    for (const std::string& value : cells) out += (out.empty() ? "" : ",") + cell(value);
    return out + "\r\n";
}

std::string truth(bool value) { return value ? "true" : "false"; }

template <class Enum>
std::string word(Enum value) {
    return std::string(to_string(value));
}

/// Empty: never.
std::string time_cell(Timestamp value) { return value == 0 ? "" : time_text(value); }

struct Column {
    const char* name;
    std::string (*value)(const ReportClient& client);
};

constexpr auto columns = std::to_array<Column>({
    {"upstream", [](const ReportClient& c) { return c.row.who.upstream; }},
    {"client_addr", [](const ReportClient& c) { return c.row.who.client_addr; }},
    {"client_process", [](const ReportClient& c) { return c.row.who.client_exe; }},
    {"usename", [](const ReportClient& c) { return c.row.who.usename; }},
    {"datname", [](const ReportClient& c) { return c.row.who.datname; }},
    {"application_name", [](const ReportClient& c) { return c.row.who.application_name; }},
    {"connections", [](const ReportClient& c) { return std::to_string(c.row.connections); }},
    {"plain", [](const ReportClient& c) { return std::to_string(c.row.plain); }},
    {"weak_tls", [](const ReportClient& c) { return std::to_string(c.row.weak_tls); }},
    {"bridged", [](const ReportClient& c) { return std::to_string(c.row.bridged); }},
    {"auth_failed", [](const ReportClient& c) { return std::to_string(c.row.auth_failed); }},
    {"auth_method", [](const ReportClient& c) { return c.row.auth_method; }},
    {"version", [](const ReportClient& c) { return c.row.version; }},
    {"first_seen", [](const ReportClient& c) { return time_text(c.row.first_seen); }},
    {"last_seen", [](const ReportClient& c) { return time_text(c.row.last_seen); }},
    {"sslmode_min", [](const ReportClient& c) { return word(c.sslmode.min); }},
    {"sslmode_max", [](const ReportClient& c) { return word(c.sslmode.max); }},
    {"verifies", [](const ReportClient& c) { return word(c.verifies); }},
    {"weak", [](const ReportClient& c) { return truth(c.weak); }},
    {"changed", [](const ReportClient& c) { return truth(c.changed_at > 0); }},
    {"falls_back", [](const ReportClient& c) { return truth(c.falls_back); }},
    {"breaks_on_force_ssl", [](const ReportClient& c) { return word(c.breaks_on_force_ssl); }},
    {"breaks_on_ca_rotation", [](const ReportClient& c) { return word(c.breaks_on_ca_rotation); }},
    {"action", [](const ReportClient& c) { return word(c.action); }},
    {"evidence", [](const ReportClient& c) { return join(labels(c, false), " "); }},
    {"evidence_possible", [](const ReportClient& c) { return join(labels(c, true), " "); }},
    {"error", [](const ReportClient& c) { return c.error; }},
    {"client_uid",
     [](const ReportClient& c) { return c.row.who.client_uid < 0 ? "" : std::to_string(c.row.who.client_uid); }},
    {"failures", [](const ReportClient& c) { return std::to_string(c.failures()); }},
    {"auth_failures", [](const ReportClient& c) { return std::to_string(c.row.auth_failed); }},
    {"possible_failures", [](const ReportClient& c) { return std::to_string(c.perhaps_failed); }},
    {"last_failure", [](const ReportClient& c) { return time_cell(c.row.last_failure); }},
    {"failing", [](const ReportClient& c) { return truth(c.failing); }},
    {"mixed", [](const ReportClient& c) { return truth(c.mixed); }},
    {"names", [](const ReportClient& c) { return std::to_string(std::max<std::size_t>(c.row.names.size(), 1)); }},
    {"accepted", [](const ReportClient& c) { return truth(c.excused); }},
    {"accepted_until", [](const ReportClient& c) { return c.accepted ? time_cell(c.accepted->until) : ""; }},
    {"owner", [](const ReportClient& c) { return c.accepted ? c.accepted->owner : ""; }},
    {"reason", [](const ReportClient& c) { return c.accepted ? c.accepted->reason : ""; }},
    {"note", [](const ReportClient& c) { return c.note; }},
    {"repaired_at", [](const ReportClient& c) { return time_cell(c.repaired_at); }},
    {"not_probed", [](const ReportClient& c) { return c.row.not_probed; }},
    {"worse_than_accepted", [](const ReportClient& c) { return c.accepted ? join(c.accepted->worse, " ") : ""; }},
    {"state", [](const ReportClient& c) { return word(state_of(c)); }},
});

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
    const auto serialized = [](const json::value& value) { return protocol::printable_json(json::serialize(value)); };
    std::string text =
        "{\"summary\":" + serialized(summary(report)) + ",\"proxies\":" + serialized(proxies) + ",\"clients\":[";
    for (const ReportClient& client : report.clients) {
        json::object said = to_json(report, client);
        if (add) add(client, said);
        if (&client != &report.clients.front()) text += ',';
        text += serialized(said);
    }
    text += "],\"unattributed_failures\":" + serialized(unattributed) +
            ",\"upstream_certificates\":" + serialized(certificates_array(report)) +
            ",\"certificates_expiring\":" + serialized(expiring_array(report));
    if (report.against) text += ",\"against\":" + serialized(to_json(*report.against));
    return text + "}";
}

std::string to_json(const Report& report) { return json_text(report, {}) + "\n"; }

std::string to_csv(const Report& report) {
    std::vector<std::string> cells;
    for (const Column& column : columns) cells.emplace_back(column.name);
    cells.emplace_back("proxy");
    std::string out = line(cells);
    for (const ReportClient& client : report.clients) {
        cells.clear();
        for (const Column& column : columns) cells.push_back(column.value(client));
        cells.push_back(join(proxies_of(report, client), ", "));
        out += line(cells);
    }
    return out;
}

}  // namespace proxy::report
