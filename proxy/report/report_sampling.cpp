// How servers were looked at, whose sessions they listed, and what was not looked at: that nobody
// goes around is good news only where somebody looked.
#include "proxy/report/report_sampling.hpp"

#include <algorithm>
#include <array>
#include <boost/algorithm/string/join.hpp>
#include <set>

#include "proxy/report/report_rows.hpp"

namespace proxy::report {
namespace {

/// Two proxies look at different moments, and files may be read one after the other.
constexpr Timestamp looks_may_differ = silent_after;

/// So long without an answer is more than a server that restarts.
constexpr Timestamp failures_that_count_as_gap = 60'000'000;

using ServerKey = std::pair<std::string, std::string>;  // upstream, address

ServerKey server_of(const auto& row) { return {row.upstream, row.upstream_addr}; }

bool is_asked_for(const SamplingRow& row, const ReportFilter& filter) {
    return filter.upstream.empty() || filter.upstream == row.upstream;
}

template <class Row>
bool is_within(const Row& row, const ReportFilter& filter) {
    return row.last_seen >= filter.since.value_or(0) &&
           row.first_seen <= filter.until.value_or(std::numeric_limits<Timestamp>::max());
}

bool is_within(const SamplingRow& row, const ReportFilter& filter) {
    return row.looks > 0 && row.last_look >= filter.since.value_or(0) &&
           row.first_look <= filter.until.value_or(std::numeric_limits<Timestamp>::max());
}

void add_looks(SampledServer& into, const SamplingRow& from, const std::string& instance) {
    into.first_look = into.looks == 0 ? from.first_look : std::min(into.first_look, from.first_look);
    into.last_look = std::max(into.last_look, from.last_look);
    into.interval = std::max(into.interval, from.interval);
    into.looks += from.looks;
    into.hidden += from.hidden;
    into.failed += from.failed;
    into.left_out += from.left_out;
    into.looked_by.insert(instance);
}

/// How a proxy looked at a server, where it was shown whose the sessions are.
const SamplingRow* shown(const InventoryRows& inventory, const SampledServer& server) {
    const auto found = std::find_if(inventory.sampling.begin(), inventory.sampling.end(), [&](const SamplingRow& row) {
        return server_of(row) == server_of(server) && row.hidden == 0;
    });
    return found == inventory.sampling.end() ? nullptr : &*found;
}

/// Sessions in all its looks, without those in no row.
std::uint64_t seen_at(const InventoryRows& inventory, const SamplingRow& server) {
    std::uint64_t seen = 0;
    for (const SampledSessionsRow& row : inventory.sampled_sessions) {
        if (server_of(row) == server_of(server)) seen += row.seen;
    }
    return seen;
}

std::string server_text(const auto& row) { return row.upstream_addr + " of " + row.upstream; }

std::string seconds_text(Timestamp interval) {
    const Timestamp tenths = interval / 100'000;
    return std::to_string(tenths / 10) + (tenths % 10 == 0 ? "" : "." + std::to_string(tenths % 10)) + " s";
}

/// What one that looks at a server did not see of it.
void add_unseen(std::vector<std::string>& out, const ReportProxy& proxy, const InventoryRows& inventory,
                const SamplingRow& row, const ReportFilter& filter) {
    const auto say = [&](bool applies, const std::string& sentence) {
        if (applies) out.push_back(proxy.name + ": " + server_text(row) + " " + sentence);
    };
    const Timestamp since = filter.since.value_or(0);
    const std::string why = row.error.empty() ? "" : ": " + row.error;
    if (row.looks == 0) return say(row.failed > 0, "was never looked at" + why);
    say(row.last_look < since, "was not looked at after " + time_text(row.last_look) + why);
    if (row.last_look < since) return;
    say(row.hidden > 0, "did not show whose its sessions are in " + std::to_string(row.hidden) + " of " +
                            plural(row.looks, "look") + ": GRANT pg_read_all_stats to the role of the monitor");
    // Those that are gone too soon for anybody to know whose they were are never all in a row.
    const std::uint64_t all = seen_at(inventory, row) + row.left_out;
    say(row.left_out * 100 > all, "listed sessions that are in no row, " + std::to_string(row.left_out) + " of " +
                                      std::to_string(all) + " in all looks: gone too soon, or too many");
    const bool gap =
        static_cast<Timestamp>(row.failed) >= failures_that_count_as_gap / std::max<Timestamp>(row.interval, 1);
    const bool within = row.last_failure >= since;
    say(within && (gap || row.last_failure > row.last_look), "could not be looked at " + plural(row.failed, "time") +
                                                                 ", the last one at " + time_text(row.last_failure) +
                                                                 why);
    say(filter.since && row.first_look > since, "was not looked at before " + time_text(row.first_look));
}

/// When a proxy met a server last, by its certificate; nullopt: of that upstream it knows none.
std::optional<Timestamp> last_met(const InventoryRows& inventory, const ServerKey& server) {
    std::optional<Timestamp> last;
    for (const UpstreamCertificateRow& row : inventory.upstream_certificates) {
        if (row.upstream != server.first) continue;
        last = std::max(last.value_or(0), server_of(row) == server ? row.last_seen : 0);
    }
    return last;
}

/// When somebody came to that upstream last; 0: never.
Timestamp last_client(const InventoryRows& inventory, const std::string& upstream) {
    Timestamp last = 0;
    for (const ClientRow& row : inventory.clients) {
        if (row.who.upstream == upstream) last = std::max(last, row.last_seen);
    }
    return last;
}

/// When a proxy went to a server last. In clear there are no certificates to know servers by: then
/// it may have been any of the upstream.
Timestamp last_there(const InventoryRows& inventory, const ServerKey& server) {
    return last_met(inventory, server).value_or(last_client(inventory, server.first));
}

bool looks_at(const InventoryRows& inventory, const ServerKey& server) {
    return std::any_of(inventory.sampling.begin(), inventory.sampling.end(),
                       [&](const SamplingRow& row) { return server_of(row) == server && row.looks > 0; });
}

std::string name_of(const Report& report, const std::string& instance) {
    for (const ReportProxy& proxy : report.proxies) {
        if (proxy.row.id == instance) return proxy.name;
    }
    return instance.empty() ? "a proxy" : instance;
}

/// Proxies that went on to a server after they had looked at it for the last time. A server that is
/// gone is nobody's any more.
void add_stopped(std::vector<std::string>& out, const ReportProxy& proxy, const InventoryRows& inventory,
                 const ReportFilter& filter) {
    std::map<std::string, Timestamp> last_of_upstream;
    for (const SamplingRow& row : inventory.sampling) {
        Timestamp& last = last_of_upstream[row.upstream];
        last = std::max(last, row.last_look);
    }
    for (const SamplingRow& row : inventory.sampling) {
        if (!is_asked_for(row, filter) || !is_within(row, filter) || !row.proxying) continue;
        const auto met = last_met(inventory, server_of(row));
        const Timestamp looked = met ? row.last_look : last_of_upstream[row.upstream];
        if (last_there(inventory, server_of(row)) <= looked + looks_may_differ + 2 * row.interval) continue;
        out.push_back(proxy.name + ": " + server_text(row) + " is not looked at any more since " +
                      time_text(row.last_look));
    }
}

/// Proxies that go to a server that others look at, and do not say which sessions are theirs.
void add_mute(std::vector<std::string>& out, const Report& report,
              const std::vector<const InventoryRows*>& inventories) {
    for (const InventoryRows* inventory : inventories) {
        std::vector<std::string> servers;
        for (const SampledServer& server : report.sampling) {
            const Timestamp since = std::max(server.first_look, report.filter.since.value_or(0));
            const bool goes_there = last_there(*inventory, server_of(server)) >= since;
            if (goes_there && !looks_at(*inventory, server_of(server))) servers.push_back(server.upstream_addr);
        }
        if (servers.empty()) continue;
        out.push_back(name_of(report, inventory->instance) + " does not look at " + enumerated(servers, 3) +
                      ", so its own sessions there are among the direct ones (sample_interval, with monitor_user)");
    }
}

/// Servers that proxies met while others were looked at.
void add_unwatched(std::vector<std::string>& out, const Report& report,
                   const std::vector<const InventoryRows*>& inventories) {
    if (report.sampling.empty()) return;
    std::set<ServerKey> looked_at;
    std::set<std::string> upstreams_looked_at;
    Timestamp since = report.sampling.front().first_look;
    for (const SampledServer& server : report.sampling) {
        looked_at.insert(server_of(server));
        upstreams_looked_at.insert(server.upstream);
        since = std::min(since, server.first_look);
    }
    std::set<std::string> upstreams;
    std::vector<std::string> servers;
    for (const ReportCertificate& one : report.upstream_certificates) {
        if (!one.current || one.row.last_seen < since || looked_at.contains(server_of(one.row))) continue;
        if (upstreams_looked_at.contains(one.row.upstream)) {
            servers.push_back(server_text(one.row));
        } else {
            upstreams.insert(one.row.upstream);
        }
    }
    const std::string& wanted = report.filter.upstream;
    for (const InventoryRows* inventory : inventories) {
        for (const ClientRow& client : inventory->clients) {
            const std::string& upstream = client.who.upstream;
            const bool asked_for = wanted.empty() || wanted == upstream;
            if (asked_for && client.last_seen >= since && !upstreams_looked_at.contains(upstream))
                upstreams.insert(upstream);
        }
    }
    if (!servers.empty())
        out.push_back("who goes around pgairlock to " + enumerated(servers, 5) +
                      " was not looked at, unless that is another address of a server that was");
    if (!upstreams.empty())
        out.push_back("who goes around pgairlock was not looked at for " +
                      enumerated({upstreams.begin(), upstreams.end()}, 5) + " (sample_interval, with monitor_user)");
}

std::string percent(std::uint64_t through, std::uint64_t all) { return std::to_string(through * 100 / all) + " %"; }

std::string coverage_text(const Report& report) {
    const auto whole = report.summary.coverage;
    std::vector<std::string> parts;
    for (const SampledServer& server : report.sampling) {
        const auto share = coverage(server);
        parts.push_back(server.upstream_addr + " " + (share ? percent(server.through, server.all) : "not known"));
    }
    const std::string each = parts.size() < 2 ? "" : ": " + enumerated(parts, 4);
    if (!whole) return "how much of the traffic pgairlock sees is not known" + each;
    return "pgairlock sees " + std::to_string(*whole) + " % of the sessions that the servers list" + each;
}

std::string looks_text(const Report& report) {
    Timestamp first = report.sampling.front().first_look, last = 0, interval = 0;
    std::uint64_t left_out = 0;
    for (const SampledServer& server : report.sampling) {
        first = std::min(first, server.first_look);
        last = std::max(last, server.last_look);
        interval = std::max(interval, server.interval);
        left_out += server.left_out;
    }
    const std::string also =
        left_out == 0 ? "" : ", and " + std::to_string(left_out) + " that were there are in no row";
    return plural(report.sampling.size(), "server") + " looked at every " + seconds_text(interval) + " from " +
           time_text(first) + " to " + time_text(last) + ": a session shorter than that may be missing here" + also;
}

}  // namespace

OwnSessions::Kind OwnSessions::kind(const SampledSessionsRow& row) {
    return {row.upstream_addr, row.client_addr, row.usename, row.datname, row.application_name, row.version};
}

OwnSessions::OwnSessions(const std::vector<const InventoryRows*>& inventories) {
    for (const InventoryRows* inventory : inventories) {
        for (const SampledSessionsRow& row : inventory->sampled_sessions) {
            Listed& listed = kinds_[kind(row)][inventory];
            if (row.through) {
                listed.own_until = std::max(listed.own_until, row.last_seen);
            } else {
                listed.others = true;
            }
        }
    }
}

bool OwnSessions::explain(const InventoryRows& lister, const SampledSessionsRow& row) const {
    const auto found = kinds_.find(kind(row));
    if (found == kinds_.end()) return false;
    return std::any_of(found->second.begin(), found->second.end(), [&](const auto& one) {
        const auto& [inventory, listed] = one;
        return inventory != &lister && listed.own_until > 0 && !listed.others &&
               row.last_seen <= listed.own_until + looks_may_differ;
    });
}

std::optional<std::uint64_t> coverage(const SampledServer& server) {
    if (server.all == 0) return std::nullopt;
    return server.through * 100 / server.all;
}

std::optional<std::uint64_t> coverage(const std::vector<SampledServer>& servers) {
    SampledServer whole;
    for (const SampledServer& server : servers) {
        if (server.all == 0 && server.hidden > 0) return std::nullopt;
        whole.through += server.through;
        whole.all += server.all;
    }
    return coverage(whole);
}

std::vector<SampledServer> sampled_servers(const std::vector<const InventoryRows*>& inventories,
                                           const std::set<std::string>& asked_for, const ReportFilter& filter) {
    std::map<ServerKey, SampledServer> servers;
    for (const InventoryRows* inventory : inventories) {
        if (!inventory->instance.empty() && !asked_for.contains(inventory->instance)) continue;
        for (const SamplingRow& row : inventory->sampling) {
            if (!is_asked_for(row, filter) || !is_within(row, filter)) continue;
            const auto [at, is_new] = servers.try_emplace(
                server_of(row), SampledServer{.upstream = row.upstream, .upstream_addr = row.upstream_addr});
            add_looks(at->second, row, inventory->instance);
        }
    }
    const OwnSessions own(inventories);
    for (const InventoryRows* inventory : inventories) {
        for (const SampledSessionsRow& row : inventory->sampled_sessions) {
            const auto server = servers.find(server_of(row));
            if (server == servers.end() || !is_within(row, filter)) continue;
            if (!server->second.looked_by.contains(inventory->instance) || !shown(*inventory, server->second)) continue;
            server->second.all += row.seen;
            if (row.through || own.explain(*inventory, row)) server->second.through += row.seen;
        }
    }
    for (auto& [key, server] : servers) {  // what is in no row came through nobody, for all that is known
        for (const InventoryRows* inventory : inventories) {
            const SamplingRow* row =
                server.looked_by.contains(inventory->instance) ? shown(*inventory, server) : nullptr;
            if (row) server.all += row->left_out;
        }
    }
    std::vector<SampledServer> out;
    for (auto& [key, server] : servers) out.push_back(std::move(server));
    const auto share = [](const SampledServer& server) {  // what is not known first
        return server.all == 0 ? -1.0 : static_cast<double>(server.through) / static_cast<double>(server.all);
    };
    std::stable_sort(out.begin(), out.end(),
                     [&](const SampledServer& a, const SampledServer& b) { return share(a) < share(b); });
    return out;
}

std::vector<std::string> not_looked_at(const Report& report, const std::vector<const InventoryRows*>& inventories) {
    std::vector<std::string> out;
    for (const InventoryRows* inventory : inventories) {
        for (const ReportProxy& proxy : report.proxies) {
            if (proxy.row.id != inventory->instance || !proxy.asked_for) continue;
            for (const SamplingRow& row : inventory->sampling) {
                if (is_asked_for(row, report.filter)) add_unseen(out, proxy, *inventory, row, report.filter);
            }
            add_stopped(out, proxy, *inventory, report.filter);
        }
    }
    add_mute(out, report, inventories);
    add_unwatched(out, report, inventories);
    return out;
}

std::vector<std::string> who_goes_around(const Report& report) {
    const ReportSummary& s = report.summary;
    if (!s.direct) {
        return {
            "who goes around pgairlock is not known: no server was looked at (sample_interval, with monitor_user; "
            "or pgairlock sample)"};
    }
    const std::uint64_t others = *s.direct - s.direct_plain;
    std::string direct = *s.direct == 0 ? "no client was seen that goes" : plural(*s.direct, "client");
    if (*s.direct > 0) direct += *s.direct == 1 ? " goes" : " go";
    direct += " around pgairlock (direct)";
    if (*s.direct > 0) {
        direct += ": " + std::to_string(s.direct_plain) + " in clear text, " + std::to_string(others) + " with TLS";
        if (s.direct_accepted > 0) direct += "; " + std::to_string(s.direct_accepted) + " accepted as they are";
        if (s.clients > 0) direct += "; no other figure counts them";
    }
    return {direct, printable(coverage_text(report)), printable(looks_text(report))};
}

}  // namespace proxy::report
