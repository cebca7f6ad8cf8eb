// Relations about sessions: those that are open as PostgreSQL shows its own, and all that is known
// of them and of the last that ended.
#include <array>

#include "proxy/admin/relations.hpp"
#include "proxy/inventory/timestamp.hpp"

namespace proxy {
namespace {

using protocol::ColumnType;
using Text = SessionText;
using Open = std::vector<std::shared_ptr<const LiveSession>>;
using Ended = std::vector<std::shared_ptr<const EndedSession>>;

Cell integer(std::uint64_t value) { return static_cast<std::int64_t>(value); }
Cell truth(bool value) { return std::int64_t{value ? 1 : 0}; }
Cell time_cell(SessionFacts::Time time) { return to_timestamp(time); }

std::uint64_t load(const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); }

/// As pg_stat_activity has it. What is not known, because more than headers would have to be looked
/// at, counts as active.
std::string_view state_of(const LiveSession& session) {
    switch (session.figures.status.load(std::memory_order_relaxed)) {
        case 'I': return "idle";
        case 'T': return "idle in transaction";
        case 'E': return "idle in transaction (aborted)";
        default: return "active";
    }
}

/// A column and its value.
template <class Session>
struct Field {
    RelationColumn column;
    Cell (*value)(const Session& session);
};

template <class Session>
using Fields = std::vector<Field<Session>>;

template <class Session>
std::vector<RelationColumn> columns_of(const Fields<Session>& fields) {
    std::vector<RelationColumn> columns;
    for (const auto& field : fields) columns.push_back(field.column);
    return columns;
}

template <class Session>
Relation relation(std::string_view name, const Fields<Session>& fields,
                  std::function<std::vector<std::shared_ptr<const Session>>()> sessions) {
    return {.name = name, .columns = columns_of(fields), .rows = [fields, sessions = std::move(sessions)] {
                auto all = std::make_shared<const std::vector<std::shared_ptr<const Session>>>(sessions());
                return RelationRows{.size = all->size(), .value = [all, fields](std::size_t row, std::size_t column) {
                                        return fields[column].value(*(*all)[row]);
                                    }};
            }};
}

template <class Session, Text which>
Cell text(const Session& session) {
    return text_cell(session.facts.text(which));
}
template <class Session>
Cell null(const Session&) {
    return {};
}

/// Of PostgreSQL 14 to 17, in its order; behind them what only a proxy knows.
Fields<LiveSession> activity() {
    using S = LiveSession;
    return {
        {{"datid", ColumnType::oid}, null<S>},
        {{"datname", ColumnType::name}, text<S, Text::datname>},
        {{"pid", ColumnType::int4}, [](const S& s) { return Cell(std::int64_t{s.facts.pid}); }},
        {{"leader_pid", ColumnType::int4}, null<S>},
        {{"usesysid", ColumnType::oid}, null<S>},
        {{"usename", ColumnType::name}, text<S, Text::usename>},
        {{"application_name"}, [](const S& s) { return Cell(std::string(s.facts.text(Text::application_name))); }},
        {{"client_addr", ColumnType::inet}, text<S, Text::client_addr>},
        {{"client_hostname"}, null<S>},
        {{"client_port", ColumnType::int4}, [](const S& s) { return Cell(std::int64_t{s.facts.client_port}); }},
        {{"backend_start", ColumnType::timestamptz}, [](const S& s) { return time_cell(s.facts.logged_in); }},
        {{"xact_start", ColumnType::timestamptz}, null<S>},
        {{"query_start", ColumnType::timestamptz}, null<S>},
        {{"state_change", ColumnType::timestamptz}, null<S>},
        {{"wait_event_type"}, null<S>},
        {{"wait_event"}, null<S>},
        {{"state"}, [](const S& s) { return text_cell(state_of(s)); }},
        {{"backend_xid", ColumnType::xid}, null<S>},
        {{"backend_xmin", ColumnType::xid}, null<S>},
        {{"query_id", ColumnType::int8}, null<S>},
        {{"query"}, [](const S&) { return Cell(std::string()); }},
        {{"backend_type"},
         [](const S& s) {
             return Cell(std::string(s.facts.text(Text::replication).empty() ? "client backend" : "walsender"));
         }},
        {{"session"}, text<S, Text::session>},
        {{"listener"}, text<S, Text::listener>},
        {{"upstream"}, text<S, Text::upstream>},
        {{"upstream_addr"}, text<S, Text::upstream_addr>},
        {{"backend_pid", ColumnType::int8}, [](const S& s) { return Cell(s.facts.backend_pid); }},
    };
}

Fields<LiveSession> ssl() {
    using S = LiveSession;
    return {
        {{"pid", ColumnType::int4}, [](const S& s) { return Cell(std::int64_t{s.facts.pid}); }},
        {{"ssl", ColumnType::boolean}, [](const S& s) { return truth(s.facts.ssl); }},
        {{"version"}, text<S, Text::version>},
        {{"cipher"}, text<S, Text::cipher>},
        {{"bits", ColumnType::int4},
         [](const S& s) { return s.facts.ssl ? Cell(std::int64_t{s.facts.bits}) : Cell(); }},
        {{"client_dn"}, text<S, Text::client_dn>},
        {{"client_serial", ColumnType::numeric}, null<S>},
        {{"issuer_dn"}, null<S>},
        {{"sslmode_min"}, text<S, Text::sslmode_min>},
        {{"sslmode_max"}, text<S, Text::sslmode_max>},
        {{"verifies"}, text<S, Text::verifies>},
        {{"weak", ColumnType::boolean}, [](const S& s) { return truth(s.facts.weak); }},
    };
}

/// What both an open and an ended session have.
template <class S>
Fields<S> known() {
    return {
        {{"session"}, text<S, Text::session>},
        {{"pid", ColumnType::int4}, [](const S& s) { return Cell(std::int64_t{s.facts.pid}); }},
        {{"listener"}, text<S, Text::listener>},
        {{"upstream"}, text<S, Text::upstream>},
        {{"client_addr", ColumnType::inet}, text<S, Text::client_addr>},
        {{"client_port", ColumnType::int4}, [](const S& s) { return Cell(std::int64_t{s.facts.client_port}); }},
        {{"client_uid", ColumnType::int8},
         [](const S& s) { return s.facts.client_uid < 0 ? Cell() : Cell(s.facts.client_uid); }},
        {{"usename", ColumnType::name}, text<S, Text::usename>},
        {{"datname", ColumnType::name}, text<S, Text::datname>},
        {{"application_name"}, [](const S& s) { return Cell(std::string(s.facts.text(Text::application_name))); }},
        {{"accepted", ColumnType::timestamptz}, [](const S& s) { return time_cell(s.facts.accepted); }},
        {{"logged_in", ColumnType::timestamptz}, [](const S& s) { return time_cell(s.facts.logged_in); }},
        {{"ssl", ColumnType::boolean}, [](const S& s) { return truth(s.facts.ssl); }},
        {{"version"}, text<S, Text::version>},
        {{"cipher"}, text<S, Text::cipher>},
        {{"client_dn"}, text<S, Text::client_dn>},
        {{"negotiation"}, text<S, Text::negotiation>},
        {{"sni"}, text<S, Text::sni>},
        {{"ja4"}, text<S, Text::ja4>},
        {{"sslmode_min"}, text<S, Text::sslmode_min>},
        {{"sslmode_max"}, text<S, Text::sslmode_max>},
        {{"verifies"}, text<S, Text::verifies>},
        {{"weak", ColumnType::boolean}, [](const S& s) { return truth(s.facts.weak); }},
        {{"evidence"}, text<S, Text::evidence>},
        {{"auth_method"}, text<S, Text::auth_method>},
        {{"backend_pid", ColumnType::int8}, [](const S& s) { return Cell(s.facts.backend_pid); }},
        {{"upstream_addr"}, text<S, Text::upstream_addr>},
        {{"upstream_ssl", ColumnType::boolean}, [](const S& s) { return truth(s.facts.upstream_ssl); }},
        {{"upstream_version"}, text<S, Text::upstream_version>},
        {{"upstream_cipher"}, text<S, Text::upstream_cipher>},
    };
}

Fields<LiveSession> open_sessions() {
    using S = LiveSession;
    Fields<S> fields = known<S>();
    fields.push_back({{"state"}, [](const S& s) { return text_cell(state_of(s)); }});
    fields.push_back(
        {{"bytes_from_client", ColumnType::int8}, [](const S& s) { return integer(load(s.figures.from_client)); }});
    fields.push_back(
        {{"bytes_from_server", ColumnType::int8}, [](const S& s) { return integer(load(s.figures.from_server)); }});
    return fields;
}

Fields<EndedSession> ended_sessions() {
    using S = EndedSession;
    Fields<S> fields = known<S>();
    fields.push_back({{"ended", ColumnType::timestamptz}, [](const S& s) { return time_cell(s.ended); }});
    fields.push_back(
        {{"bytes_from_client", ColumnType::int8}, [](const S& s) { return integer(s.bytes_from_client); }});
    fields.push_back(
        {{"bytes_from_server", ColumnType::int8}, [](const S& s) { return integer(s.bytes_from_server); }});
    fields.push_back({{"reason"}, [](const S& s) { return text_cell(label(s.reason)); }});
    fields.push_back({{"sqlstate"}, [](const S& s) { return text_cell(s.sqlstate); }});
    return fields;
}

}  // namespace

std::vector<Relation> session_relations(const ConsoleSources& sources) {
    const LiveSessions& sessions = sources.sessions;
    const std::function<Open()> open = [&sessions] { return sessions.open(); };
    const std::function<Ended()> ended = [&sessions] { return sessions.ended(); };
    return {relation("pg_stat_activity", activity(), open), relation("pg_stat_ssl", ssl(), open),
            relation("open_sessions", open_sessions(), open), relation("sessions", ended_sessions(), ended)};
}

}  // namespace proxy
