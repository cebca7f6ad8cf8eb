// Reports made by hand, for tests of their formats.
#pragma once

#include <string>

#include "proxy/report/report.hpp"

namespace report_fixture {

using namespace proxy;
using namespace proxy::report;

inline constexpr Timestamp hour = 3'600'000'000;
inline constexpr Timestamp day = 24 * hour;
inline constexpr Timestamp start = 20'000 * day;

/// Of `name`, with one connection by TLS that nothing more is known of.
inline ReportClient client(const std::string& name) {
    ReportClient out;
    out.row.who = {{.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = ""},
                   {.usename = name, .datname = "db", .application_name = ""}};
    out.row.first_seen = out.row.last_seen = start;
    out.row.connections = 1;
    out.row.proxies = {"a1"};
    out.action = Action::probe;
    return out;
}

inline ReportProxy proxy_named(const std::string& id, const std::string& name, Timestamp silent = 0) {
    ReportProxy out;
    out.row.id = id;
    out.name = name;
    out.silent = silent;
    return out;
}

/// One proxy's, with the clients that are given.
inline Report report_of(std::vector<ReportClient> clients) {
    Report out;
    out.proxies.push_back(proxy_named("a1", "app-1"));
    for (const ReportClient& each : clients) ++out.summary.actions[each.action];
    out.summary.clients = clients.size();
    out.clients = std::move(clients);
    return out;
}

inline std::string table(const Report& report, std::size_t width = 120) {
    return to_table(report, {.colours = false, .width = width, .now = start});
}

inline bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace report_fixture
