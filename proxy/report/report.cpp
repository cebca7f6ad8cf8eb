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

/// When what was last seen; 0: never.
struct LastSeen {
    Timestamp tls = 0;
    Timestamp clear = 0;         ///< of any kind
    Timestamp never_asked = 0;   ///< clear_startup
    Timestamp allow = 0;         ///< tls_after_clear_refused
    Timestamp unreadable = 0;    ///< of a kind that only a newer version knows
    Timestamp broken_trust = 0;  ///< the real certificate was refused, or none was even looked at
};

LastSeen last_seen(const std::vector<EvidenceRow>& rows) {
    LastSeen last;
    for (const EvidenceRow& row : rows) {
        if (row.possible) continue;
        const auto note = [&](Timestamp& when, bool applies) {
            if (applies) when = std::max(when, row.last_seen);
        };
        note(last.unreadable, !row.evidence);
        if (!row.evidence) continue;
        const protocol::Facts& facts = protocol::facts(*row.evidence);
        note(last.tls, facts.side == Side::tls);
        note(last.clear, facts.side == Side::clear);
        note(last.never_asked, row.evidence == Evidence::clear_startup);
        note(last.allow, row.evidence == Evidence::tls_after_clear_refused);
        note(last.broken_trust, protocol::facts(protocol::amounts_to(*row.evidence, row.count)).broken_trust);
    }
    return last;
}

protocol::Verdict verdict_of(const std::vector<EvidenceRow>& rows, const LastSeen& last) {
    std::vector<protocol::Observation> observations;
    for (const EvidenceRow& row : rows) {
        if (!row.evidence) continue;
        observations.push_back(
            {.evidence = *row.evidence, .last_seen = row.last_seen, .count = row.count, .possible = row.possible});
    }
    return protocol::judge(std::move(observations), last.unreadable);
}

Readiness breaks_on_force_ssl(const ReportClient& client, const LastSeen& last) {
    if (client.sslmode.max <= SslMode::disable) return Readiness::yes;
    if (client.sslmode.min >= SslMode::require) return Readiness::no;  // never connects in clear
    if (last.tls == 0 || last.unreadable > last.tls) return Readiness::unknown;
    // TLS once, but only in clear since: it may have been set to `disable`, or be two programs.
    return last.never_asked > last.tls && last.allow == 0 ? Readiness::unknown : Readiness::no;
}

Readiness breaks_on_ca_rotation(const protocol::Verdict& verdict) {
    switch (verdict.ready_for_rotation()) {
        case Readiness::yes: return Readiness::no;
        case Readiness::no: return verdict.interval.verifies() == Verifies::yes ? Readiness::yes : Readiness::unknown;
        case Readiness::unknown: break;
    }
    return Readiness::unknown;
}

bool is_plain(const ReportClient& client, const LastSeen& last) {
    if (client.row.plain == 0) return client.sslmode.max <= SslMode::prefer && last.clear > 0 && last.tls == 0;
    const bool repaired = client.changed && last.tls > last.clear && last.tls >= last.unreadable;
    return !repaired;
}

Action choose(const ReportClient& client, const LastSeen& last) {
    if (client.falls_back) return Action::repair_fallback;
    if (client.plain) return Action::enable_tls;
    if (last.broken_trust > last.tls) return Action::fix_root_certificate;
    if (client.breaks_on_ca_rotation == Readiness::yes) return Action::update_trust_store;
    if (client.verifies == Verifies::no) return Action::verify_the_server;
    if (client.row.weak_tls > 0) return Action::upgrade_tls;
    if (client.verifies == Verifies::unknown || client.breaks_on_ca_rotation == Readiness::unknown)
        return Action::probe;
    return Action::none;
}

bool matches(const ReportClient& client, const ReportFilter& filter) {
    const ClientIdentity& who = client.row.who;
    const auto is = [](const std::string& wanted, const std::string& value) {
        return wanted.empty() || wanted == value;
    };
    if (!is(filter.usename, who.usename) || !is(filter.datname, who.datname) || !is(filter.upstream, who.upstream))
        return false;
    if (is(filter.client_addr, who.client_addr)) return true;
    const auto range = config::parse_cidr(filter.client_addr);
    const auto address = config::parse_cidr(who.client_addr);
    return range && address && range->contains(address->bytes);
}

