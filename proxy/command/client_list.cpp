#include "proxy/command/client_list.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <vector>

namespace proxy::command {
namespace {

namespace json = boost::json;
using report::ReportClient;

/// The host whose client it is, where its address does not say it.
std::string host_of(const report::Report& report, const ReportClient& client) {
    const std::string& id = client.row.who.seen_by;
    if (id.empty() || report.proxies.size() < 2) return "";
    const auto found = std::find_if(report.proxies.begin(), report.proxies.end(),
                                    [&](const report::ReportProxy& proxy) { return proxy.row.id == id; });
    return found == report.proxies.end() ? id : found->name;
}

std::string address_text(const ReportClient& client) {
    const ClientIdentity& who = client.row.who;
    std::string out = who.client_addr.empty() ? "UNIX-domain socket" : who.client_addr;
    if (!who.client_exe.empty()) out += " " + who.client_exe;
    if (who.client_uid >= 0) out += " uid " + std::to_string(who.client_uid);
    return out;
}

std::string names_text(const ReportClient& client) {
    return client.known ? client.row.who.usename + "@" + client.row.who.datname : "(not known)";
}

std::string application_text(const ReportClient& client) {
    const std::string& name = client.row.who.application_name;
    return client.row.names.size() < 2 ? name : name + " (" + report::plural(client.row.names.size(), "name") + ")";
}

std::string accepted_text(const ReportClient& client, Timestamp now) {
    if (!client.accepted) return "";
    const report::Acceptance& accepted = *client.accepted;
    const std::string until = accepted.until == 0 ? "" : "until " + report::time_text(accepted.until);
    if (accepted.until != 0 && now >= accepted.until) return until + ": over";
    if (!accepted.worse.empty()) return "no more, worse: " + report::joined_words(accepted.worse);
    return until.empty() ? "yes" : until;
}

using Cells = std::array<std::string, 11>;

const Cells headings{"CLIENT", "USER@DATABASE", "APPLICATION", "UPSTREAM",     "PROXY",   "SOURCE",
                     "STATE",  "ACCEPTED",      "OWNER",       "REASON, NOTE", "REPAIRED"};

Cells cells_of(const report::Report& report, const ReportClient& client) {
    const ClientIdentity& who = client.row.who;
    std::string said = client.accepted ? client.accepted->reason : "";
    if (!client.note.empty()) said += (said.empty() ? "" : "; ") + client.note;
    return {address_text(client),
            names_text(client),
            application_text(client),
            who.upstream,
            host_of(report, client),
            client.source == report::Source::direct ? std::string(to_string(client.source)) : "",
            report::joined_words(report::complaints(client)),
            accepted_text(client, report.filter.now),
            client.accepted ? client.accepted->owner : "",
            said,
            client.repaired_at == 0 ? "" : report::time_text(client.repaired_at)};
}

std::size_t characters(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

std::string client_line(const report::Report& report, const ReportClient& client) {
    const std::string application = application_text(client), host = host_of(report, client);
    return report::printable(names_text(client) + (application.empty() ? "" : " " + application) + " from " +
                             address_text(client) + ", upstream " + client.row.who.upstream +
                             (host.empty() ? "" : ", proxy " + host) +
                             (client.source == report::Source::direct ? ", direct" : ""));
}

std::string clients_table(const report::Report& report) {
    std::vector<Cells> rows{headings};
    for (const ReportClient& client : report.clients) {
        rows.push_back(cells_of(report, client));
        for (std::string& cell : rows.back()) cell = report::printable(cell);
    }
    std::array<std::size_t, std::tuple_size_v<Cells>> widths{};
    std::array<bool, std::tuple_size_v<Cells>> used{};
    for (const Cells& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], characters(row[i]));
            used[i] = used[i] || (&row != &rows.front() && !row[i].empty());
        }
    }
    std::string out;
    for (const Cells& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            if (used[i]) line += row[i] + std::string(widths[i] - characters(row[i]) + 2, ' ');
        }
        out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return report.clients.empty() ? "no clients\n" : out;
}

std::string clients_json(const report::Report& report) {
    constexpr std::string_view members[] = {
        "source",  "proxy",   "upstream",         "client_addr", "client_process", "client_uid",
        "usename", "datname", "application_name", "names",       "connections",    "last_seen",
        "weak",    "action",  "accepted",         "note",        "repaired_at"};
    const json::value document = json::parse(report::to_json(report));
    json::array out;
    for (std::size_t i = 0; i < report.clients.size(); ++i) {
        const json::object& whole = document.at("clients").at(i).as_object();
        json::object client;
        for (const std::string_view member : members) client[member] = whole.at(member);
        json::array state;
        for (const std::string& word : report::complaints(report.clients[i])) state.emplace_back(word);
        client["state"] = std::move(state);
        out.push_back(std::move(client));
    }
    return protocol::printable_json(json::serialize(json::object{{"clients", std::move(out)}})) + "\n";
}

}  // namespace proxy::command
