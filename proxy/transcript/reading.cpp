#include "proxy/transcript/reading.hpp"

#include <algorithm>

#include "protocol/endpoint.hpp"
#include "protocol/utf8.hpp"
#include "proxy/transcript/live_session.hpp"

namespace proxy::transcript {
namespace {

namespace pcapng = protocol::pcapng;
using protocol::CapturedSide;

/// Of the capture, in ns: audit events come from a thread of their own.
constexpr std::uint64_t last_event_within = 5'000'000'000;
constexpr std::size_t max_notes = 20;
constexpr std::size_t max_note = 500;
constexpr std::size_t max_captures = 1000;

}  // namespace

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
        lacks_.too_many_captures();
        return;
    }
    lacks_.capture(protocol::printable((name.number.empty() ? "one without a number" : name.number) + ", payload " +
                                       (name.payload.empty() ? "not said" : name.payload)));
    captures_.push_back(std::move(name));
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
    if (live.session.absences.erase(protocol::Absence::not_entered) > 0) lacks_.entered(capture_, live.session.facts);
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
    if (marks.joined) live->session.absences.insert(protocol::Absence::joined);
    if (marks.prewarmed) live->session.absences.insert(protocol::Absence::prewarmed);
    live->conversations.push_back(key);
    return (conversations_[key] = std::move(conversation)).get();
}

void Reading::comments(const LivePointer& live, const pcapng::PacketBlock& packet) {
    ReadSession& session = live->session;
    for (const std::string& comment : packet.comments) {
        if (const auto absence = protocol::absence_of_comment(comment)) session.absences.insert(*absence);
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

}  // namespace proxy::transcript
