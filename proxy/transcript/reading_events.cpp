// Reading: the entries between the packets, which are audit events and what a capture says of
// itself.
#include <algorithm>

#include "proxy/transcript/conclude.hpp"
#include "proxy/transcript/live_session.hpp"

namespace proxy::transcript {
namespace {

constexpr std::size_t max_events = 200;

}  // namespace

void Reading::journal(const protocol::pcapng::JournalBlock& entry) {
    auto event = parse_event(entry.value("MESSAGE"));
    if (!event) return;
    if (event->has_servers_words) lacks_.event_has_text();
    const std::uint64_t time = journal_time(entry);
    if (time > 0) time_is(time);
    if (event->facts.session.empty()) event->facts.session = std::string(entry.value("PGAIRLOCK_SESSION"));
    const std::string& name = event->facts.session;
    if (event->absent) return lacks_.absent_so_far(capture_, *event->absent);
    if (event->absence) return absence(*event, time);
    if (!event->unknown_absence.empty()) return unknown_absence(*event);
    if (event->event == "capture_stopped") {
        lacks_.capture_stopped("the audit says that capture " +
                               (event->capture ? std::to_string(*event->capture) : "?") + " stopped: " + event->reason +
                               (event->message.empty() ? "" : ", " + event->message));
    }
    if (name.empty() || event->event == "upstream_certificate") return process_event(*event, time);
    const std::string client = of_capture(client_name(event->facts.client_addr, event->facts.client_port));
    LivePointer live = session_of(event->facts, client, event->event == "disconnected");
    if (!live) {
        // Who succeeded has packets, unless these were dropped; whoever failed may have none.
        const bool tells = event->failure || event->event == "cancel";
        if (!tells || told_.recently(name)) return;
        live = begin_session(name, time);
    }
    if (!live) return;
    take_event(*live, std::move(*event), time);
    know(live, "");
    if (live->last_event) close(live, time);
}

/// A session that the capture says is not in it: who it is, at least.
void Reading::absence(const AuditEvent& event, std::uint64_t time) {
    const SessionFacts& facts = event.facts;
    if (facts.session.empty()) return;
    const bool is_news = lacks_.absent(capture_, facts, *event.absence);
    if (told_.recently(facts.session)) {
        if (is_news) lacks_.told_elsewhere(capture_, facts);
        return;
    }
    LivePointer live = session_of(facts, of_capture(client_name(facts.client_addr, facts.client_port)));
    if (!live) live = begin_session(facts.session, time);
    if (!live) return;
    take_facts(live->session.facts, facts);
    live->session.ended = std::max(live->session.ended, time);
    live->session.absences.insert(*event.absence);
    know(live, "");
}

/// Of a later version's capture: nothing is known but that the session is absent.
void Reading::unknown_absence(const AuditEvent& event) {
    if (event.facts.session.empty()) return;
    const bool is_news = lacks_.absent(capture_, event.facts, event.unknown_absence);
    if (is_news && told_.recently(event.facts.session)) lacks_.told_elsewhere(capture_, event.facts);
}

void Reading::take_event(Live& live, AuditEvent event, std::uint64_t time) {
    ReadSession& session = live.session;
    take_facts(session.facts, event.facts);
    session.ended = std::max(session.ended, time);
    if (event.failure) {
        event.failure->time = time;
        session.failures.push_back(std::move(*event.failure));
    }
    if (event.event == "disconnected") {
        session.end_reason = event.reason;
        session.end_sqlstate = event.sqlstate;
    }
    if (event.event == "cancel") session.opening.kind = protocol::CapturedOpening::Kind::cancel;
    live.last_event = live.last_event || event.ends_session();
}

void Reading::process_event(const AuditEvent& event, std::uint64_t time) {
    events_.push_back({.time = time, .text = event_text(event)});
    if (events_.size() > max_events) events_.pop_front();
}

}  // namespace proxy::transcript
