#include "proxy/capture/session_capture.hpp"

#include <algorithm>
#include <utility>

#include "proxy/capture/capture_comment.hpp"
#include "proxy/capture/capture_time.hpp"

namespace proxy {
namespace {

using protocol::Bytes;
using tls::Leg;
namespace pcapng = protocol::pcapng;

/// As TcpConversation cuts them.
constexpr std::size_t packet_size = 60'000;
/// The only packet of a client's opening that is this long is one that asks for encryption.
constexpr std::size_t request_size = 8;

protocol::Redactor::Sender redacted(SessionCapture::Sender sender) {
    return sender == SessionCapture::Sender::client ? protocol::Redactor::Sender::client
                                                    : protocol::Redactor::Sender::server;
}

/// Records of a conversation that is written as well need other addresses: IPv4 as IPv6, IPv6 with
/// another last byte.
LegEnds for_records(LegEnds ends) {
    constexpr std::uint8_t highest_bit = 0x80;
    if (ends.client.v6 || ends.server.v6) {
        ends.server = protocol::as_v6(ends.server);
        ends.server.address.back() ^= highest_bit;
        return ends;
    }
    ends.client = protocol::as_v6(ends.client);
    ends.server = protocol::as_v6(ends.server);
    return ends;
}

}  // namespace

SessionCapture::SessionCapture(std::shared_ptr<Capture> capture, Session session, bool from_start)
    : capture_(std::move(capture)),
      session_(session),
      state_(from_start ? State::held : State::waiting),
      joined_(!from_start) {
    // Who has a name already can be told from those that the capture is not about.
    if (session_.record.usename.empty() || matches_names()) {
        capture_->login_begins(session_.number, session_.record);
        undecided_ = true;
    }
}

SessionCapture::~SessionCapture() {
    decided();
    if (has_keys_ && (state_ == State::in || state_ == State::absent)) capture_->forget_secrets(session_.number);
    if (state_ == State::lost && is_wanted(false)) be_absent(why_lost_);
    forget_held();
}

SessionCapture::LegState& SessionCapture::leg(Leg which) {
    auto& leg = legs_[at(which)];
    if (!leg) leg.emplace(capture_->order());
    return *leg;
}

void SessionCapture::opened(Leg which, const LegEnds& ends, bool encrypted) {
    if (!takes()) return;
    auto& leg = legs_[at(which)].emplace(capture_->order());
    leg.number = static_cast<unsigned>(led_.size());
    led_.push_back({.to = ends.to, .prewarmed = encrypted && which == Leg::server && !joined_});
    leg.ends = ends;
    leg.maybe_tls = !encrypted;
    leg.handshake_done = encrypted;
}

// --- What is said

void SessionCapture::said(Leg which, Sender sender, Bytes bytes, Time now) {
    if (!takes()) return;
    LegState& leg = this->leg(which);
    protocol::Buffer copy(bytes.begin(), bytes.end());
    if (leg.maybe_tls && !leg.tls && which == Leg::server && sender == Sender::client && bytes.size() != request_size)
        end_clear(which);
    OfBefore of_before = blank(leg, leg.redactor, sender, copy);
    if (leg.maybe_tls && !leg.tls) {
        if (!leg.clear.empty() && leg.clear.back().sender == sender) {
            // A packet, as long as nobody knows who it is, is short.
            Piece& before = leg.clear.back();
            if (!before.of_before.empty() && !of_before.empty() && before.of_before[0] == before.bytes.size())
                before.of_before[0] += of_before[0];
            before.bytes.insert(before.bytes.end(), copy.begin(), copy.end());
        } else {
            leg.clear.push_back({sender, now, std::move(copy), std::move(of_before)});
        }
        return;
    }
    if (leg.tls && !leg.handshake_done && sender == peer(which)) handshake_done(leg);
    emit(which, Content::plain, sender, copy, now, of_before);
}

void SessionCapture::came(Leg which, Bytes bytes, protocol::Buffer& scratch, Time now) {
    if (state_ != State::in) return;
    scratch.assign(bytes.begin(), bytes.end());
    const Sender sender = peer(which);
    passing_of_before_ = blank(leg(which), relay_redactor(), sender, scratch);
    passing_id_ = capture_->packet_ids((bytes.size() + packet_size - 1) / packet_size);
    emit(which, Content::plain, sender, scratch, now, passing_of_before_, passing_id_);
}

void SessionCapture::passed_on(Leg which, Bytes blanked, Time now) {
    if (state_ != State::in) return;
    const Sender sender = which == Leg::client ? Sender::server : Sender::client;
    emit(which, Content::plain, sender, blanked, now, passing_of_before_, passing_id_);
}

void SessionCapture::added(Leg which, Bytes bytes, Time now) {
    if (state_ != State::in) return;
    protocol::Buffer copy(bytes.begin(), bytes.end());
    const Sender sender = which == Leg::client ? Sender::server : Sender::client;
    const OfBefore of_before = blank(leg(which), relay_redactor(), sender, copy);
    emit(which, Content::plain, sender, copy, now, of_before);
}

SessionCapture::OfBefore SessionCapture::blank(LegState& of, protocol::Redactor& redactor, Sender sender,
                                               std::span<std::uint8_t> bytes) {
    OfBefore of_before;
    while (!bytes.empty()) {
        const auto part = bytes.first(std::min(bytes.size(), packet_size));
        of_before.push_back(redactor.blank(redacted(sender), part));
        bytes = bytes.subspan(part.size());
    }
    if (redactor.lost(redacted(sender)) && !std::exchange(of.lost_said[at(sender)], true))
        comment_ = protocol::sentence(capture_->order().allow_secrets ? protocol::Absence::framing_lost_unseen
                                                                      : protocol::Absence::framing_lost);
    return of_before;
}

void SessionCapture::records(Leg which, Sender sender, Bytes bytes, Time now) {
    if (!takes()) return;
    LegState& leg = this->leg(which);
    if (!leg.tls && !leg.handshake_done) begin_tls(which);
    if (!leg.tls || (leg.handshake_done && !keeps_records())) return;
    protocol::Buffer copy(bytes.begin(), bytes.end());
    leg.blankers[at(sender)].blank(copy, keeps_records());
    emit(which, Content::records, sender, copy, now);
}

/// What came before was the way here: it belongs to the records.
void SessionCapture::begin_tls(Leg which) {
    LegState& leg = this->leg(which);
    leg.tls = true;
    leg.maybe_tls = false;
    leg.redactor.tls_began();
    for (const Piece& piece : std::exchange(leg.clear, {}))
        emit(which, Content::records, piece.sender, piece.bytes, piece.time);
}

/// It stays in clear.
void SessionCapture::end_clear(Leg which) {
    if (!legs_[at(which)]) return;
    LegState& leg = *legs_[at(which)];
    leg.maybe_tls = false;
    for (const Piece& piece : std::exchange(leg.clear, {}))
        emit(which, Content::plain, piece.sender, piece.bytes, piece.time, piece.of_before);
}

/// Nobody looks at the records of a handshake that went well, unless the session fails later.
void SessionCapture::handshake_done(LegState& leg) {
    leg.handshake_done = true;
    if (keeps_records() || capture_->order().failures_only || state_ != State::held) return;
    std::erase_if(held_, [&](const Packet& packet) {
        const bool goes = packet.content == Content::records && packet.leg == leg.number;
        if (!goes) return false;
        held_bytes_ -= footprint(packet);
        session_.memory.give_back(footprint(packet));
        return true;
    });
}

void SessionCapture::key(std::string_view line) {
    if (!takes() || !keeps_records()) return;
    has_keys_ = true;
    if (state_ == State::in) {
        write_keys(std::string(line) + '\n');
    } else {
        keys_.append(line).append("\n");
    }
}

void SessionCapture::ended(Leg which, Sender sender, bool reset, Time now) {
    if (!takes() || !legs_[at(which)]) return;
    const LegState& leg = *legs_[at(which)];
    close(which, Content::plain, sender, reset, now);
    if (!leg.handshake_done || keeps_records()) close(which, Content::records, sender, reset, now);
}

// --- Packets

/// As it is at the first session: its servers may be several.
CaptureInterface& SessionCapture::interface(Leg which) {
    LegState& leg = this->leg(which);
    if (leg.interface == nullptr) {
        const bool is_client = which == Leg::client;
        const std::string whose = is_client ? "clients of " : "upstream " + session_.record.upstream + ", such as ";
        leg.interface = &capture_->interface(session_.record.listener + (is_client ? " client leg" : " server leg"),
                                             whose + leg.ends.to + "; its port is written as 5432");
    }
    return *leg.interface;
}

void SessionCapture::emit(Leg which, Content content, Sender sender, Bytes bytes, Time now, const OfBefore& of_before,
                          std::optional<std::uint64_t> first_id) {
    if (!takes()) return;
    LegState& leg = this->leg(which);
    Conversation& conversation = content == Content::plain ? leg.plain : leg.raw;
    bool first = !conversation.tcp;
    std::optional<std::uint64_t> id;
    std::size_t number = 0;
    bool opening = false;
    const protocol::TcpConversation::Sink sink = [&](Sender from, Bytes packet) {
        Packet made{.time = capture_time(now),
                    .interface = &interface(which),
                    .direction = from == peer(which) ? pcapng::Direction::inbound : pcapng::Direction::outbound,
                    .id = id,
                    .content = content,
                    .leg = leg.number,
                    .side = which,
                    .first = std::exchange(first, false),
                    .from_client = from == Sender::client};
        if (!opening && number < of_before.size()) made.of_before = of_before[number++];
        if (!made.first) made.comment = std::exchange(comment_, {});
        made.bytes.assign(packet.begin(), packet.end());
        take(std::move(made));
        if (id) ++*id;
    };
    if (first) {
        // Another number for each: the same ports may come again.
        constexpr std::uint32_t spread = 0x9e3779b1;
        const auto begin = static_cast<std::uint32_t>(session_.number * 4 + leg.number) * spread;
        const LegEnds ends = content == Content::plain ? leg.ends : for_records(leg.ends);
        conversation.tcp.emplace(ends.client, ends.server, begin);
        opening = true;
        conversation.tcp->open(sink);
        opening = false;
    }
    id = first_id;
    if (!bytes.empty()) conversation.tcp->data(sender, bytes, sink);
}

void SessionCapture::close(Leg which, Content content, Sender sender, bool reset, Time now) {
    LegState& leg = this->leg(which);
    Conversation& conversation = content == Content::plain ? leg.plain : leg.raw;
    if (!conversation.tcp || std::exchange(conversation.closed[at(sender)], true)) return;
    if (reset) conversation.closed = {true, true};
    Packet made{.time = capture_time(now),
                .interface = &interface(which),
                .content = content,
                .leg = leg.number,
                .side = which};
    conversation.tcp->close(sender, reset, [&](Sender from, Bytes packet) {
        made.direction = from == peer(which) ? pcapng::Direction::inbound : pcapng::Direction::outbound;
        made.from_client = from == Sender::client;
        made.bytes.assign(packet.begin(), packet.end());
        take(made);
    });
}

void SessionCapture::take(Packet packet) {
    if (state_ == State::in) return write(packet);
    if (state_ != State::held) return;
    const std::size_t size = footprint(packet);
    if (held_bytes_ + size > HeldMemory::max_bytes_of_session || !session_.memory.take(size)) {
        // What is known so far may be enough.
        if (!named_ || capture_->order().failures_only) return leave(protocol::Absence::opening_too_large);
        release();
        if (state_ == State::in) write(packet);
        return;
    }
    held_bytes_ += size;
    held_.push_back(std::move(packet));
}

void SessionCapture::write(Packet& packet) {
    std::optional<pcapng::Process> process;
    if (led_.size() <= packet.leg) led_.resize(packet.leg + 1);
    Led& leg = led_[packet.leg];
    Written& written = leg.written[packet.content == Content::plain ? 0 : 1];
    if (!written.whose) {
        written.conversation = capture_->conversation();
        written.whose = std::make_shared<const std::string>(
            opening_comment(session_.record, {.leg = packet.side,
                                              .to = leg.to,
                                              .records = packet.content == Content::records,
                                              .joined = joined_,
                                              .prewarmed = leg.prewarmed}));
    }
    if (packet.first && session_.record.process && packet.side == Leg::client) {
        const Process known = session_.record.process->get(std::chrono::milliseconds(0));
        if (known.pid > 0)
            process = {.pid = static_cast<std::uint32_t>(known.pid), .thread = static_cast<std::uint32_t>(known.pid)};
    }
    capture_->write({.interface = packet.interface,
                     .time = packet.time,
                     .bytes = std::move(packet.bytes),
                     .direction = packet.direction,
                     .id = packet.id,
                     .process = process,
                     .comment = std::move(packet.comment),
                     .failure = std::move(packet.failure),
                     .place = {.conversation = written.conversation,
                               .from_client = packet.from_client,
                               .of_before = packet.of_before,
                               .whose = written.whose}});
}

}  // namespace proxy
