// One row of several (`--group-by`).
#include <algorithm>
#include <boost/algorithm/string/join.hpp>
#include <tuple>

#include "proxy/report/report.hpp"
#include "proxy/report/report_sampling.hpp"

namespace proxy::report {
namespace {

/// `seen_by`: the proxies that saw it, which is one for an address of its host alone.
ClientIdentity reduced(const ClientIdentity& who, const std::string& seen_by, const std::vector<Dimension>& by) {
    const auto keeps = [&](Dimension dimension) { return std::find(by.begin(), by.end(), dimension) != by.end(); };
    ClientIdentity out;
    if (keeps(Dimension::upstream)) out.upstream = who.upstream;
    if (keeps(Dimension::proxy)) out.seen_by = seen_by;
    if (keeps(Dimension::client)) {
        out.client_addr = who.client_addr;
        out.client_exe = who.client_exe;
        out.client_uid = who.client_uid;
        out.seen_by = who.seen_by;
    }
    if (keeps(Dimension::user)) out.usename = who.usename;
    if (keeps(Dimension::database)) out.datname = who.datname;
    if (keeps(Dimension::application)) out.application_name = who.application_name;
    return out;
}

/// What people said about one of them was not said about all.
void add(ReportClient& into, const ReportClient& from) {
    add_client(into.row, from.row);
    join_direct(into.direct, from.direct);
    for (const ProbeCost& cost : from.probes) {
        const bool counted =
            cost.shared && std::any_of(into.probes.begin(), into.probes.end(), [&](const ProbeCost& other) {
                return other.kind == cost.kind && other.shown == cost.shown && other.last_shown == cost.last_shown;
            });
        if (!counted) into.probes.push_back(cost);
    }
    if (into.error.empty()) into.error = from.error;
    into.local = into.local && from.local;
    into.excused = into.excused && from.excused;
    if (!into.excused) into.accepted.reset();
    if (into.note != from.note) into.note.clear();
    into.repaired_at = std::min(into.repaired_at, from.repaired_at);
}

}  // namespace

void group(std::vector<ReportClient>& clients, const std::vector<Dimension>& by) {
    if (by.empty()) return;
    // Of what one was repaired of, none of the others can be accused.
    for (ReportClient& client : clients)
        std::erase_if(client.row.evidence, [&](const EvidenceRow& row) { return row.last_seen <= client.repaired_at; });
    // What came through a proxy and what did not stay apart.
    std::map<std::tuple<bool, Source, ClientIdentity>, ReportClient> groups;
    for (ReportClient& client : clients) {
        ClientIdentity who = reduced(client.row.who, boost::algorithm::join(client.row.proxies, " "), by);
        const auto [at, is_new] = groups.try_emplace({client.known, client.source, who}, client);
        if (is_new) {
            at->second.row.who = std::move(who);
        } else {
            add(at->second, client);
        }
    }
    clients.clear();
    for (auto& [key, client] : groups) {
        unite(client.row.evidence);
        clients.push_back(std::move(client));
    }
}

}  // namespace proxy::report
