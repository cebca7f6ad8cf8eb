#include "proxy/report/report.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "config/load.hpp"

namespace proxy::report {
namespace {

using protocol::Evidence;
using protocol::Readiness;
using protocol::Side;
using protocol::SslMode;
using protocol::Verifies;

constexpr Timestamp end_of_time = std::numeric_limits<Timestamp>::max();

/// What was counted of a client after some moment.
struct Facts {
    std::uint64_t clear = 0;  ///< connections
    std::uint64_t tls = 0;
    std::uint64_t weak_tls = 0;
    Timestamp last_clear = 0;
    Timestamp last_weak = 0;
    Timestamp last_tls = 0;
    Timestamp last_login = 0;  ///< that succeeded; a session that stays open is none
};

Facts facts_after(const ClientRow& row, Timestamp after) {
    Facts facts;
    for (const auto& [day, modes] : row.days) {
        for (const auto& [mode, counted] : modes) {
            if (counted.connections == 0) continue;
            if (counted.last_seen > after) facts.last_login = std::max(facts.last_login, counted.last_seen);
            const Timestamp last = std::max(counted.last_seen, counted.open_until);
            if (mode_of(mode) == Mode::clear) {
                if (last <= after) continue;
                facts.clear += counted.connections;
                facts.last_clear = std::max(facts.last_clear, last);
                continue;
            }
            if (counted.last_seen > after) {
                facts.tls += counted.connections;
                facts.last_tls = std::max(facts.last_tls, counted.last_seen);
            }
            if (counted.weak_tls == 0 || last <= after) continue;
            facts.weak_tls += counted.weak_tls;
            facts.last_weak = std::max(facts.last_weak, last);
        }
    }
    return facts;
}

/// When what was last seen; 0: never.
struct LastSeen {
    Timestamp tls = 0;
    Timestamp clear = 0;         ///< of any kind
    Timestamp allow = 0;         ///< tls_after_clear_refused
    Timestamp unreadable = 0;    ///< of a kind that only a newer version knows
    Timestamp broken_trust = 0;  ///< the real certificate was refused, or none was even looked at
    Timestamp refused = 0;       ///< the real certificate was refused
    Timestamp fell_back = 0;     ///< it went on in clear after a certificate
    Timestamp refused_probe = 0;
};

LastSeen last_seen(const std::vector<EvidenceRow>& rows, Timestamp after) {
    LastSeen last;
    for (const EvidenceRow& row : rows) {
        if (row.possible || row.last_seen <= after) continue;
        const auto note = [&](Timestamp& when, bool applies) {
            if (applies) when = std::max(when, row.last_seen);
        };
        note(last.unreadable, !row.evidence);
        if (!row.evidence) continue;
        const protocol::Facts& facts = protocol::facts(*row.evidence);
        const protocol::Facts& amounts = protocol::facts(protocol::amounts_to(*row.evidence, row.count));
        note(last.tls, facts.side == Side::tls);
        note(last.clear, facts.side == Side::clear);
        note(last.allow, row.evidence == Evidence::tls_after_clear_refused);
        note(last.broken_trust, amounts.broken_trust);
        note(last.refused, amounts.side == Side::refused && !amounts.probe);
        note(last.fell_back, row.evidence == Evidence::clear_startup_after_refusal);
        note(last.refused_probe, facts.probe && facts.is_refusal());
    }
    // It went on after it had refused something, and of ours that can only have been the real one.
    if (last.refused_probe == 0) last.refused = std::max(last.refused, last.fell_back);
    return last;
}

protocol::Verdict verdict_of(const std::vector<EvidenceRow>& rows, Timestamp after, Timestamp unreadable,
                             Timestamp consistent_after) {
    std::vector<protocol::Observation> observations;
    for (const EvidenceRow& row : rows) {
        if (!row.evidence || row.last_seen <= after) continue;
        observations.push_back({.evidence = *row.evidence,
                                .first_seen = row.first_seen,
                                .last_seen = row.last_seen,
                                .count = row.count,
                                .possible = row.possible});
    }
    return protocol::judge(std::move(observations), {.unreadable = unreadable, .consistent_after = consistent_after});
}

/// Until when clear text, or weak TLS, is a thing of the past: for a long time there was none of
/// it, and at least as many connections as before were otherwise. 0: it is not.
Timestamp outlived(Timestamp last, std::uint64_t count, const ClientRow& row, Timestamp consistent_after) {
    if (last == 0 || consistent_after == 0) return 0;
    const Facts since = facts_after(row, last);
    return since.last_tls - last >= consistent_after && since.tls >= count ? last : 0;
}

/// Never "no" where anything came in clear: who knows what else shares the name.
Readiness breaks_on_force_ssl(const ReportClient& client, const LastSeen& last) {
    if (!client.mixed && client.sslmode.max <= SslMode::disable) return Readiness::yes;
    if (client.plain || client.mixed) return Readiness::unknown;
    if (client.sslmode.min >= SslMode::require) return Readiness::no;  // never connects in clear
    return last.tls == 0 || last.unreadable > last.tls ? Readiness::unknown : Readiness::no;
}

Readiness breaks_on_ca_rotation(const protocol::Verdict& verdict) {
    switch (verdict.ready_for_rotation) {
        case Readiness::yes: return Readiness::no;
        case Readiness::no: return verdict.interval.max > SslMode::require ? Readiness::yes : Readiness::unknown;
        case Readiness::unknown: break;
    }
    return Readiness::unknown;
}

/// `allow` sends a StartupMessage in clear too, but is not let in with it where that is refused.
bool is_plain(const Facts& facts, const LastSeen& last) {
    if (facts.clear > 0) return true;
    const bool only_tried = last.allow > 0 && last.tls > 0;
    return last.clear > 0 && !only_tried;
}

Action choose(const ReportClient& client, const Facts& facts, const LastSeen& last) {
    if (client.falls_back) return last.refused > 0 ? Action::trust_our_ca : Action::repair_fallback;
    if (client.plain && client.mixed) return Action::split;
    if (client.plain) return Action::enable_tls;
    if (last.broken_trust > last.tls) return Action::fix_root_certificate;
    if (client.breaks_on_ca_rotation == Readiness::yes) return Action::update_trust_store;
    if (client.verifies == Verifies::no) return Action::verify_the_server;
    if (facts.weak_tls > 0) return Action::upgrade_tls;
    if (client.verifies == Verifies::unknown || client.breaks_on_ca_rotation == Readiness::unknown)
        return Action::probe;
    return Action::none;
}

/// Evidence that comes from handshakes alone. What probing cost a client is no failure of its own.
bool is_failed_handshake(const EvidenceRow& row) {
    if (!row.evidence) return false;
    const protocol::Facts& facts = protocol::facts(*row.evidence);
    return !facts.probe && (facts.is_refusal() || facts.side == Side::closed_earlier);
}

void count_failures(ReportClient& client) {
    client.failed_handshakes = client.perhaps_failed = 0;
    for (const EvidenceRow& row : client.row.evidence) {
        if (is_failed_handshake(row)) (row.possible ? client.perhaps_failed : client.failed_handshakes) += row.count;
    }
}

/// What may have been another's is no failure of its own.
Timestamp last_failure(const ReportClient& client) {
    Timestamp last = client.row.last_failure;
    for (const EvidenceRow& row : client.row.evidence) {
        if (!row.possible && is_failed_handshake(row)) last = std::max(last, row.last_seen);
    }
    return last;
}

/// So many failures since the last success are no slip.
constexpr std::uint64_t failures_that_count = 3;

/// It never succeeded, or does not any more.
bool is_failing(const ReportClient& client, const Facts& facts, const LastSeen& last) {
    const Timestamp failed = last_failure(client);
    const Timestamp succeeded = facts.last_login;
    if (failed <= client.repaired_at || failed <= succeeded) return false;
    if (facts.clear + facts.tls == 0 || last.broken_trust > last.tls) return true;
    std::uint64_t since = 0;
    for (const auto& [day, modes] : client.row.days) {
        if (day < succeeded / day_length) continue;
        for (const auto& [mode, counted] : modes) since += counted.failures;
    }
    return since >= failures_that_count;
}

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

// --- One row of several

std::string joined(const std::set<std::string>& ids) {
    std::string out;
    for (const std::string& id : ids) out += (out.empty() ? "" : " ") + id;
    return out;
}

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

void group(std::vector<ReportClient>& clients, const std::vector<Dimension>& by) {
    if (by.empty()) return;
    std::map<std::pair<bool, ClientIdentity>, ReportClient> groups;
    for (ReportClient& client : clients) {
        ClientIdentity who = reduced(client.row.who, joined(client.row.proxies), by);
        const auto [at, is_new] = groups.try_emplace({client.known, who}, client);
        if (is_new) {
            at->second.row.who = std::move(who);
        } else {
            add(at->second, client);
        }
    }
    clients.clear();
    for (auto& [key, client] : groups) clients.push_back(std::move(client));
}

// --- The whole

void add(ReportSummary& summary, const ReportClient& client) {
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
    summary.first_seen =
        summary.clients == 1 ? client.row.first_seen : std::min(summary.first_seen, client.row.first_seen);
    summary.last_seen = std::max(summary.last_seen, client.row.last_seen);
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

std::vector<ReportCertificate> certificates(const std::vector<UpstreamCertificateRow>& rows,
                                            const ReportFilter& filter) {
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
        out.push_back({.row = row, .current = row.last_seen == newest[{row.upstream, row.upstream_addr}]});
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
    return a.row.who < b.row.who;
}

/// A proxy says every minute that it is here.
constexpr Timestamp silent_after = 5 * 60'000'000;

std::vector<ReportProxy> proxies(const std::vector<ProxyRow>& rows, Timestamp now) {
    std::vector<ReportProxy> out;
    for (const ProxyRow& row : rows) {
        const Timestamp age = now - row.last_seen;
        out.push_back({.row = row,
                       .name = row.name.empty() ? row.id : row.name,
                       .silent = row.last_seen > 0 && age > silent_after ? age : 0});
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

constexpr Timestamp clocks_may_differ = 10 * 60'000'000;

/// Times that are still to come make everything that rests on "how long ago" doubtful.
std::string from_the_future(const std::vector<ReportClient>& clients, Timestamp now) {
    if (now == 0) return "";
    const auto count = std::count_if(clients.begin(), clients.end(), [&](const ReportClient& client) {
        return client.row.last_seen > now + clocks_may_differ;
    });
    return count == 0 ? ""
                      : plural(static_cast<std::uint64_t>(count), "client") +
                            " seen at a time that is still to come: a clock is or was wrong";
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

std::vector<std::string> left_out(const std::vector<ReportProxy>& proxies, const std::set<std::string>& asked_for,
                                  const ReportFilter& filter) {
    std::vector<std::string> out;
    for (const ReportProxy& proxy : proxies) {
        const ProxyRow& row = proxy.row;
        if (!asked_for.contains(row.id)) continue;
        const bool lost_within = row.last_loss >= filter.since.value_or(0);
        if (lost_within && row.events_dropped > 0)
            out.push_back(proxy.name + ": " + plural(row.events_dropped, "event") +
                          " dropped, because more happened than could be written down");
        if (lost_within && row.rows_left_out > 0)
            out.push_back(proxy.name + ": its inventory was full, and " + plural(row.rows_left_out, "row") +
                          " forgotten to make room");
        if (lost_within && row.unclean_ends > 0)
            out.push_back(proxy.name + ": " + plural(row.unclean_ends, "time") +
                          " it was gone without having written down all that it knew, the last time before " +
                          time_text(row.last_loss));
        if (row.pruned_before > 0 && filter.since.value_or(0) < row.pruned_before)
            out.push_back(proxy.name + ": what was not seen since " + time_text(row.pruned_before) +
                          " is forgotten ([audit] inventory_retention)");
        if (filter.now > 0 && row.last_seen > filter.now + clocks_may_differ)
            out.push_back(proxy.name + ": it was last heard of at " + time_text(row.last_seen) +
                          ", which is still to come: a clock is or was wrong");
        if (filter.since && row.first_seen > *filter.since)
            out.push_back(proxy.name + ": there is nothing from before " + time_text(row.first_seen));
    }
    return out;
}

std::set<ClientOrigin> origins(const std::vector<ReportClient>& clients) {
    std::set<ClientOrigin> out;
    for (const ReportClient& client : clients) out.insert(client.row.who);
    return out;
}

}  // namespace

bool ReportFilter::names_clients() const noexcept {
    return !(usename.empty() && datname.empty() && application_name.empty() && client_addr.empty() &&
             upstream.empty() && proxy.empty());
}

void evaluate(ReportClient& client, Timestamp consistent_after) {
    count_failures(client);
    const ClientRow& row = client.row;
    Timestamp after = client.repaired_at;
    Facts facts = facts_after(row, after);
    const Timestamp past = outlived(facts.last_clear, facts.clear, row, consistent_after);
    if (past > 0) {
        after = past;
        facts = facts_after(row, after);
    }
    const Timestamp weak_past = outlived(facts.last_weak, facts.weak_tls, row, consistent_after);
    if (weak_past > 0) facts.weak_tls = 0;

    const Timestamp unreadable = last_seen(row.evidence, after).unreadable;
    const protocol::Verdict verdict = verdict_of(row.evidence, after, unreadable, consistent_after);
    const LastSeen last = last_seen(row.evidence, std::max(after, verdict.changed_at));
    client.sslmode = verdict.interval;
    client.verifies = verdict.verifies;
    client.changed_at = std::max({past, weak_past, verdict.changed_at});
    client.plain = is_plain(facts, last);
    client.mixed = verdict.mixed || (client.plain && (facts.tls > 0 || last.tls > 0));
    // A clear connection while another program's TLS failed is no fallback when it is known never
    // to ask for TLS.
    client.falls_back = verdict.falls_back && verdict.interval.max >= SslMode::prefer;
    if (client.plain && client.verifies == Verifies::yes) client.verifies = Verifies::unknown;
    client.old_tls = facts.weak_tls > 0;
    client.weak = client.plain || client.verifies == Verifies::no || client.old_tls;
    client.failing = is_failing(client, facts, last);
    client.breaks_on_force_ssl = breaks_on_force_ssl(client, last);
    client.breaks_on_ca_rotation = breaks_on_ca_rotation(verdict);
    client.action = choose(client, facts, last);
}

Report make_report(const std::vector<InventoryRows>& inventories, const ReportFilter& filter) {
    Report report;
    report.filter = filter;
    Knowledge knowledge = merge(inventories);
    fold_names(knowledge.rows.clients);
    report.proxies = proxies(knowledge.proxies, filter.now);
    const auto asked_for = ids_of(report.proxies, filter.proxy);

    Joined attributed = join(knowledge.rows);
    report.clients = std::move(attributed.clients);
    report.unattributed = std::move(attributed.unattributed);
    apply_marks(knowledge.rows.marks, report.clients, filter.now);
    const Range range{.since = filter.since.value_or(0), .until = filter.until.value_or(end_of_time)};
    std::erase_if(report.clients, [&](const ReportClient& client) { return !matches(client, filter, asked_for); });
    const std::string future = from_the_future(report.clients, filter.now);
    if (filter.now > 0) {
        for (ReportClient& client : report.clients) until_now(client.row, filter.now);
    }
    // Also of clients that were quiet in that time: they may be who failed.
    const std::set<ClientOrigin> known = origins(report.clients);
    std::erase_if(report.unattributed, [&](const Unattributed& one) {
        const bool within = one.last_seen >= range.since && one.first_seen <= range.until;
        return !within || std::none_of(one.candidates.begin(), one.candidates.end(),
                                       [&](const ClientIdentity& who) { return known.contains(who); });
    });
    std::erase_if(report.clients, [&](ReportClient& client) { return !restrict_to(client, range); });
    const std::set<ClientOrigin> probed = origins(report.clients);
    for (ReportClient& client : report.clients) client.local = is_local(client.row.who.client_addr);
    conclude(report.clients, filter, consistent_after(knowledge.proxies));
    std::stable_sort(report.clients.begin(), report.clients.end(), is_worse);

    ReportSummary& summary = report.summary;
    for (const ReportClient& client : report.clients) add(summary, client);
    add_probes(summary, knowledge.rows.probes, probed, range.since);
    for (const Unattributed& one : report.unattributed) summary.unattributed_failures += one.count;
    for (ReportProxy& proxy : report.proxies) proxy.asked_for = asked_for.contains(proxy.row.id);
    for (const ReportProxy& proxy : report.proxies)
        summary.silent_proxies += proxy.silent > 0 && proxy.asked_for ? 1 : 0;
    summary.incomplete = left_out(report.proxies, asked_for, filter);
    if (!future.empty()) summary.incomplete.push_back(future);
    if (!knowledge.clones.empty()) {
        summary.incomplete.push_back(joined(knowledge.clones) +
                                     ": two proxies write to copies of one inventory, and only one is in here; move "
                                     "inventory.db of the other away");
    }
    report.upstream_certificates = certificates(knowledge.rows.upstream_certificates, filter);
    return report;
}

bool has_failed(const Report& report, FailOn what) {
    const ReportSummary& summary = report.summary;
    if (summary.clients == 0 || !summary.incomplete.empty()) return true;
    const auto any = [&](auto&& test) {
        return std::any_of(report.clients.begin(), report.clients.end(),
                           [&](const ReportClient& client) { return !client.excused && test(client); });
    };
    switch (what) {
        case FailOn::weak: return any([](const ReportClient& c) { return c.weak; });
        case FailOn::unknown: return any([](const ReportClient& c) { return c.verifies == Verifies::unknown; });
        case FailOn::rotation:
            return any([](const ReportClient& c) { return c.breaks_on_ca_rotation != Readiness::no; });
        case FailOn::force_ssl:
            return any([](const ReportClient& c) { return c.breaks_on_force_ssl != Readiness::no; });
        case FailOn::fallback: return any([](const ReportClient& c) { return c.falls_back; });
        case FailOn::failing:
            return any([](const ReportClient& c) { return c.failing; }) ||
                   std::any_of(report.unattributed.begin(), report.unattributed.end(),
                               [](const Unattributed& one) { return one.broken; });
        case FailOn::silent: return summary.silent_proxies > 0;
        case FailOn::incomplete: return false;  // answered above
    }
    return true;
}

}  // namespace proxy::report
