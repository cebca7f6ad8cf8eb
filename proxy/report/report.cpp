#include "proxy/report/report.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "config/load.hpp"
#include "proxy/report/report_rows.hpp"

namespace proxy::report {
namespace {

using protocol::Readiness;
using protocol::Verifies;

constexpr Timestamp end_of_time = std::numeric_limits<Timestamp>::max();

bool matches_address(const std::string& wanted, const std::string& address) {
    if (wanted.empty() || wanted == address) return true;
    const auto range = config::parse_cidr(wanted);
    const auto one = config::parse_cidr(address);
    return range && one && range->contains(one->bytes);
}

bool matches(const ReportClient& client, const ReportFilter& filter, const std::set<std::string>& proxies) {
    const ClientIdentity& who = client.row.who;
    const auto is = [](const std::string& wanted, const std::string& value) {
        return wanted.empty() || wanted == value;
    };
    const bool named =
        is(filter.application_name, who.application_name) ||
        std::find(client.row.names.begin(), client.row.names.end(), filter.application_name) != client.row.names.end();
    const bool seen_there = filter.proxy.empty() || std::any_of(client.row.proxies.begin(), client.row.proxies.end(),
                                                                [&](const auto& id) { return proxies.contains(id); });
    return is(filter.usename, who.usename) && is(filter.datname, who.datname) && is(filter.upstream, who.upstream) &&
           named && seen_there && matches_address(filter.client_addr, who.client_addr);
}

/// Failed handshakes name nobody: whoever is asked for by name may have made them. That somebody
/// cannot connect is held against those at the same address.
std::vector<Unattributed> nameless(const std::vector<ReportClient>& clients, const ReportFilter& filter,
                                   const std::set<std::string>& proxies) {
    ReportFilter place = filter;
    place.usename = place.datname = place.application_name = "";
    const auto address = [](const ReportClient& client) {
        const ClientOrigin& origin = client.row.who;
        return std::tuple(origin.upstream, origin.seen_by, origin.client_addr);
    };
    std::set<std::tuple<std::string, std::string, std::string>> asked_for;
    for (const ReportClient& client : clients) {
        if (matches(client, filter, proxies)) asked_for.insert(address(client));
    }
    std::vector<Unattributed> out;
    for (const ReportClient& client : clients) {
        if (client.known || matches(client, filter, proxies) || !matches(client, place, proxies)) continue;
        Unattributed one{.from = client.row.who, .error = client.error};
        for (const EvidenceRow& row : client.row.evidence) add_failure(one, row);
        one.broken = one.broken && asked_for.contains(address(client));
        if (one.count > 0) out.push_back(std::move(one));
    }
    return out;
}

// --- The whole

/// No total counts those that go around us as well: the same client may come both ways, and of what
/// it does there too little is known.
void add_direct(ReportSummary& summary, const ReportClient& client) {
    if (!summary.direct) summary.direct = 0;
    ++*summary.direct;
    summary.direct_plain += client.plain ? 1 : 0;
    summary.direct_accepted += client.excused ? 1 : 0;
}

void add_times(ReportSummary& summary, const ReportClient& client) {
    const Timestamp first = client.row.first_seen;
    summary.first_seen = summary.last_seen == 0 ? first : std::min(summary.first_seen, first);
    summary.last_seen = std::max(summary.last_seen, client.row.last_seen);
}

void add(ReportSummary& summary, const ReportClient& client) {
    add_times(summary, client);
    if (client.source == Source::direct) return add_direct(summary, client);
    const auto count = [](std::uint64_t& counter, bool applies) { counter += applies ? 1 : 0; };
    ++summary.clients;
    count(summary.plain, client.plain);
    count(summary.tls_not_verifying, !client.plain && client.verifies == Verifies::no);
    count(summary.verifying, !client.plain && client.verifies == Verifies::yes);
    count(summary.unknown, !client.plain && client.verifies == Verifies::unknown);
    count(summary.plain_network, client.plain && !client.local);
    count(summary.plain_local, client.plain && client.local);
    count(summary.weak, client.weak);
    count(summary.mixed, client.mixed);
    count(summary.failing, client.failing);
    count(summary.accepted, client.excused);
    count(summary.bridged, client.row.bridged > 0);
    count(summary.falls_back, client.falls_back);
    count(summary.never_logged_in, client.row.connections == 0);
    count(summary.breaks_on_ca_rotation, client.breaks_on_ca_rotation == Readiness::yes);
    count(summary.breaks_on_ca_rotation_unknown, client.breaks_on_ca_rotation == Readiness::unknown);
    count(summary.breaks_on_force_ssl, client.breaks_on_force_ssl == Readiness::yes);
    count(summary.breaks_on_force_ssl_unknown, client.breaks_on_force_ssl == Readiness::unknown);
    ++summary.actions[client.action];
    summary.connections += client.row.connections;
    summary.failures += client.failures();
    for (const auto& [day, modes] : client.row.days) {
        for (const auto& [mode, facts] : modes) {
            if (facts.connections > 0) summary.days[day][mode] += facts.connections;
        }
    }
}

/// From the table itself: clients that share an address would be counted twice.
void add_probes(ReportSummary& summary, const std::vector<ProbeRow>& probes, const std::set<ClientOrigin>& asked_for,
                Timestamp since) {
    for (const ProbeRow& row : probes) {
        if (!asked_for.contains(row.from) || row.last_shown < since) continue;
        ProbeCost& cost = summary.probes[row.kind];
        cost.kind = row.kind;
        cost.shown += row.shown;
        cost.accepted += row.accepted;
        cost.refused += row.refused;
        cost.last_shown = std::max(cost.last_shown, row.last_shown);
    }
}

std::set<std::string> names_of(const std::set<std::string>& ids, const std::vector<ReportProxy>& proxies) {
    std::set<std::string> names;
    for (const ReportProxy& proxy : proxies) {
        if (ids.contains(proxy.row.id)) names.insert(proxy.name);
    }
    return names;
}

std::vector<ReportCertificate> certificates(const Knowledge& knowledge, const std::vector<ReportProxy>& proxies,
                                            const ReportFilter& filter) {
    const std::vector<UpstreamCertificateRow>& rows = knowledge.rows.upstream_certificates;
    std::map<std::pair<std::string, std::string>, Timestamp> newest;
    for (const auto& row : rows) {
        if (row.first_seen > filter.until.value_or(end_of_time)) continue;
        Timestamp& last = newest[{row.upstream, row.upstream_addr}];
        last = std::max(last, row.last_seen);
    }
    std::vector<ReportCertificate> out;
    for (const auto& row : rows) {
        const bool asked_for = filter.upstream.empty() || filter.upstream == row.upstream;
        if (!asked_for || row.last_seen < filter.since.value_or(0) ||
            row.first_seen > filter.until.value_or(end_of_time))
            continue;
        const Rehearsal& by_id = knowledge.rehearsals.at(certificate_of(row));
        out.push_back({.row = row,
                       .current = row.last_seen == newest[{row.upstream, row.upstream_addr}],
                       .rehearsal = {.refused_by = names_of(by_id.refused_by, proxies),
                                     .not_judged_by = names_of(by_id.not_judged_by, proxies)}});
    }
    std::stable_sort(out.begin(), out.end(), [](const ReportCertificate& a, const ReportCertificate& b) {
        return std::tie(a.row.upstream, a.row.upstream_addr, b.row.last_seen) <
               std::tie(b.row.upstream, b.row.upstream_addr, a.row.last_seen);
    });
    return out;
}

/// Those that people accepted last, those that cannot connect first.
bool is_worse(const ReportClient& a, const ReportClient& b) {
    if (a.excused != b.excused) return b.excused;
    if (a.failing != b.failing) return a.failing;
    if (a.action != b.action) return a.action < b.action;
    if (a.weak != b.weak) return a.weak;
    if (a.row.connections != b.row.connections) return a.row.connections > b.row.connections;
    return std::tie(a.row.who, a.source) < std::tie(b.row.who, b.source);
}

/// `pgairlock sample`, whose file says of every server that nobody goes there through it.
bool only_looks(const InventoryRows& inventory) {
    return !inventory.sampling.empty() && inventory.clients.empty() && inventory.handshakes.empty() &&
           std::none_of(inventory.sampling.begin(), inventory.sampling.end(),
                        [](const SamplingRow& row) { return row.proxying; });
}

std::vector<ReportProxy> proxies(const Knowledge& knowledge, Timestamp now) {
    std::set<std::string> samplers;
    for (const InventoryRows* inventory : knowledge.inventories) {
        if (only_looks(*inventory)) samplers.insert(inventory->instance);
    }
    std::vector<ReportProxy> out;
    for (const ProxyRow& row : knowledge.proxies) {
        const Timestamp age = now - row.last_seen;
        const bool sampler = samplers.contains(row.id);
        out.push_back({.row = row,
                       .name = row.name.empty() ? row.id : row.name,
                       .silent = row.last_seen > 0 && age > silent_after && !sampler ? age : 0,
                       .only_looks = sampler});
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const ReportProxy& a, const ReportProxy& b) { return a.name < b.name; });
    return out;
}

std::set<std::string> ids_of(const std::vector<ReportProxy>& proxies, const std::string& wanted) {
    std::set<std::string> ids;
    for (const ReportProxy& proxy : proxies) {
        if (wanted.empty() || proxy.name == wanted || proxy.row.id == wanted) ids.insert(proxy.row.id);
    }
    return ids;
}

Timestamp consistent_after(const std::vector<ProxyRow>& proxies) {
    constexpr Timestamp usual = 30 * day_length;
    Timestamp longest = -1;
    for (const ProxyRow& proxy : proxies) {
        if (proxy.consistent_after == 0) return 0;  // only people decide
        longest = std::max(longest, proxy.consistent_after);
    }
    return longest > 0 ? longest : usual;
}

/// Whoever is excused is so as the client that was accepted, not as a part of several.
void conclude(std::vector<ReportClient>& clients, const ReportFilter& filter, Timestamp consistent_after) {
    for (ReportClient& client : clients) {
        evaluate(client, consistent_after);
        decide_excuse(client, filter.now);
    }
    if (filter.group_by.empty()) return;
    group(clients, filter.group_by);
    for (ReportClient& client : clients) evaluate(client, consistent_after);
}

/// What was seen by a clock that was ahead was seen, but nobody knows when: at the latest now.
void until_now(ClientRow& row, Timestamp now) {
    const auto clamp = [&](Timestamp& time) { time = std::min(time, now); };
    for (Timestamp* time : {&row.first_seen, &row.last_seen, &row.last_failure}) clamp(*time);
    for (EvidenceRow& evidence : row.evidence) {
        clamp(evidence.first_seen);
        clamp(evidence.last_seen);
    }
    for (auto& [day, modes] : row.days) {
        for (auto& [mode, facts] : modes) {
            clamp(facts.first_seen);
            clamp(facts.last_seen);
            clamp(facts.open_until);
        }
    }
}

/// Whether it is something that servers do not tell of those that go around every proxy.
bool is_of_proxies(FailOn what) {
    return what == FailOn::fallback || what == FailOn::failing || what == FailOn::silent || what == FailOn::expiring;
}

/// Of those that came to a proxy.
std::set<ClientOrigin> origins(const std::vector<ReportClient>& clients) {
    std::set<ClientOrigin> out;
    for (const ReportClient& client : clients) {
        if (client.source == Source::seen) out.insert(client.row.who);
    }
    return out;
}

}  // namespace

