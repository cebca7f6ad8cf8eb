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

/// A monitor that is refused asks again after so long, whatever the interval.
constexpr Timestamp pause_after_refusal = 30'000'000;

/// What failed so long ago, and was next to nothing of the whole time, is told of no more.
constexpr Timestamp failures_are_old_after = 30 * day_length;

/// Of "10.1.0.1:5432" and "[::1]:5432"; of a UNIX-domain socket, whose name is a path, nothing.
std::string host_of(const std::string& address) {
    if (address.starts_with('/') || address.starts_with('@')) return "";
    if (address.starts_with('[')) return address.substr(1, address.find(']') - 1);
    const std::size_t colon = address.find(':');
    return colon == address.rfind(':') ? address.substr(0, colon) : address;
}

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

/// When a look was last not shown whose the sessions are; nullopt: always was.
std::optional<Timestamp> last_hidden(const SamplingRow& row) {
    if (row.hidden == 0) return std::nullopt;
    return row.last_hidden > 0 ? row.last_hidden : row.last_look;
}

bool is_hidden_now(const SamplingRow& row) { return last_hidden(row).value_or(-1) >= row.last_look; }

bool was_hidden(const SamplingRow& row, const ReportFilter& filter) {
    return last_hidden(row) >= filter.since.value_or(0);
}

/// Sessions in no row, unless all of that was before the range.
std::uint64_t left_out_within(const SamplingRow& row, const ReportFilter& filter) {
    return row.last_left_out > 0 && row.last_left_out < filter.since.value_or(0) ? 0 : row.left_out;
}

void add_looks(SampledServer& into, const SamplingRow& from, const std::string& instance, const ReportFilter& filter) {
    into.first_look = into.looks == 0 ? from.first_look : std::min(into.first_look, from.first_look);
    into.last_look = std::max(into.last_look, from.last_look);
    into.interval = std::max(into.interval, from.interval);
    into.looks += from.looks;
    into.hidden += was_hidden(from, filter) ? from.hidden : 0;
    into.failed += from.failed;
    // Hidden ones are among them, and told of otherwise.
    into.left_out += was_hidden(from, filter) ? 0 : left_out_within(from, filter);
    Timestamp& last_of_kind = is_hidden_now(from) ? into.hidden_at : into.shown_at;
    last_of_kind = std::max(last_of_kind, from.last_look);
    into.looked_by.insert(instance);
}

