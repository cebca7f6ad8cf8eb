// The report for programs: JSON and CSV. Both have every value in full.
#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "protocol/utf8.hpp"
#include "proxy/report/report.hpp"

namespace proxy::report {
namespace {

namespace json = boost::json;

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
        for (const auto& [mode, connections] : by_mode) out[mode] += connections;
    }
    return out;
}

std::vector<std::string> labels(const ReportClient& client, bool possible) {
    std::vector<std::string> out;
    for (const EvidenceRow& row : client.row.evidence) {
        if (row.possible == possible && std::find(out.begin(), out.end(), row.label) == out.end())
            out.push_back(row.label);
    }
    return out;
}

json::object to_json(const ReportClient& client) {
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
    return {{"upstream", protocol::as_utf8(row.who.upstream)},
            {"listener", text(row.listener)},
            {"client_addr", text(row.who.client_addr)},
            {"client_process", text(row.who.client_exe)},
            {"client_uid", row.client_uid ? json::value(*row.client_uid) : json::value(nullptr)},
            {"usename", name(client, row.who.usename)},
            {"datname", name(client, row.who.datname)},
            {"application_name", name(client, row.who.application_name)},
            {"connections", row.connections},
            {"plain", row.plain},
            {"weak_tls", row.weak_tls},
            {"bridged", row.bridged},
            {"auth_failed", row.auth_failed},
            {"auth_method", text(row.auth_method)},
            {"version", text(row.version)},
            {"modes", std::move(by_mode)},
            {"first_seen", time(row.first_seen)},
            {"last_seen", time(row.last_seen)},
            {"sslmode_min", protocol::to_string(client.sslmode.min)},
            {"sslmode_max", protocol::to_string(client.sslmode.max)},
            {"verifies", protocol::to_string(client.verifies)},
            {"weak", client.weak},
            {"changed", client.changed},
            {"falls_back", client.falls_back},
            {"breaks_on_force_ssl", protocol::to_string(client.breaks_on_force_ssl)},
            {"breaks_on_ca_rotation", protocol::to_string(client.breaks_on_ca_rotation)},
            {"action", to_string(client.action)},
            {"evidence", std::move(evidence)},
            {"evidence_detail", std::move(detail)},
            {"probes", std::move(probes)},
            {"error", text(client.error)}};
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
    return {{"since", time(report.since.value_or(0))},
            {"clients", from.clients},
            {"plain", from.plain},
            {"tls_not_verifying", from.tls_not_verifying},
            {"verifying", from.verifying},
            {"unknown", from.unknown},
            {"weak", from.weak},
            {"bridged", from.bridged},
            {"falls_back", from.falls_back},
            {"never_logged_in", from.never_logged_in},
            {"breaks_on_ca_rotation", from.breaks_on_ca_rotation},
            {"breaks_on_ca_rotation_unknown", from.breaks_on_ca_rotation_unknown},
            {"breaks_on_force_ssl", from.breaks_on_force_ssl},
            {"breaks_on_force_ssl_unknown", from.breaks_on_force_ssl_unknown},
            {"actions", std::move(actions)},
            {"connections", from.connections},
            {"first_seen", time(from.first_seen)},
            {"last_seen", time(from.last_seen)},
            {"probes", std::move(probes)},
            {"days", std::move(days)}};
}

/// RFC 4180, and nothing that a spreadsheet takes for a formula: names come from the wire.
std::string cell(std::string_view value) {
    std::string safe;
    if (!value.empty() && std::string_view("=+-@\t\r\n").find(value.front()) != std::string_view::npos) safe = "'";
    safe += protocol::as_utf8(value);
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

std::string joined(const std::vector<std::string>& items) {
    std::string out;
    for (const std::string& item : items) out += (out.empty() ? "" : " ") + item;
    return out;
}

std::string truth(bool value) { return value ? "true" : "false"; }

template <class Enum>
std::string word(Enum value) {
    return std::string(to_string(value));
}

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
    {"changed", [](const ReportClient& c) { return truth(c.changed); }},
    {"falls_back", [](const ReportClient& c) { return truth(c.falls_back); }},
    {"breaks_on_force_ssl", [](const ReportClient& c) { return word(c.breaks_on_force_ssl); }},
    {"breaks_on_ca_rotation", [](const ReportClient& c) { return word(c.breaks_on_ca_rotation); }},
    {"action", [](const ReportClient& c) { return word(c.action); }},
    {"evidence", [](const ReportClient& c) { return joined(labels(c, false)); }},
    {"evidence_possible", [](const ReportClient& c) { return joined(labels(c, true)); }},
    {"error", [](const ReportClient& c) { return c.error; }},
});

}  // namespace

std::string to_json(const Report& report) {
    json::array clients;
    for (const ReportClient& client : report.clients) clients.push_back(to_json(client));
    json::array certificates;
    for (const ReportCertificate& certificate : report.upstream_certificates)
        certificates.push_back(to_json(certificate));
    return json::serialize(json::object{{"summary", summary(report)},
                                        {"clients", std::move(clients)},
                                        {"upstream_certificates", std::move(certificates)}}) +
           "\n";
}

std::string to_csv(const Report& report) {
    std::vector<std::string> cells;
    for (const Column& column : columns) cells.emplace_back(column.name);
    std::string out = line(cells);
    for (const ReportClient& client : report.clients) {
        cells.clear();
        for (const Column& column : columns) cells.push_back(column.value(client));
        out += line(cells);
    }
    return out;
}

}  // namespace proxy::report