bool ReportFilter::names_clients() const noexcept {
    return !(usename.empty() && datname.empty() && application_name.empty() && client_addr.empty() &&
             upstream.empty() && proxy.empty());
}

Report make_report(const std::vector<InventoryRows>& inventories, const ReportFilter& filter) {
    Report report;
    report.filter = filter;
    Knowledge knowledge = merge(inventories, filter.now);
    fold_names(knowledge.rows.clients);
    report.proxies = proxies(knowledge, filter.now);
    const auto asked_for = ids_of(report.proxies, filter.proxy);
    for (ReportProxy& proxy : report.proxies) proxy.asked_for = asked_for.contains(proxy.row.id);

    Joined attributed = join(knowledge.rows);
    report.clients = std::move(attributed.clients);
    report.unattributed = std::move(attributed.unattributed);
    const Range range{.since = filter.since.value_or(0), .until = filter.until.value_or(end_of_time)};
    const std::vector<Unattributed> strangers = nameless(report.clients, filter, asked_for);
    for (ReportClient& client : direct_clients(knowledge.inventories)) report.clients.push_back(std::move(client));
    apply_marks(knowledge.rows.marks, report.clients, filter.now);
    std::erase_if(report.clients, [&](const ReportClient& client) { return !matches(client, filter, asked_for); });
    report.summary.incomplete = missing(report, knowledge.apart);
    if (filter.now > 0) {
        for (ReportClient& client : report.clients) until_now(client.row, filter.now);
    }
    // Also of clients that were quiet in that time: they may be who failed.
    const std::set<ClientOrigin> known = origins(report.clients);
    std::erase_if(report.unattributed, [&](const Unattributed& one) {
        return std::none_of(one.candidates.begin(), one.candidates.end(),
                            [&](const ClientIdentity& who) { return known.contains(who); });
    });
    report.unattributed.insert(report.unattributed.end(), strangers.begin(), strangers.end());
    std::erase_if(report.unattributed,
                  [&](const Unattributed& one) { return one.last_seen < range.since || one.first_seen > range.until; });
    std::erase_if(report.clients, [&](ReportClient& client) { return !restrict_to(client, range); });
    const std::set<ClientOrigin> probed = origins(report.clients);
    for (ReportClient& client : report.clients) client.local = is_local(client.row.who.client_addr);
    report.consistent_after = consistent_after(knowledge.proxies);
    conclude(report.clients, filter, report.consistent_after);
    std::stable_sort(report.clients.begin(), report.clients.end(), is_worse);

    ReportSummary& summary = report.summary;
    report.sampling = sampled_servers(knowledge.inventories, asked_for, filter);
    if (!report.sampling.empty() && std::all_of(report.sampling.begin(), report.sampling.end(), is_shown))
        summary.direct = 0;
    summary.coverage = coverage(report.sampling);
    for (const ReportClient& client : report.clients) add(summary, client);
    add_probes(summary, knowledge.rows.probes, probed, range.since);
    for (const Unattributed& one : report.unattributed) {
        summary.unattributed_failures += one.count;
        summary.unattributed_refused += one.refused;
    }
    for (const ReportProxy& proxy : report.proxies)
        summary.silent_proxies += proxy.silent > 0 && proxy.asked_for ? 1 : 0;
    report.upstream_certificates = certificates(knowledge, report.proxies, filter);
    for (std::string& one : not_looked_at(report, knowledge.inventories)) summary.incomplete.push_back(std::move(one));
    return report;
}

