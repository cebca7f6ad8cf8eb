// Clients that go around every proxy: what servers list, laid side by side for all proxies that
// looked. A client is then judged as all others are (report_conclude.cpp), by evidence of its own
// kind: that a session is in clear or not is all that a server knows of it.
#include <algorithm>
#include <map>
#include <tuple>

#include "proxy/report/report_rows.hpp"
#include "proxy/report/report_sampling.hpp"

namespace proxy::report {
namespace {

using protocol::Evidence;

/// What one row of a server's list stands for in the report.
struct DirectRow {
    SampledSessionsRow row;
    std::set<std::string> seen_by{};
};

/// By client, TLS version and server.
using DirectKey = std::tuple<ClientIdentity, std::string, std::string>;
using DirectRows = std::map<DirectKey, DirectRow>;

/// Without an address, as of all clients: a UNIX-domain socket, here the server's.
std::string address_of(const SampledSessionsRow& row) { return row.client_addr == "local" ? "" : row.client_addr; }

ClientIdentity who(const SampledSessionsRow& row) {
    return {{.upstream = row.upstream, .client_addr = address_of(row), .client_exe = ""},
            {.usename = row.usename, .datname = row.datname, .application_name = row.application_name}};
}

/// Several that look at one server see the same sessions: at least as many as one saw were there.
void add_sight(DirectRow& into, const SampledSessionsRow& from) {
    if (from.last_seen > into.row.last_seen) {
        into.row.cipher = from.cipher;
        into.row.client_dn = from.client_dn;
    }
    merge_times(into.row, from);
    into.row.looks = std::max(into.row.looks, from.looks);
    into.row.sessions = std::max(into.row.sessions, from.sessions);
    into.row.seen = std::max(into.row.seen, from.seen);
}

DirectRows direct_rows(const std::vector<const InventoryRows*>& inventories) {
    const OwnSessions own(inventories);
    DirectRows out;
    for (const InventoryRows* inventory : inventories) {
        for (const SampledSessionsRow& row : inventory->sampled_sessions) {
            if (row.through || is_amazons(row) || own.explain(*inventory, row)) continue;
            const auto [at, is_new] =
                out.try_emplace({who(row), row.version, row.upstream_addr}, DirectRow{.row = row});
            if (!is_new) add_sight(at->second, row);
            at->second.seen_by.insert(inventory->instance);
        }
    }
    return out;
}

/// By OpenSSL's name of the cipher: triple DES, and what has fewer than 128 bits, as of sessions
/// that we see.
bool is_weak(const SampledSessionsRow& row) {
    const auto has = [&](std::string_view part) { return row.cipher.find(part) != std::string::npos; };
    return mode_of(row.version) == Mode::old_tls || has("DES") || has("RC2") || has("EXP") || has("NULL");
}

void add_row(ClientRow& client, const DirectRow& from) {
    const SampledSessionsRow& row = from.row;
    const bool clear = row.version.empty();
    const std::uint64_t weak_tls = !clear && is_weak(row) ? row.sessions : 0;
    if (client.days.empty()) client.first_seen = row.first_seen;
    if (row.last_seen >= client.last_seen) client.version = row.version;
    merge_times(client, row);
    client.connections += row.sessions;
    client.plain += clear ? row.sessions : 0;
    client.weak_tls += weak_tls;
    client.proxies.insert(from.seen_by.begin(), from.seen_by.end());
    // Not of a day, but of all the time from the first to the last: so a range takes it as a whole.
    const auto [at, is_new] =
        client.days[row.first_seen / day_length].try_emplace(clear ? "plain" : row.version, DayFacts{});
    DayFacts& facts = at->second;
    if (is_new) facts.first_seen = row.first_seen;
    merge_times(facts, row);
    facts.connections += row.sessions;
    facts.weak_tls += weak_tls;
    const Evidence evidence = clear ? Evidence::clear_at_server : Evidence::tls_at_server;
    client.evidence.push_back({.label = std::string(protocol::label(evidence)),
                               .evidence = evidence,
                               .certificate = "",
                               .first_seen = row.first_seen,
                               .last_seen = row.last_seen,
                               .count = row.sessions,
                               .session = ""});
}

void add_facts(DirectFacts& into, const SampledSessionsRow& row) {
    into.servers.insert(row.upstream_addr);
    into.looks += row.looks;
    into.seen += row.seen;
    if (!row.cipher.empty()) into.cipher = row.cipher;
    if (!row.client_dn.empty()) into.client_dn = row.client_dn;
}

void add_facts(DirectFacts& into, const DirectFacts& from) {
    into.servers.insert(from.servers.begin(), from.servers.end());
    into.looks += from.looks;
    into.seen += from.seen;
    if (!from.cipher.empty()) into.cipher = from.cipher;
    if (!from.client_dn.empty()) into.client_dn = from.client_dn;
}

}  // namespace

std::vector<ReportClient> direct_clients(const std::vector<const InventoryRows*>& inventories) {
    std::map<ClientIdentity, DirectFacts> facts;
    std::vector<ClientRow> rows;
    for (const auto& [key, direct] : direct_rows(inventories)) {
        const ClientIdentity& who = std::get<ClientIdentity>(key);
        if (rows.empty() || rows.back().who != who) rows.emplace_back().who = who;
        add_row(rows.back(), direct);
        add_facts(facts[who], direct.row);
    }
    fold_names(rows);
    std::vector<ReportClient> out;
    for (ClientRow& row : rows) {
        unite(row.evidence);
        ReportClient& client = out.emplace_back();
        client.source = Source::direct;
        ClientIdentity one = row.who;
        if (row.names.empty()) add_facts(client.direct, facts[one]);
        for (const std::string& name : row.names) {
            one.application_name = name;
            add_facts(client.direct, facts[one]);
        }
        client.row = std::move(row);
    }
    return out;
}

void join_direct(DirectFacts& into, const DirectFacts& from) { add_facts(into, from); }

}  // namespace proxy::report
