// Relations about the process: its counters, its configuration, what has just happened.
#include <cmath>

#include "config/settings.hpp"
#include "proxy/admin/relations.hpp"
#include "proxy/inventory/timestamp.hpp"
#include "proxy/record/event_json.hpp"

namespace proxy {
namespace {

using protocol::ColumnType;
using Rows = std::vector<std::vector<Cell>>;

Cell counted_cell(std::uint64_t value) { return static_cast<std::int64_t>(value); }

RelationRows counters(const ConsoleSources& sources) {
    const EventCounters& counted = sources.recorder.counters();
    Rows rows;
    rows.push_back({Cell(std::string("sessions_open")), counted_cell(sources.sessions.count())});
    UpstreamTotals sum;
    for (const auto& [upstream, totals] : sources.sessions.totals()) {
        sum.sessions += totals.sessions;
        sum.bytes_from_client += totals.bytes_from_client;
        sum.bytes_from_server += totals.bytes_from_server;
    }
    rows.push_back({Cell(std::string("sessions")), counted_cell(sum.sessions)});
    rows.push_back({Cell(std::string("bytes_from_client")), counted_cell(sum.bytes_from_client)});
    rows.push_back({Cell(std::string("bytes_from_server")), counted_cell(sum.bytes_from_server)});
    for (std::size_t i = 0; i < event_kinds; ++i) {
        const auto kind = static_cast<EventKind>(i);
        rows.push_back({Cell("events_" + std::string(label(kind))), counted_cell(counted[kind])});
    }
    rows.push_back({Cell(std::string("events_lost")), counted_cell(counted.dropped())});
    const Unwritten unwritten = sources.recorder.unwritten().value_or(Unwritten{});
    rows.push_back({Cell(std::string("inventory_unwritten")), counted_cell(unwritten.rows + unwritten.events)});
    return rows_of(std::move(rows));
}

RelationRows upstream_totals(const ConsoleSources& sources) {
    std::map<std::string, UpstreamTotals, std::less<>> totals = sources.sessions.totals();
    if (const auto running = sources.config.get()) {
        for (const auto& upstream : running->upstreams) totals.try_emplace(upstream->settings.name);
    }
    Rows rows;
    for (const auto& [name, of] : totals) {
        rows.push_back({Cell(name), counted_cell(of.sessions), counted_cell(of.bytes_from_client),
                        counted_cell(of.bytes_from_server)});
    }
    return rows_of(std::move(rows));
}

RelationRows configuration(const ConsoleSources& sources) {
    Rows rows;
    const auto running = sources.config.get();
    if (!running) return rows_of({});
    for (config::Setting& setting : config::settings(running->config)) {
        rows.push_back({Cell(std::move(setting.key)), Cell(std::move(setting.value)),
                        Cell(std::move(setting.default_value)), Cell(std::int64_t{setting.reloadable ? 1 : 0})});
    }
    return rows_of(std::move(rows));
}

/// What is known of a host, or of one of its addresses.
void append_role(std::vector<Cell>& row, const HostRoles::Known& known) {
    const bool tells = known.role != protocol::HostRole::unknown;
    row.push_back(tells ? Cell(std::string(protocol::to_string(known.role))) : Cell());
    row.push_back(tells ? Cell(std::int64_t{known.doubtful ? 1 : 0}) : Cell());
    row.push_back(tells ? Cell(std::string(to_string(known.source))) : Cell());
    row.push_back(tells ? to_timestamp(known.since) : Cell());
    row.push_back(tells ? to_timestamp(known.seen) : Cell());
}

/// One row for each host of each upstream.
RelationRows hosts(const ConsoleSources& sources) {
    Rows rows;
    const auto running = sources.config.get();
    if (!running) return rows_of({});
    std::map<LoginTurns::Host, LoginTurns::Numbers> logins = sources.login_turns.numbers();
    for (const auto& upstream : running->upstreams) {
        const std::vector<config::Address> all = upstream->hosts();
        for (std::size_t i = 0; i < all.size(); ++i) {
            const config::Address& host = all[i];
            const LoginTurns::Numbers& here = logins[{upstream->settings.name, config::to_string(host)}];
            std::vector<Cell> row{
                Cell(upstream->settings.name),      text_cell(host.host),
                Cell(std::int64_t{host.port}),      Cell(std::string(protocol::to_string(upstream->settings.sslmode))),
                Cell(std::int64_t{here.in_flight}), Cell(std::int64_t{here.waiting})};
            append_role(row, sources.roles.of(upstream->settings.name, config::to_string(host)));
            row.push_back(Cell(std::int64_t{i >= upstream->settings.hosts.size() ? 1 : 0}));
            rows.push_back(std::move(row));
        }
    }
    return rows_of(std::move(rows));
}

/// One row for each address that the monitor asks.
RelationRows monitored_hosts(const ConsoleSources& sources) {
    Rows rows;
    for (const MonitoredHost& host : sources.monitor.hosts()) {
        const auto boolean = [&](bool protocol::HostState::*which) {
            return host.state ? Cell(std::int64_t{(*host.state).*which ? 1 : 0}) : Cell();
        };
        std::vector<Cell> row{Cell(host.upstream), Cell(host.host), Cell(host.address)};
        append_role(row, sources.roles.of(host.upstream, host.address));
        row.push_back(boolean(&protocol::HostState::in_recovery));
        row.push_back(boolean(&protocol::HostState::read_only));
        row.push_back(host.answered == MonitoredHost::Time{} ? Cell() : to_timestamp(host.answered));
        row.push_back(text_cell(host.error));
        row.push_back(text_cell(host.instance));
        row.push_back(host.replica_lag_ms ? Cell(std::int64_t{std::llround(*host.replica_lag_ms)}) : Cell());
        row.push_back(Cell(std::int64_t{host.discovered ? 1 : 0}));
        rows.push_back(std::move(row));
    }
    return rows_of(std::move(rows));
}

RelationRows recent_events(const ConsoleSources& sources) {
    auto events = std::make_shared<const std::vector<std::shared_ptr<const Event>>>(sources.recorder.recent().all());
    return {.size = events->size(), .value = [events](std::size_t row, std::size_t column) -> Cell {
                const Event& event = *(*events)[row];
                switch (column) {
                    case 0: return to_timestamp(event.time);
                    case 1: return text_cell(label(event.kind));
                    case 2: return text_cell(event.record.session);
                    case 3: return text_cell(event.record.listener);
                    case 4: return text_cell(event.record.upstream);
                    case 5: return text_cell(event.record.client_addr);
                    case 6: return text_cell(event.record.usename);
                    case 7: return text_cell(event.record.datname);
                    case 8: return event.reason == Reason::none ? Cell() : text_cell(label(event.reason));
                    case 9: return text_cell(event.sqlstate);
                    default: return Cell(to_json(event));
                }
            }};
}

}  // namespace

std::vector<Relation> state_relations(const ConsoleSources& sources) {
    return {
        {.name = "stats",
         .columns = {{"name"}, {"value", ColumnType::int8}},
         .rows = [sources] { return counters(sources); }},
        {.name = "upstream_totals",
         .columns = {{"upstream"},
                     {"connections", ColumnType::int8},
                     {"bytes_from_client", ColumnType::int8},
                     {"bytes_from_server", ColumnType::int8}},
         .rows = [sources] { return upstream_totals(sources); }},
        {.name = "config",
         .columns = {{"key"}, {"setting"}, {"default_value"}, {"reloadable", ColumnType::boolean}},
         .rows = [sources] { return configuration(sources); }},
        {.name = "hosts",
         .columns = {{"upstream"},
                     {"host"},
                     {"port", ColumnType::int4},
                     {"sslmode"},
                     {"logins_in_flight", ColumnType::int8},
                     {"logins_waiting", ColumnType::int8},
                     {"role"},
                     {"role_doubtful", ColumnType::boolean},
                     {"role_source"},
                     {"role_since", ColumnType::timestamptz},
                     {"role_seen", ColumnType::timestamptz},
                     {"discovered", ColumnType::boolean}},
         .rows = [sources] { return hosts(sources); }},
        {.name = "monitored_hosts",
         .columns = {{"upstream"},
                     {"host"},
                     {"address"},
                     {"role"},
                     {"role_doubtful", ColumnType::boolean},
                     {"role_source"},
                     {"role_since", ColumnType::timestamptz},
                     {"role_seen", ColumnType::timestamptz},
                     {"in_recovery", ColumnType::boolean},
                     {"read_only", ColumnType::boolean},
                     {"answered", ColumnType::timestamptz},
                     {"monitor_error"},
                     {"instance"},
                     {"replica_lag_ms", ColumnType::int8},
                     {"discovered", ColumnType::boolean}},
         .rows = [sources] { return monitored_hosts(sources); }},
        {.name = "events",
         .columns = {{"ts", ColumnType::timestamptz},
                     {"event"},
                     {"session"},
                     {"listener"},
                     {"upstream"},
                     {"client_addr", ColumnType::inet},
                     {"usename", ColumnType::name},
                     {"datname", ColumnType::name},
                     {"reason"},
                     {"sqlstate"},
                     {"json"}},
         .rows = [sources] { return recent_events(sources); }},
    };
}

}  // namespace proxy