void add(ReportSummary& summary, const ReportClient& client) {
    const auto count = [](std::uint64_t& counter, bool applies) { counter += applies ? 1 : 0; };
    ++summary.clients;
    count(summary.plain, client.plain);
    count(summary.tls_not_verifying, !client.plain && client.verifies == Verifies::no);
    count(summary.verifying, !client.plain && client.verifies == Verifies::yes);
    count(summary.unknown, !client.plain && client.verifies == Verifies::unknown);
    count(summary.weak, client.weak);
    count(summary.bridged, client.row.bridged > 0);
    count(summary.falls_back, client.falls_back);
    count(summary.never_logged_in, client.row.connections == 0);
    count(summary.breaks_on_ca_rotation, client.breaks_on_ca_rotation == Readiness::yes);
    count(summary.breaks_on_ca_rotation_unknown, client.breaks_on_ca_rotation == Readiness::unknown);
    count(summary.breaks_on_force_ssl, client.breaks_on_force_ssl == Readiness::yes);
    count(summary.breaks_on_force_ssl_unknown, client.breaks_on_force_ssl == Readiness::unknown);
    ++summary.actions[client.action];
    summary.connections += client.row.connections;
    summary.first_seen =
        summary.clients == 1 ? client.row.first_seen : std::min(summary.first_seen, client.row.first_seen);
    summary.last_seen = std::max(summary.last_seen, client.row.last_seen);
    for (const auto& [day, modes] : client.row.days) {
        for (const auto& [mode, connections] : modes) summary.days[day][mode] += connections;
    }
}

/// From the table itself: clients that share an address would be counted twice.
void add_probes(ReportSummary& summary, const std::vector<ProbeRow>& probes, const std::vector<ReportClient>& clients,
                Timestamp since) {
    std::set<ClientOrigin> asked_for;
    for (const ReportClient& client : clients) asked_for.insert(client.row.who);
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
        Timestamp& last = newest[{row.upstream, row.upstream_addr}];
        last = std::max(last, row.last_seen);
    }
    std::vector<ReportCertificate> out;
    for (const auto& row : rows) {
        if ((!filter.upstream.empty() && filter.upstream != row.upstream) || row.last_seen < filter.since.value_or(0))
            continue;
        out.push_back({.row = row, .current = row.last_seen == newest[{row.upstream, row.upstream_addr}]});
    }
    std::stable_sort(out.begin(), out.end(), [](const ReportCertificate& a, const ReportCertificate& b) {
        return std::tie(a.row.upstream, a.row.upstream_addr, b.row.last_seen) <
               std::tie(b.row.upstream, b.row.upstream_addr, a.row.last_seen);
    });
    return out;
}

bool is_worse(const ReportClient& a, const ReportClient& b) {
    if (a.action != b.action) return a.action < b.action;
    if (a.weak != b.weak) return a.weak;
    if (a.row.connections != b.row.connections) return a.row.connections > b.row.connections;
    return a.row.who < b.row.who;
}

}  // namespace

void evaluate(ReportClient& client) {
    const LastSeen last = last_seen(client.row.evidence);
    const protocol::Verdict verdict = verdict_of(client.row.evidence, last);
    client.sslmode = {.min = verdict.beyond_doubt.min, .max = verdict.interval.max};
    client.verifies = client.sslmode.verifies();
    client.changed = verdict.changed;
    // A clear connection while another program's TLS failed is no fallback when it is known never
    // to ask for TLS.
    client.falls_back = verdict.falls_back && verdict.interval.max >= SslMode::prefer;
    client.plain = is_plain(client, last);
    client.weak = client.plain || client.verifies == Verifies::no || client.row.weak_tls > 0;
    client.breaks_on_force_ssl = breaks_on_force_ssl(client, last);
    client.breaks_on_ca_rotation = breaks_on_ca_rotation(verdict);
    client.action = choose(client, last);
}

Report make_report(const std::vector<InventoryRows>& inventories, const ReportFilter& filter) {
    const InventoryRows merged = merge(inventories);
    Report report;
    report.since = filter.since;
    report.clients = join(merged);
    std::erase_if(report.clients, [&](ReportClient& client) {
        return !matches(client, filter) || (filter.since && !restrict_to(client, *filter.since));
    });
    for (ReportClient& client : report.clients) evaluate(client);
    std::stable_sort(report.clients.begin(), report.clients.end(), is_worse);
    for (const ReportClient& client : report.clients) add(report.summary, client);
    add_probes(report.summary, merged.probes, report.clients, filter.since.value_or(0));
    report.upstream_certificates = certificates(merged.upstream_certificates, filter);
    return report;
}

}  // namespace proxy::report