std::string why_failed(const Report& report, FailOn what) {
    const ReportSummary& summary = report.summary;
    if (report.clients.empty()) return "there are no clients";
    if (!summary.incomplete.empty()) return "incomplete: " + summary.incomplete.front();
    if (summary.clients == 0 && is_of_proxies(what))
        return "no client came to a proxy, and servers do not tell it of those that go around";
    const auto clients = [&](auto&& test) -> std::string {
        const auto count = std::count_if(report.clients.begin(), report.clients.end(),
                                         [&](const ReportClient& client) { return !client.excused && test(client); });
        return count == 0 ? "" : plural(static_cast<std::uint64_t>(count), "client");
    };
    switch (what) {
        case FailOn::weak: return clients([](const ReportClient& c) { return c.weak; });
        case FailOn::unknown: return clients([](const ReportClient& c) { return c.verifies == Verifies::unknown; });
        case FailOn::rotation:
            return clients([](const ReportClient& c) { return c.breaks_on_ca_rotation != Readiness::no; });
        case FailOn::force_ssl:
            return clients([](const ReportClient& c) { return c.breaks_on_force_ssl != Readiness::no; });
        case FailOn::fallback: return clients([](const ReportClient& c) { return c.falls_back; });
        case FailOn::failing: {
            const std::string failing = clients([](const ReportClient& c) { return c.failing; });
            const bool of_several = std::any_of(report.unattributed.begin(), report.unattributed.end(),
                                                [](const Unattributed& one) { return one.broken; });
            return !failing.empty() || !of_several ? failing : "one of several whose failed handshakes name nobody";
        }
        case FailOn::direct:
            if (!summary.direct) return "it is not known: no server was looked at, or one does not show its sessions";
            return clients([](const ReportClient& c) { return c.source == Source::direct; });
        case FailOn::silent: return summary.silent_proxies == 0 ? "" : plural(summary.silent_proxies, "silent proxy");
        case FailOn::expiring: return why_expiring(report);
        case FailOn::incomplete: return "";  // answered above
    }
    return "it is not known what that is";
}

}  // namespace proxy::report
