// The report in CSV: one line per client, with every value in full.
#include <algorithm>
#include <array>
#include <boost/algorithm/string/join.hpp>

#include "proxy/report/report_json_parts.hpp"

namespace proxy::report {
namespace {

using boost::algorithm::join;

/// RFC 4180, and nothing that a spreadsheet takes for a formula or a terminal for a command: names
/// come from the wire.
std::string csv_cell(std::string_view value) {
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

std::string csv_line(const std::vector<std::string>& cells) {
    std::string out;
    for (const std::string& value : cells) out += (out.empty() ? "" : ",") + csv_cell(value);
    return out + "\r\n";
}

std::string truth(bool value) { return value ? "true" : "false"; }

template <class Enum>
std::string word(Enum value) {
    return std::string(to_string(value));
}

/// Empty: never.
std::string time_cell(Timestamp value) { return value == 0 ? "" : time_text(value); }

struct CsvColumn {
    const char* name;
    std::string (*value)(const ReportClient& client);
};

constexpr auto csv_columns = std::to_array<CsvColumn>({
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
    {"evidence", [](const ReportClient& c) { return join(json_parts::evidence_labels(c, false), " "); }},
    {"evidence_possible", [](const ReportClient& c) { return join(json_parts::evidence_labels(c, true), " "); }},
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
    {"failure", [](const ReportClient& c) { return c.last_failed ? failure_text(*c.last_failed) : ""; }},
    {"groups", [](const ReportClient& c) { return join(c.row.groups, " "); }},
    {"also", [](const ReportClient& c) { return c.also ? word(*c.also) : ""; }},
    {"ja4", [](const ReportClient& c) { return join(json_parts::fingerprints(c), " "); }},
    {"source", [](const ReportClient& c) { return word(c.source); }},
    {"servers", [](const ReportClient& c) { return join(c.direct.servers, " "); }},
    {"looks", [](const ReportClient& c) { return c.source == Source::direct ? std::to_string(c.direct.looks) : ""; }},
});

}  // namespace

std::string to_csv(const Report& report) {
    std::vector<std::string> cells;
    for (const CsvColumn& column : csv_columns) cells.emplace_back(column.name);
    cells.emplace_back("proxy");
    std::string out = csv_line(cells);
    for (const ReportClient& client : report.clients) {
        cells.clear();
        for (const CsvColumn& column : csv_columns) cells.push_back(column.value(client));
        cells.push_back(join(proxies_of(report, client), ", "));
        out += csv_line(cells);
    }
    return out;
}

}  // namespace proxy::report