/// How a proxy looked at a server, where it is shown whose the sessions are.
const SamplingRow* shown(const InventoryRows& inventory, const SampledServer& server) {
    const auto found = std::find_if(inventory.sampling.begin(), inventory.sampling.end(), [&](const SamplingRow& row) {
        return server_of(row) == server_of(server) && row.looks > 0 && !is_hidden_now(row);
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

/// Empty: nothing was hidden within the range.
std::string hidden_text(const SamplingRow& row, const ReportFilter& filter) {
    if (!was_hidden(row, filter)) return "";
    const std::string many = std::to_string(row.hidden) + " of " + plural(row.looks, "look");
    if (!is_hidden_now(row)) {
        return "did not show whose its sessions are in " + many + " until " + time_text(*last_hidden(row)) +
               "; since then all looks showed them";
    }
    return "does not show whose its sessions are (in " + many + "): GRANT pg_read_all_stats to the role of the monitor";
}

/// Empty: next to nothing. Those that are gone too soon for anybody to know whose they were are
/// never all in a row. A range may have had all of them, so they are held against its part of the
/// sessions.
std::string left_out_text(const SamplingRow& row, std::uint64_t in_rows, const ReportFilter& filter) {
    const std::uint64_t left_out = left_out_within(row, filter);
    if (left_out == 0) return "";
    const std::uint64_t all = in_rows + left_out;
    const Timestamp life = std::max<Timestamp>(row.last_look - row.first_look, 1);
    const Timestamp since = std::max(filter.since.value_or(0), row.first_look);
    const Timestamp until = std::min(filter.until.value_or(row.last_look), row.last_look);
    const double part = std::clamp(static_cast<double>(until - since) / static_cast<double>(life), 0.0, 1.0);
    if (static_cast<double>(left_out) * 100 <= static_cast<double>(all) * part) return "";
    return "listed sessions that are in no row, " + std::to_string(left_out) + " of " + std::to_string(all) +
           " in all looks" + (row.last_left_out > 0 ? ", the last at " + time_text(row.last_left_out) : "") +
           ": gone too soon, too many, or of an older process of the proxy that still served";
}

/// Whether looks failed for longer than may pass in silence, or the last one did.
bool is_gap(const SamplingRow& row, const ReportFilter& filter) {
    if (row.failed == 0 || row.last_failure < filter.since.value_or(0)) return false;
    if (row.last_failure > row.last_look) return true;
    const double each = static_cast<double>(std::max<Timestamp>(row.interval, pause_after_refusal));
    const double gap = static_cast<double>(row.failed) * each;
    const bool is_old = !filter.since && row.last_look - row.last_failure > failures_are_old_after &&
                        gap * 1000 <= static_cast<double>(row.last_look - row.first_look);
    return gap > static_cast<double>(failures_that_count_as_gap) && !is_old;
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
    say(filter.now > 0 && row.last_look > filter.now + clocks_may_differ,
        "was last looked at at " + time_text(row.last_look) + ", which is still to come: a clock is or was wrong");
    const std::string hidden = hidden_text(row, filter);
    say(!hidden.empty(), hidden);
    const std::string left_out = left_out_text(row, seen_at(inventory, row), filter);
    say(hidden.empty() && !left_out.empty(), left_out);
    say(is_gap(row, filter), "could not be looked at " + plural(row.failed, "time") + ", the last one at " +
                                 time_text(row.last_failure) + why);
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

std::uint64_t count_direct(const Report& report, auto&& test) {
    const auto count = std::count_if(report.clients.begin(), report.clients.end(), [&](const ReportClient& client) {
        return client.source == Source::direct && test(client);
    });
    return static_cast<std::uint64_t>(count);
}

/// What would become of those that go around, whom no other figure counts.
std::string judged_text(const Report& report) {
    const auto by = [&](protocol::Readiness ReportClient::*what) {
        const auto of = [&](protocol::Readiness answer) {
            return std::to_string(
                count_direct(report, [&](const ReportClient& client) { return client.*what == answer; }));
        };
        return of(protocol::Readiness::yes) + ", not " + of(protocol::Readiness::no) + ", not known of " +
               of(protocol::Readiness::unknown);
    };
    return "of those that go around rds.force_ssl=1 breaks " + by(&ReportClient::breaks_on_force_ssl) +
           "; the CA rotation breaks " + by(&ReportClient::breaks_on_ca_rotation) + "; weak are " +
           std::to_string(count_direct(report, [](const ReportClient& client) { return client.weak; }));
}

/// Empty: there were none.
std::string amazons_text(const Report& report) {
    std::uint64_t sessions = 0;
    for (const SampledServer& server : report.sampling) sessions += server.amazons;
    if (sessions == 0) return "";
    return plural(sessions, "session") + " of rdsadmin, Amazon's own on the server itself, " +
           (sessions == 1 ? "is" : "are") + " not counted";
}

}  // namespace

bool is_amazons(const SampledSessionsRow& row) {
    return row.usename == "rdsadmin" && (row.client_addr == "local" || is_local(row.client_addr));
}

OwnSessions::Kind OwnSessions::kind(const SampledSessionsRow& row) {
    return {row.client_addr, row.usename, row.datname, row.application_name, row.version};
}

OwnSessions::OwnSessions(const std::vector<const InventoryRows*>& inventories) {
    for (const InventoryRows* inventory : inventories) {
        for (const SamplingRow& row : inventory->sampling) {
            Server& server = servers_[{inventory, row.upstream_addr}];
            if (row.last_look >= server.last_look) server = {.started = row.server_started, .last_look = row.last_look};
        }
        for (const SampledSessionsRow& row : inventory->sampled_sessions) {
            Listed& listed = kinds_[kind(row)][{inventory, row.upstream_addr}];
            if (row.through) {
                listed.own_since = std::min(listed.own_since, row.first_seen);
                listed.own_until = std::max(listed.own_until, row.last_seen);
            } else {
                listed.others = true;
            }
        }
    }
}

/// A server that has told when it started is the one that started then, by whatever address. Of one
/// that has not there is only its address, and of one host's own nobody else has that.
bool OwnSessions::is_one_server(const Place& a, const Place& b) const {
    const auto known = [&](const Place& place) {
        const auto found = servers_.find(place);
        return found == servers_.end() ? Server{} : found->second;
    };
    const Server one = known(a), other = known(b);
    const bool by_address = a.second == b.second && !is_of_one_host(host_of(a.second));
    if (one.started == 0 || other.started == 0) return by_address;
    if (one.started == other.started) return true;
    // It may be one that has started again since one of the two looked there last.
    const auto& [older, newer] = one.started < other.started ? std::pair(one, other) : std::pair(other, one);
    return by_address && older.last_look < newer.started;
}

bool OwnSessions::explain(const InventoryRows& lister, const SampledSessionsRow& row) const {
    const auto found = kinds_.find(kind(row));
    if (found == kinds_.end()) return false;
    const Place here{&lister, row.upstream_addr};
    return std::any_of(found->second.begin(), found->second.end(), [&](const auto& one) {
        const auto& [place, listed] = one;
        return place != here && listed.own_until > 0 && !listed.others &&
               row.first_seen + looks_may_differ >= listed.own_since &&
               row.last_seen <= listed.own_until + looks_may_differ && is_one_server(here, place);
    });
}

bool is_shown(const SampledServer& server) { return server.shown_at + looks_may_differ >= server.hidden_at; }

std::optional<std::uint64_t> coverage(const SampledServer& server) {
    if (server.all == 0 || !is_shown(server)) return std::nullopt;
    return server.through * 100 / server.all;
}

std::optional<std::uint64_t> coverage(const std::vector<SampledServer>& servers) {
    SampledServer whole;
    for (const SampledServer& server : servers) {
        if (!is_shown(server)) return std::nullopt;
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
            add_looks(at->second, row, inventory->instance, filter);
        }
    }
    const OwnSessions own(inventories);
    for (const InventoryRows* inventory : inventories) {
        std::map<ServerKey, std::uint64_t> amazons;
        for (const SampledSessionsRow& row : inventory->sampled_sessions) {
            const auto server = servers.find(server_of(row));
            if (server == servers.end() || !is_within(row, filter)) continue;
            if (!server->second.looked_by.contains(inventory->instance) || !shown(*inventory, server->second)) continue;
            if (is_amazons(row)) {
                amazons[server->first] += row.sessions;
                continue;
            }
            server->second.all += row.seen;
            if (row.through || own.explain(*inventory, row)) server->second.through += row.seen;
        }
        for (const auto& [key, sessions] : amazons)
            servers.at(key).amazons = std::max(servers.at(key).amazons, sessions);
    }
    for (auto& [key, server] : servers) {  // what is in no row came through nobody, for all that is known
        for (const InventoryRows* inventory : inventories) {
            const SamplingRow* row =
                server.looked_by.contains(inventory->instance) ? shown(*inventory, server) : nullptr;
            if (row) server.all += left_out_within(*row, filter);
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
    if (!s.direct && !report.sampling.empty()) {
        std::vector<std::string> servers;
        for (const SampledServer& server : report.sampling) {
            if (!is_shown(server)) servers.push_back(server.upstream_addr);
        }
        return {printable("who goes around pgairlock is not known: " + enumerated(servers, 4) +
                          (servers.size() == 1 ? " does" : " do") +
                          " not show whose the sessions are (GRANT "
                          "pg_read_all_stats to the role of the monitor)"),
                printable(coverage_text(report)), printable(looks_text(report))};
    }
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
    std::vector<std::string> out{direct};
    if (*s.direct > 0) out.push_back(judged_text(report));
    out.push_back(printable(coverage_text(report)));
    out.push_back(printable(looks_text(report)));
    if (const std::string amazons = amazons_text(report); !amazons.empty()) out.push_back(amazons);
    return out;
}

}  // namespace proxy::report
