// The report for a terminal: what is missing, the summary, and one line for each client, as wide as
// the terminal. What is too long is shortened in the middle, and in full in the other formats.
// report_layout.cpp does the columns, report_table_parts.cpp what stands below the clients.
#include <algorithm>
#include <array>
#include <set>

#include "proxy/report/report.hpp"
#include "proxy/report/report_silent.hpp"
#include "proxy/report/report_table_parts.hpp"

namespace proxy::report {
namespace {

/// "now", "35m", "7h", "12d".
std::string age(Timestamp then, Timestamp now) {
    const std::int64_t minutes = (now - then) / 60'000'000;
    if (minutes < 1) return "now";
    if (minutes < 120) return std::to_string(minutes) + "m";
    if (minutes < 48 * 60) return std::to_string(minutes / 60) + "h";
    return std::to_string(minutes / (24 * 60)) + "d";
}

Cell answer(std::string_view word, std::string_view bad) {
    if (word == "unknown") return {"?", yellow};
    return {std::string(word), word == bad ? red : green};
}

const char* colour(Action action) {
    if (action == Action::none) return green;
    return action == Action::probe ? yellow : red;
}

std::string actions(const ReportClient& client) {
    return std::string(to_string(client.action)) + (client.also ? ", " + std::string(to_string(*client.also)) : "");
}

// --- What is missing, and how many there are

/// How many proxies it knows is said always: no weak clients of 39 of 40 proxies says nothing.
std::string heard_of(const Report& report, const Layout& layout) {
    std::string line = proxies_text(report);
    const std::uint64_t silent = report.summary.silent_proxies;
    if (silent > 0) {
        line += ", " + std::to_string(silent) + " silent:";
        const char* between = " ";
        const SilentProxies of_them = silent_proxies(report);
        for (const ReportProxy* proxy : of_them.named) {
            line += between + printable(proxy->name) + " for " + duration_text(proxy->silent);
            between = ", ";
        }
        if (of_them.others > 0) line += ", and " + plural(of_them.others, "other") + " for longer";
    }
    const char* colour = silent > 0 || report.proxies.empty() ? yellow : nullptr;
    std::string out = coloured(paragraph(line, 0, 2, layout), colour, layout);
    for (const std::string& missing : report.summary.incomplete)
        out += coloured(paragraph("incomplete: " + printable(missing), 0, 2, layout), yellow, layout);
    return out;
}

std::string covered(const ReportFilter& filter) {
    std::string out;
    if (filter.since) out += "what was not seen since " + time_text(*filter.since) + " is left out\n";
    if (filter.until) out += "what was not seen by " + time_text(*filter.until) + " is left out\n";
    std::string only;
    for (const auto& [option, value] : restrictions(filter)) only += " --" + option + " " + printable(value);
    return only.empty() ? out : out + "only" + only + "\n";
}

std::string where_in_clear(const ReportSummary& s) {
    if (s.plain == 0) return "in clear text";
    return "in clear text: " + std::to_string(s.plain_network) + " over a network, " + std::to_string(s.plain_local) +
           " on loopback or a UNIX socket";
}

std::string summary(const Report& report, const Layout& layout) {
    const ReportSummary& s = report.summary;
    const bool nobody_came = is_of_direct_alone(s);
    std::string out = coloured(plural(s.clients, "client"), bold, layout) + ", " + plural(s.connections, "connection");
    if (nobody_came) out = coloured("no client came to a proxy", bold, layout);
    if (s.failures > 0) out += ", " + plural(s.failures, "failure");
    if (s.last_seen > 0) out += ", from " + time_text(s.first_seen) + " to " + time_text(s.last_seen);
    out += "\n" + covered(report.filter);
    const auto line = [&](std::uint64_t count, const std::string& meaning, const char* when_any) {
        const std::string number = std::to_string(count);
        const std::string padded = std::string(number.size() < 7 ? 7 - number.size() : 0, ' ') + number;
        out += coloured(padded, count > 0 ? when_any : nullptr, layout) + "  " + paragraph(meaning, 9, 9, layout);
    };
    if (!nobody_came) {
        line(s.plain, where_in_clear(s), red);
        line(s.tls_not_verifying, "use TLS and do not verify the server (proven)", red);
        line(s.verifying, "verify the server", green);
        line(s.unknown, "use TLS, and whether they verify is not known", yellow);
        out += "\n";
        line(s.breaks_on_force_ssl,
             "break on rds.force_ssl=1; of " + std::to_string(s.breaks_on_force_ssl_unknown) + " it is not known", red);
        line(s.breaks_on_ca_rotation,
             "break on the CA rotation; of " + std::to_string(s.breaks_on_ca_rotation_unknown) + " it is not known",
             red);
        line(s.weak, "are weak: clear text, no verification, old TLS", red);
    }
    if (s.mixed > 0) line(s.mixed, "are mixed: in clear text and with TLS, or of contradicting evidence", red);
    if (s.failing > 0) line(s.failing, "fail: they never succeeded, or no longer do", red);
    if (s.falls_back > 0) line(s.falls_back, "fall back to clear text when TLS fails", red);
    if (s.never_logged_in > 0) line(s.never_logged_in, "never logged in", yellow);
    if (s.unattributed_failures > 0)
        line(s.unattributed_failures, unexplained(s) + "; see below the table",
             s.unattributed_refused > 0 ? red : yellow);
    if (s.bridged > 0) line(s.bridged, "are asked for their password (bridged SCRAM)", nullptr);
    if (s.accepted > 0) line(s.accepted, "were accepted as they are", nullptr);
    const char* colour = !s.direct || *s.direct > 0 ? yellow : nullptr;
    for (const std::string& one : who_goes_around(report)) {
        out += "  " + coloured(paragraph(one, 2, 4, layout), colour, layout);
        colour = nullptr;  // of the first, which says how many
    }
    for (const auto& [kind, cost] : s.probes) {
        out += "  probe " + printable(kind) + ": shown to " + plural(cost.shown, "connection") + ", " +
               std::to_string(cost.accepted) + " accepted, " + std::to_string(cost.refused) + " lost by it\n";
    }
    return out;
}

// --- Clients

/// Which columns there are anything in.
struct Shown {
    bool client = true;
    bool names = true;
    bool application = false;
    bool upstream = false;
    bool proxy = false;
    bool source = false;
    bool failures = false;
    bool groups = false;
    bool users = false;  ///< of the operating system: clients differ in nothing else
};

Shown shown(const Report& report) {
    const std::vector<Dimension>& by = report.filter.group_by;
    const auto keeps = [&](Dimension one) { return by.empty() || std::find(by.begin(), by.end(), one) != by.end(); };
    Shown out{.client = keeps(Dimension::client),
              .names = keeps(Dimension::user) || keeps(Dimension::database),
              .proxy = report.proxies.size() > 1};
    std::set<std::string> upstreams;
    std::map<ClientIdentity, std::int64_t> users;
    for (const ReportClient& client : report.clients) {
        const ClientIdentity& who = client.row.who;
        upstreams.insert(who.upstream);
        ClientIdentity anybody = who;
        anybody.client_uid = -1;
        out.users |= users.try_emplace(std::move(anybody), who.client_uid).first->second != who.client_uid;
        out.application |= !who.application_name.empty();
        out.source |= client.source != Source::seen;
        out.failures |= client.failures() > 0;
        out.groups |= !client.row.groups.empty();
    }
    out.upstream = upstreams.size() > 1;
    return out;
}

std::string seen_by(const Report& report, const ReportClient& client) {
    const std::vector<std::string> names = proxies_of(report, client);
    if (names.empty()) return "";
    return names.size() == 1 ? printable(names.front()) : std::to_string(names.size()) + " proxies";
}

Cell mode(const ReportClient& client) {
    std::string text = interval_text(client.sslmode);
    const char* colour = nullptr;
    if (client.mixed) {
        const ClientRow& row = client.row;
        const bool counted = row.plain > 0 && row.plain < row.connections;
        text = counted ? short_number(row.plain) + " of " + short_number(row.connections) + " in clear" : "mixed";
        colour = red;
    }
    return {text + (client.changed_at > 0 ? "*" : "") + (has_possible(client) ? "~" : "") +
                (has_unreadable(client) ? "!" : ""),
            colour};
}

Cell source_cell(const ReportClient& client) {
    return {std::string(to_string(client.source)), client.source == Source::direct ? yellow : nullptr};
}

/// Of those that were accepted, also who answers for it, and until when.
/// `options.width` 0: what there is no room for otherwise is shown as well.
Grid clients(const Report& report, bool accepted, const TableOptions& options) {
    const Shown shows = shown(report);
    const Fingerprints fingerprints(report);
    Grid grid;
    bool titled = false;
    for (const ReportClient& client : report.clients) {
        if (client.excused != accepted) continue;
        const ClientRow& row = client.row;
        std::vector<Cell> cells;
        const auto add = [&](bool is_shown, Column column, Cell cell) {
            if (!is_shown) return;
            if (!titled) grid.columns.push_back(std::move(column));
            cells.push_back(std::move(cell));
        };
        add(shows.client, {.title = "CLIENT", .shrinks = true}, {source(row.who, shows.users)});
        add(shows.names, {.title = "USER@DATABASE", .shrinks = true}, names(client, fingerprints));
        add(shows.application, {.title = "APPLICATION", .shrinks = true}, {printable(row.who.application_name)});
        add(shows.upstream, {.title = "UPSTREAM", .shrinks = true}, {printable(row.who.upstream)});
        add(shows.proxy, {.title = "PROXY", .shrinks = true}, {seen_by(report, client)});
        add(shows.source, {.title = "SOURCE"}, source_cell(client));
        add(true, {.title = "CONNS", .right = true}, {short_number(row.connections)});
        add(shows.failures, {.title = "FAILED", .right = true},
            {short_number(client.failures()), client.failing ? red : nullptr});
        add(true, {.title = "SEEN", .right = true}, {age(row.last_seen, options.now)});
        add(true, {.title = "SSLMODE"}, mode(client));
        add(shows.groups && options.width == 0, {.title = "GROUP"}, {printable(groups_text(row.groups))});
        add(true, {.title = "VERIFIES"}, answer(protocol::to_string(client.verifies), "no"));
        add(true, {.title = "force_ssl", .narrow = "ssl", .above = "BREAKS ON:"},
            answer(protocol::to_string(client.breaks_on_force_ssl), "yes"));
        add(true, {.title = "rotation", .narrow = "CA", .above = "BREAKS ON:"},
            answer(protocol::to_string(client.breaks_on_ca_rotation), "yes"));
        add(true, {.title = "ACTION"}, {actions(client), colour(client.action)});
        add(accepted, {.title = "OWNER", .shrinks = true}, {client.accepted ? printable(client.accepted->owner) : ""});
        add(accepted, {.title = "UNTIL"},
            {client.accepted && client.accepted->until > 0 ? time_text(client.accepted->until).substr(0, 10)
                                                           : "no end"});
        grid.rows.push_back(std::move(cells));
        titled = true;
    }
    return grid;
}

std::string accepted(const Report& report, const TableOptions& options, const Layout& layout) {
    const Grid grid = clients(report, true, options);
    if (grid.rows.empty()) return "";
    return "\n" + coloured("Accepted as they are", bold, layout) + "\n" + to_text(grid, layout);
}

}  // namespace

std::string to_table(const Report& report, const TableOptions& options) {
    const Layout layout{.colours = options.colours, .width = options.width};
    std::string out = heard_of(report, layout) + summary(report, layout);
    if (const Grid grid = clients(report, false, options); !grid.rows.empty()) out += "\n" + to_text(grid, layout);
    out += accepted(report, options, layout);
    for (const std::string& part :
         {what_people_said(report, layout), failures_of_several(report, layout), last_failures(report, layout),
          inferred_fallbacks(report, layout), behind_fronts(report, layout), not_probed(report, layout),
          comparison(report, layout), certificates(report, options)}) {
        if (!part.empty()) out += "\n" + part;
    }
    if (!report.clients.empty()) out += "\n" + explanations(report, layout);
    return out;
}

}  // namespace proxy::report
