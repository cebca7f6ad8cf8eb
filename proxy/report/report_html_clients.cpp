// The tables of clients in HTML. Their columns stand in the order in which people ask: who, weak,
// verifies, what breaks, what to do, how much of it in clear, failures, when, and what proves it.
#include <algorithm>
#include <boost/algorithm/string/join.hpp>
#include <set>

#include "proxy/report/report_html_parts.hpp"

namespace proxy::report::html {
namespace {

/// Which columns there are anything in.
struct Shown {
    bool application = false;
    bool upstream = false;
    bool proxy = false;
    bool source = false;
    bool user = false;  ///< of the operating system
    bool mixed = false;
    bool accepted = false;
};

Shown shown(const Report& report, bool accepted) {
    Shown out{.proxy = report.proxies.size() > 1, .accepted = accepted};
    std::set<std::string> upstreams;
    for (const ReportClient& client : report.clients) {
        upstreams.insert(client.row.who.upstream);
        out.application |= !client.row.who.application_name.empty();
        out.user |= client.row.who.client_uid >= 0;
        out.mixed |= client.mixed;
        out.source |= client.source != Source::seen;
    }
    out.upstream = upstreams.size() > 1;
    return out;
}

std::vector<Heading> headings(const Shown& shows) {
    std::vector<Heading> out{{"Client"}};
    const auto add = [&](bool is_shown, Heading heading) {
        if (is_shown) out.push_back(heading);
    };
    add(shows.user, {"uid", "number"});
    add(true, {"User@database"});
    add(shows.application, {"Application"});
    add(shows.upstream, {"Upstream"});
    add(shows.proxy, {"Proxy"});
    add(shows.source, {"Source"});
    add(true, {"Weak"});
    add(shows.mixed, {"Mixed"});
    add(true, {"Verifies"});
    add(true, {"Breaks on force_ssl"});
    add(true, {"Breaks on CA rotation"});
    add(true, {"Action", "number"});
    add(true, {"In clear", "number"});
    add(true, {"Connections", "number"});
    add(true, {"Failures", "number"});
    add(true, {"Last seen", "number"});
    add(shows.accepted, {"Accepted"});
    add(true, {"sslmode", "number"});
    add(true, {"Proof", "number"});
    return out;
}

std::string small(const std::string& text) { return text.empty() ? "" : "<small>" + escaped(text) + "</small>"; }

std::string proof(const ReportClient& client) {
    const auto& rows = client.row.evidence;
    if (rows.empty()) return "<td class=\"faint\" data-value=\"0\">none</td>";
    std::string out = "<td data-value=\"" + number(rows.size()) + "\"><details><summary>" + number(rows.size()) +
                      "</summary><table><tr><th>seen</th><th>times</th><th>first</th><th>last</th><th>certificate</"
                      "th><th>session</th></tr>";
    for (const EvidenceRow& row : rows) {
        out += "<tr>" +
               cell(row.label + (row.evidence ? "" : " (known to a newer pgairlock only)") +
                    (row.possible ? " (possibly another client's)" : "")) +
               number_cell(row.count) + time_cell(row.first_seen) + time_cell(row.last_seen) + cell(row.certificate) +
               cell(row.session) + "</tr>";
    }
    return out + "</table>" + (client.error.empty() ? "" : "<p>" + escaped(client.error) + "</p>") + "</details></td>";
}

std::string names_cell(const ReportClient& client, const Fingerprints& fingerprints) {
    const ClientIdentity& who = client.row.who;
    return client.known ? cell(who.usename + "@" + who.datname)
                        : "<td class=\"faint\">(not known)" + small(fingerprints.of(client)) + "</td>";
}

std::string application_cell(const ReportClient& client) {
    const std::size_t names = client.row.names.size();
    return "<td>" + escaped(client.row.who.application_name) + (names > 0 ? small(plural(names, "name")) : "") +
           "</td>";
}

std::string action_cell(const ReportClient& client) {
    const bool says_why = client.action == Action::probe && !client.row.not_probed.empty();
    return "<td data-value=\"" + std::to_string(static_cast<int>(client.action)) + "\">" +
           std::string(to_string(client.action)) +
           (client.perhaps_anothers_fallback
                ? small("unless who failed with TLS before was another client at its address")
                : std::string()) +
           (client.also ? small("and " + std::string(to_string(*client.also))) : std::string()) +
           (says_why ? small("not probed: " + client.row.not_probed) : std::string()) +
           small(std::string(at_the_front(client))) +
           (client.last_failed ? small("failed last: " + failure_text(*client.last_failed)) : std::string()) + "</td>";
}

std::string mode_cell(const ReportClient& client) {
    return "<td data-value=\"" +
           std::to_string(static_cast<int>(client.sslmode.min) * 10 + static_cast<int>(client.sslmode.max)) + "\">" +
           escaped(interval_text(client.sslmode)) + small(client.changed_at > 0 ? "changed" : "") +
           small(client.row.version) + small(client.row.groups.empty() ? "" : client.row.groups.front()) + "</td>";
}

std::string accepted_cell(const ReportClient& client) {
    const Acceptance accepted = client.accepted.value_or(Acceptance{});
    const std::string until = accepted.until > 0 ? "until " + time_text(accepted.until).substr(0, 10) : "no end";
    return "<td>" + escaped(accepted.owner) + small(until) + small(accepted.reason) + "</td>";
}

std::string source_cell(const ReportClient& client) {
    return "<td>" + std::string(to_string(client.source)) + small(boost::algorithm::join(client.direct.servers, ", ")) +
           "</td>";
}

std::string user_cell(const ClientIdentity& who) {
    if (who.client_uid >= 0) return number_cell(static_cast<std::uint64_t>(who.client_uid));
    return "<td data-value=\"-1\"></td>";
}

std::string row(const Report& report, const ReportClient& client, const Shown& shows,
                const Fingerprints& fingerprints) {
    const ClientRow& row = client.row;
    const ClientIdentity& who = row.who;
    std::string out = "<tr data-action=\"" + std::string(to_string(client.action)) + "\"><td>" +
                      escaped(who.client_addr.empty() ? "local" : who.client_addr) + small(who.client_exe) +
                      small(boost::algorithm::join(decisions(client), "; ")) + "</td>";
    if (shows.user) out += user_cell(who);
    out += names_cell(client, fingerprints);
    if (shows.application) out += application_cell(client);
    if (shows.upstream) out += cell(who.upstream);
    if (shows.proxy) out += cell(boost::algorithm::join(proxies_of(report, client), ", "));
    if (shows.source) out += source_cell(client);
    out += answer_cell(client.weak ? "yes" : "no", "yes");
    if (shows.mixed) out += answer_cell(client.mixed ? "yes" : "no", "yes");
    out += answer_cell(protocol::to_string(client.verifies), "no") +
           answer_cell(protocol::to_string(client.breaks_on_force_ssl), "yes") +
           answer_cell(protocol::to_string(client.breaks_on_ca_rotation), "yes") + action_cell(client) +
           number_cell(row.plain) + number_cell(row.connections) + number_cell(client.failures()) +
           time_cell(row.last_seen);
    if (shows.accepted) out += accepted_cell(client);
    return out + mode_cell(client) + proof(client) + "</tr>\n";
}

std::string table(const Report& report, bool accepted, const char* id) {
    const Shown shows = shown(report, accepted);
    const Fingerprints fingerprints(report);
    std::string out = std::string("<div class=\"scroll\"><table class=\"sortable clients\" id=\"") + id + "\">" +
                      head(headings(shows)) + "<tbody>";
    for (const ReportClient& client : report.clients) {
        if (client.excused == accepted) out += row(report, client, shows, fingerprints);
    }
    return out + "</tbody></table></div>\n";
}

}  // namespace

std::string clients(const Report& report) {
    std::string out =
        "<h2>Clients</h2><form id=\"filter\" hidden><label>Show only <input id=\"text\" type=\"search\" "
        "placeholder=\"words\"></label>"
        "<label>Action <select id=\"action\"><option value=\"\">any</option>";
    std::map<Action, std::uint64_t> actions;
    for (const ReportClient& client : report.clients) ++actions[client.action];
    for (const auto& [action, count] : actions) {
        const std::string word(to_string(action));
        out += "<option value=\"" + word + "\">" + word + " (" + number(count) + ")</option>";
    }
    out += "</select></label><output id=\"shown\"></output></form>" + table(report, false, "clients");
    if (report.summary.accepted + report.summary.direct_accepted > 0)
        out += "<h2>Accepted as they are</h2>" + table(report, true, "accepted");
    for (const Unattributed& one : report.unattributed) {
        const std::string from = (one.from.client_addr.empty() ? "local" : one.from.client_addr) + " " +
                                 one.from.client_exe.substr(one.from.client_exe.rfind('/') + 1);
        out += "<p>" + plural(one.count, "failed handshake") + " of " + escaped(from) + " " + escaped(whose(one, 100)) +
               ".</p>\n";
    }
    return out;
}

}  // namespace proxy::report::html
