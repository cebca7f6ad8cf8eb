#include "proxy/transcript/reading.hpp"

#include <algorithm>

#include "protocol/endpoint.hpp"
#include "protocol/utf8.hpp"
#include "proxy/transcript/audit_extras.hpp"
#include "proxy/transcript/conclude.hpp"

namespace proxy::transcript {
namespace {

namespace pcapng = protocol::pcapng;
using protocol::CapturedSide;

constexpr std::uint64_t second = 1'000'000'000;
/// Of the capture: audit events come from a thread of their own.
constexpr std::uint64_t last_event_within = 5 * second;
constexpr std::size_t max_notes = 20;
constexpr std::size_t max_note = 500;
constexpr std::size_t max_events = 200;
constexpr std::size_t max_recent = 50'000;
/// Beyond it, those that are left out are not counted any more.
constexpr std::size_t max_refused = 100'000;
/// Of all captures; beyond it, other captures' sessions are counted once more.
constexpr std::size_t max_told = 500'000;
constexpr std::size_t max_captures = 100;

std::string client_name(const std::string& address, int port) { return address + " " + std::to_string(port); }

std::size_t size_of(const protocol::CapturedEntry& entry) {
    std::size_t size = sizeof entry;
    const auto* statement = std::get_if<protocol::CapturedStatement>(&entry);
    if (!statement) return size;
    size += statement->text.capacity() + statement->name.capacity();
    for (const std::string& tag : statement->tags) size += sizeof tag + tag.capacity();
    if (statement->error)
        size += statement->error->message.size() + statement->error->detail.size() + statement->error->hint.size();
    return size;
}

}  // namespace

struct Reading::Live {
    std::uint64_t number = 0;
    std::size_t capture = 0;
    ReadSession session;
    std::size_t kept = 0;
    bool closed = false;  // its connection
    bool last_event = false;
    bool closing = false;  // it is in closing_
    std::uint64_t closing_since = 0;
    std::vector<Key> conversations;
    std::string client;  // its name in by_client_
};

struct Reading::Conversation {
    LivePointer live;
    bool server_leg = false;
    std::unique_ptr<protocol::Transcript> transcript;  // of the client leg
};

Reading::Reading(ReadFilter filter, Sink sink, ReadingLimits limits)
    : filter_(std::move(filter)), sink_(std::move(sink)), limits_(limits) {}
Reading::~Reading() = default;

void Reading::begin_file(const std::string& path) {
    interfaces_.clear();
    path_ = path;
    lacks_.file(path);
}

void Reading::end_file(const pcapng::BlockReader& reader) {
    lacks_.end_of_file(reader.pending(), reader.error(), reader.skipped());
}

void Reading::block(const pcapng::Block& block) {
    if (const auto* section = std::get_if<pcapng::SectionBlock>(&block)) {
        this->section(*section);
    } else if (const auto* interface = std::get_if<pcapng::InterfaceBlock>(&block)) {
        interfaces_.push_back({.name = interface->name, .leg = protocol::captured_leg(*interface)});
    } else if (const auto* packet_block = std::get_if<pcapng::PacketBlock>(&block)) {
        lacks_.goes_on();
        packet(*packet_block);
    } else if (std::holds_alternative<pcapng::SecretsBlock>(block)) {
        lacks_.secrets();
    } else if (const auto* entry = std::get_if<pcapng::JournalBlock>(&block)) {
        lacks_.goes_on();
        journal(*entry);
    } else if (const auto* statistics = std::get_if<pcapng::Statistics>(&block)) {
        if (statistics->interface < interfaces_.size())
            lacks_.statistics(interfaces_[statistics->interface].name, statistics->dropped);
    }
}

void Reading::section(const pcapng::SectionBlock& section) {
    interfaces_.clear();
    lacks_.section(section);
    CaptureName name = capture_name(path_, section);
    const auto known = std::find_if(captures_.begin(), captures_.end(),
                                    [&](const CaptureName& one) { return one.identity == name.identity; });
    const std::size_t before = capture_;
    capture_ = static_cast<std::size_t>(known - captures_.begin());
    if (capture_ != before) now_ = 0;
    if (known != captures_.end()) return;
    if (captures_.size() == max_captures) {
        capture_ = max_captures - 1;
        return;
    }
    captures_.push_back(std::move(name));
    std::vector<std::string> called;
    for (const CaptureName& one : captures_) {
        called.push_back(protocol::printable((one.number.empty() ? "one without a number" : one.number) + ", payload " +
                                             (one.payload.empty() ? "not said" : one.payload)));
    }
    lacks_.several_captures(called);
}

/// The same session and the same ports are in every capture of their time.
std::string Reading::of_capture(const std::string& name) const {
    return capture_ == 0 ? name : name + "\n" + std::to_string(capture_);
}

void Reading::time_is(std::uint64_t time) {
    if (first_time_ == 0 || time < first_time_) first_time_ = time;
    last_time_ = std::max(last_time_, time);
    now_ = std::max(now_, time);
    while (!closing_.empty() && closing_.front()->closing_since + last_event_within < now_) finish(closing_.front());
}

void Reading::packet(const pcapng::PacketBlock& packet) {
    if (packet.interface >= interfaces_.size()) return;
    const Interface& interface = interfaces_[packet.interface];
    time_is(packet.time);
    lacks_.dropped(interface.name, packet.dropped);
    const auto tcp = interface.leg.readable ? protocol::decode_tcp_packet(packet.bytes) : std::nullopt;
    if (!tcp) {
        lacks_.undecoded_packet();
        return;
    }
    const bool server_leg = interface.leg.side == protocol::CapturedLeg::Side::server;
    const protocol::CapturedEnds ends = protocol::captured_ends(*tcp, packet, interface.leg.side);
    const Key key = of_capture((server_leg ? "s" : "c") + ends.key());
    Conversation* conversation = conversation_of(key, *tcp, packet, ends);
    if (!conversation) return;
    Live& live = *conversation->live;
    live.session.ended = std::max(live.session.ended, packet.time);
    if (live.session.facts.listener.empty()) live.session.facts.listener = interface.leg.listener;
    comments(conversation->live, packet);
    if (conversation->transcript) feed(*conversation, *tcp, packet.time, ends.from_client);
}

/// The one that goes on, or a new one of a session that is known or begins here. nullptr: there is
/// no session that it belongs to.
Reading::Conversation* Reading::conversation_of(const Key& key, const protocol::TcpPacket& tcp,
                                                const pcapng::PacketBlock& packet, const protocol::CapturedEnds& ends) {
    const bool opens = (tcp.flags & protocol::tcp_flag::syn) && !(tcp.flags & protocol::tcp_flag::ack);
    const bool server_leg = key.front() == 's';
    SessionFacts facts;
    ConversationMarks marks;
    for (const std::string& comment : packet.comments) marks = take_comment(facts, comment).value_or(marks);

    if (const auto found = conversations_.find(key); found != conversations_.end()) {
        const LivePointer live = found->second->live;
        const std::string& name = live->session.facts.session;
        const bool another = !facts.session.empty() && !name.empty() && facts.session != name;
        if (!another && !(opens && live->closed)) return found->second.get();
        finish(live);  // its port is used again
    }
    const protocol::Endpoint client = protocol::unmapped(ends.client);
    const std::string client_text = of_capture(client_name(protocol::address_text(client), client.port));
    LivePointer live = session_of(facts, server_leg ? "" : client_text);
    const bool is_new = !live;
    if (is_new) {
        if (server_leg && facts.session.empty()) return nullptr;
        live = begin_session(key, packet.time);
        if (!live) return nullptr;
    }
    if (!server_leg) {
        // A session's comment says no address when it came through a UNIX-domain socket.
        SessionFacts& known = live->session.facts;
        if (known.session.empty() && facts.session.empty()) known.client_addr = protocol::address_text(client);
        if (!known.client_addr.empty() || !facts.client_addr.empty()) known.client_port = client.port;
        know(live, client_text);
    }
    auto conversation = std::make_unique<Conversation>();
    conversation->live = live;
    conversation->server_leg = server_leg;
    if (!server_leg) {
        conversation->transcript = std::make_unique<protocol::Transcript>(
            [this, one = live.get()](protocol::CapturedEntry&& entry) { keep(*one, std::move(entry)); });
        if (opens) conversation->transcript->begins_here(tcp.sequence + 1);
        // In a ring's later files only the addresses tell them from what they hold.
        if (ends.mapped() || marks.records) conversation->transcript->holds_records();
    }
    live->session.in_the_middle = live->session.in_the_middle || marks.joined;
    live->conversations.push_back(key);
    return (conversations_[key] = std::move(conversation)).get();
}

/// `ended`: it is asked for what stands behind the end of a connection.
Reading::LivePointer Reading::session_of(const SessionFacts& facts, const std::string& client, bool ended) {
    if (!facts.session.empty()) {
        if (const auto found = by_session_.find(of_capture(facts.session)); found != by_session_.end())
            return found->second;
    }
    const auto found = client.empty() ? by_client_.end() : by_client_.find(client);
    if (found == by_client_.end() || (found->second->closed && !ended)) return nullptr;
    const std::string& name = found->second->session.facts.session;
    return facts.session.empty() || name.empty() ? found->second : nullptr;
}

Reading::LivePointer Reading::begin_session(const Key& key, std::uint64_t time) {
    if (live_.size() >= limits_.sessions) {
        if (refused_.size() < max_refused && refused_.insert(key).second) lacks_.session_left_out();
        return nullptr;
    }
    auto live = std::make_shared<Live>();
    live->session.started = live->session.ended = time;
    live->number = ++begun_;
    live->capture = capture_;
    live_[live->number] = live;
    return live;
}

void Reading::know(const LivePointer& live, const std::string& client) {
    if (!client.empty()) {
        live->client = client;
        by_client_[client] = live;
    }
    if (!live->session.facts.session.empty()) by_session_[of_capture(live->session.facts.session)] = live;
}

void Reading::comments(const LivePointer& live, const pcapng::PacketBlock& packet) {
    ReadSession& session = live->session;
    for (const std::string& comment : packet.comments) {
        if (take_comment(session.facts, comment)) {
            by_session_.try_emplace(of_capture(session.facts.session), live);
        } else if (session.notes.size() < max_notes) {
            session.notes.push_back(comment.substr(0, max_note));
        }
    }
}

void Reading::feed(Conversation& conversation, const protocol::TcpPacket& tcp, std::uint64_t time, bool from_client) {
    ReadSession& session = conversation.live->session;
    protocol::Transcript& transcript = *conversation.transcript;
    const auto has = [&](std::uint8_t flag) { return (tcp.flags & flag) != 0; };
    transcript.segment({.from = from_client ? CapturedSide::client : CapturedSide::server,
                        .time = time,
                        .sequence = tcp.sequence,
                        .syn = has(protocol::tcp_flag::syn),
                        .fin = has(protocol::tcp_flag::fin),
                        .rst = has(protocol::tcp_flag::rst),
                        .payload = tcp.payload});
    if (transcript.opening().kind != protocol::CapturedOpening::Kind::encrypted)
        (from_client ? session.bytes_client : session.bytes_server) += tcp.payload.size();
    if (transcript.how_it_ended().closed_by) close(conversation.live, time);
}

void Reading::keep(Live& live, protocol::CapturedEntry&& entry) {
    if (!filter_.may_match(live.session.facts)) return;
    count(live.session.totals, entry);
    const std::size_t size = size_of(entry);
    if (live.kept + size > limits_.session_kept || kept_ + size > limits_.kept) {
        ++live.session.entries_left_out;
        return;
    }
    live.kept += size;
    kept_ += size;
    live.session.entries.push_back(std::move(entry));
}

void Reading::journal(const pcapng::JournalBlock& entry) {
    auto event = parse_event(entry.value("MESSAGE"));
    if (!event) return;
    const AuditExtras extras = parse_extras(entry.value("MESSAGE"));
    if (extras.has_text) lacks_.event_has_text();
    const std::uint64_t time = journal_time(entry);
    if (time > 0) time_is(time);
    if (event->facts.session.empty()) event->facts.session = std::string(entry.value("PGAIRLOCK_SESSION"));
    const std::string& name = event->facts.session;
    if (event->event == "capture_stopped") {
        lacks_.capture_stopped("the audit says that capture " +
                               (extras.capture ? std::to_string(*extras.capture) : "?") + " stopped: " + event->reason +
                               (event->message.empty() ? "" : ", " + event->message));
    }
    if (name.empty() || event->event == "upstream_certificate") return process_event(*event, time);
    const std::string client = of_capture(client_name(event->facts.client_addr, event->facts.client_port));
    LivePointer live = session_of(event->facts, client, event->event == "disconnected");
    if (!live) {
        // Who succeeded has packets, unless these were dropped; whoever failed may have none.
        const bool tells = event->failure || event->event == "cancel";
        if (!tells || recent_set_.contains(name)) return;
        live = begin_session(name, time);
    }
    if (!live) return;
    take_event(*live, std::move(*event), time);
    take_process(live->session.facts, extras);
    know(live, "");
    if (live->last_event) close(live, time);
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

void Reading::close(const LivePointer& live, std::uint64_t time) {
    live->closed = true;
    if (live->closing) return;
    live->closing = true;
    live->closing_since = time;
    closing_.push_back(live);
}

void Reading::finish(const LivePointer& given) {
    const LivePointer live = given;  // it may be in one of the lists that it leaves
    ReadSession& session = live->session;
    for (const Key& key : live->conversations) {
        const auto found = conversations_.find(key);
        if (found == conversations_.end() || found->second->live != live) continue;
        if (found->second->transcript) take_transcript(session, *found->second->transcript);
        conversations_.erase(found);
    }
    const auto forget = [&](auto& map, const std::string& name) {
        const auto found = map.find(name);
        if (found != map.end() && found->second == live) map.erase(found);
    };
    const std::string& name = session.facts.session;
    forget(by_session_, live->capture == 0 ? name : name + "\n" + std::to_string(live->capture));
    forget(by_client_, live->client);
    live_.erase(live->number);
    std::erase(closing_, live);
    kept_ -= live->kept;
    if (!session.facts.session.empty() && recent_set_.insert(session.facts.session).second) {
        recent_.push_back(session.facts.session);
        if (recent_.size() > max_recent) {
            recent_set_.erase(recent_.front());
            recent_.pop_front();
        }
    }
    conclude(session);
    if (const auto told = told_.find(name); told != told_.end() && told->second != live->capture) {
        lacks_.session_repeated();
        return;
    }
    if (told_.size() == max_told) lacks_.too_many_to_repeat();
    if (!name.empty() && told_.size() < max_told) told_.emplace(name, live->capture);
    if (!filter_.matches(session)) {
        ++left_aside_;
        if (filter_.lacks_names(session)) lacks_.nameless_failure();
        return;
    }
    ++handed_over_;
    lacks_.session(session);
    sink_(std::move(session));
}

void Reading::quiet() {
    while (!closing_.empty()) finish(closing_.front());
}

void Reading::end() {
    quiet();
    while (!live_.empty()) finish(live_.begin()->second);
    now_ = 0;
}

}  // namespace proxy::transcript
