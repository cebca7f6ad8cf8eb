#include "proxy/capture/capture_entry.hpp"

#include <array>
#include <boost/json.hpp>

#include "protocol/pcapng.hpp"
#include "protocol/utf8.hpp"
#include "proxy/record/event_json.hpp"

namespace proxy {
namespace {

namespace json = boost::json;

constexpr std::string_view absence_event = "capture_absence";

json::value name_or_null(std::string_view value) {
    return value.empty() ? json::value(nullptr) : json::value(protocol::as_utf8(value));
}

struct JournalEntry {
    std::chrono::system_clock::time_point time = std::chrono::system_clock::now();
    std::string_view event;
    std::string_view session;
    std::string line;
};

protocol::Buffer journal_blocks(const JournalEntry& entry) {
    const std::string time =
        std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(entry.time.time_since_epoch()).count());
    const std::array<protocol::pcapng::Field, 5> fields{{{"__REALTIME_TIMESTAMP", time},
                                                         {"MESSAGE", entry.line},
                                                         {"SYSLOG_IDENTIFIER", "pgairlock"},
                                                         {"PGAIRLOCK_EVENT", entry.event},
                                                         {"PGAIRLOCK_SESSION", entry.session}}};
    protocol::Buffer blocks;
    protocol::pcapng::append_journal_entry(blocks, fields);
    return blocks;
}

}  // namespace

protocol::Buffer event_entry(const Event& event, const std::string& proxy) {
    return journal_blocks({.time = event.time,
                           .event = label(event.kind),
                           .session = event.record.session,
                           .line = to_json(event, proxy)});
}

protocol::Buffer absence_entry(const SessionRecord& record, protocol::Absence why, std::uint64_t capture) {
    json::object line{{"event", absence_event},
                      {"capture", capture},
                      {"session", name_or_null(record.session)},
                      {"listener", name_or_null(record.listener)},
                      {"client_addr", name_or_null(record.client_addr)},
                      {"client_port", record.client_port},
                      {"usename", name_or_null(record.usename)},
                      {"datname", name_or_null(record.datname)},
                      {"application_name", name_or_null(record.application_name)},
                      {"reason", protocol::label(why)},
                      {"message", protocol::sentence(why)}};
    if (!record.usename.empty()) line["ssl"] = record.ssl;
    return journal_blocks(
        {.event = absence_event, .session = record.session, .line = protocol::printable_json(json::serialize(line))});
}

protocol::Buffer absences_entry(const AbsentSessions& sessions, std::uint64_t capture) {
    if (sessions.left_out == 0 && sessions.not_entered == 0 && sessions.entries == 0 && !sessions.goes_on) return {};
    json::object line{{"event", absence_event},
                      {"capture", capture},
                      {label(protocol::AbsenceKind::left_out), sessions.left_out},
                      {label(protocol::AbsenceKind::not_entered), sessions.not_entered},
                      {"entries_dropped", sessions.entries}};
    if (sessions.goes_on) line["goes_on"] = true;
    return journal_blocks({.event = absence_event, .session = {}, .line = json::serialize(line)});
}

}  // namespace proxy
