#include "protocol/transcript.hpp"

#include <algorithm>

namespace protocol {
namespace {

constexpr std::uint8_t tls_handshake_record = 0x16;

/// A length of at most 16 MiB and a code that is one: no message with a type byte begins with a
/// zero.
bool is_opening(Bytes bytes) noexcept {
    if (bytes.size() < opening_header_size || bytes[0] != 0 || !opening_packet_size(bytes)) return false;
    const std::uint32_t code = Reader(bytes.subspan(4)).u32();
    return code >> 16 == 3 || (code >= cancel_request_code && code <= gssenc_request_code);
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

}  // namespace

Transcript::Transcript(Sink sink)
    : sink_(std::move(sink)), exchange_([this](CapturedStatement&& statement) { sink_(std::move(statement)); }) {}

void Transcript::begins_here(std::uint32_t sequence) noexcept {
    begins_here_ = true;
    for (Side& side : sides_) side.stream.begin(sequence);
}

void Transcript::segment(const CapturedSegment& segment) {
    if (segment.syn) begins_here_ = true;
    Side& side = at(segment.from);
    const bool first = !begun_ && !segment.payload.empty();
    const CapturedStream::Piece piece = side.stream.segment(segment);
    if (first && !piece.bytes.empty()) {
        begun_ = true;
        if (piece.missing > 0) begins_here_ = is_opening(piece.bytes);
        recognise(segment);
    }
    if (piece.missing > 0) gap(segment.from, piece.missing, segment.time);
    if (!piece.bytes.empty()) bytes(segment.from, piece.bytes, segment.time);
    if ((segment.fin || segment.rst) && !end_.closed_by) {
        end_.closed_by = segment.from;
        end_.reset = segment.rst;
        end_.time = segment.time;
    }
}

/// From its first bytes.
void Transcript::recognise(const CapturedSegment& segment) {
    if (opening_.kind == CapturedOpening::Kind::encrypted) return;
    const Bytes bytes = segment.payload;
    const bool from_client = segment.from == CapturedSide::client;
    const bool hello = from_client && bytes.size() >= 2 && bytes[0] == tls_handshake_record && bytes[1] == 3;
    if (from_client && (is_opening(bytes) || (begins_here_ && bytes[0] == 0))) {
        at(CapturedSide::client).messages.expect_opening();
        return;
    }
    if (hello && begins_here_) {
        opening_.kind = CapturedOpening::Kind::encrypted;
        return;
    }
    if (begins_here_ && !from_client && (bytes[0] == 'R' || bytes[0] == 'E')) {  // what it answers is missing
        phase_ = Phase::login;
        opening_.kind = CapturedOpening::Kind::session;
        return;
    }
    phase_ = Phase::established;
    opening_.kind = CapturedOpening::Kind::established;
    if (begins_here_) return;
    lose(CapturedSide::client);
    lose(CapturedSide::server);
}

void Transcript::gap(CapturedSide from, std::uint64_t bytes, std::uint64_t time) {
    Side& side = at(from);
    side.missing += bytes;
    if (opening_.kind == CapturedOpening::Kind::encrypted) return;
    const bool was_lost = side.messages.lost();
    side.messages.missing(bytes);
    const bool lost = side.messages.lost();
    sink_(CapturedGap{.from = from, .time = time, .bytes = bytes, .lost = lost});
    exchange_.missing(bytes);
    finder_.missing();
    if (lost && !was_lost) lose(from);
    read(from, {}, time);  // a message whose end is missing may be over
}

void Transcript::lose(CapturedSide from) {
    at(from).messages.lose();
    if (!finding_) unreadable_before_ = unreadable_;
    finding_ = true;
    finder_.begin(!at(CapturedSide::server).messages.lost());
    // What the server answers next is to nobody knows which request.
    if (phase_ == Phase::established) {
        exchange_.give_up();
        if (from == CapturedSide::client) exchange_.miss_requests();
    }
}

void Transcript::bytes(CapturedSide from, Bytes bytes, std::uint64_t time) {
    if (opening_.kind == CapturedOpening::Kind::encrypted || opening_.kind == CapturedOpening::Kind::cancel) return;
    if (phase_ == Phase::ssl_answer && from == CapturedSide::server) {
        opening_.ssl_answer = static_cast<char>(bytes[0]);
        phase_ = Phase::opening;
        bytes = bytes.subspan(opening_.ssl_answer == 'E' ? 0 : 1);
    }
    if (from == CapturedSide::client && phase_ == Phase::opening && opening_.ssl_answer == 'S' && !bytes.empty() &&
        bytes[0] == tls_handshake_record && at(from).messages.between()) {
        opening_.kind = CapturedOpening::Kind::encrypted;
        return;
    }
    if (finding_) find(from, bytes, time);
    read(from, bytes, time);
    if (at(from).messages.lost()) {
        if (!finding_) {
            sink_(CapturedGap{.from = from, .time = time, .bytes = 0, .lost = true});
            lose(from);
        }
        unreadable_ += bytes.size();
    }
}

void Transcript::find(CapturedSide from, Bytes bytes, std::uint64_t time) {
    const bool server_lost = at(CapturedSide::server).messages.lost();
    const bool asked = finder_.asks();
    const bool is_found = finder_.add(from, time, bytes);
    // What was asked before cannot be what the answer is to.
    if (server_lost && !asked && finder_.asks()) exchange_.give_up();
    if (is_found) found(time);
}

void Transcript::found(std::uint64_t time) {
    std::uint64_t readable = 0;
    const std::array lost{at(CapturedSide::client).messages.lost(), at(CapturedSide::server).messages.lost()};
    for (std::size_t i = 0; i < lost.size(); ++i) {
        if (lost[i]) sides_[i].messages.begin_anew();
    }
    phase_ = Phase::established;
    finding_ = false;
    exchange_.see_requests();
    if (lost[0]) exchange_.give_up();
    // The last chunk is not counted, and will be read by whoever called.
    const auto& chunks = finder_.chunks();
    for (std::size_t i = 0; i + 1 < chunks.size(); ++i) {
        if (lost[static_cast<std::size_t>(chunks[i].from)]) readable += chunks[i].bytes.size();
    }
    unreadable_ -= std::min(readable, unreadable_);
    sink_(CapturedFind{.time = time, .unreadable = unreadable_ - std::min(unreadable_before_, unreadable_)});
    for (std::size_t i = 0; i + 1 < chunks.size(); ++i) {
        if (lost[static_cast<std::size_t>(chunks[i].from)]) read(chunks[i].from, chunks[i].bytes, chunks[i].time);
    }
}

void Transcript::read(CapturedSide from, Bytes bytes, std::uint64_t time) {
    CapturedMessages& messages = at(from).messages;
    while (const auto message = messages.next(bytes)) {
        if (message->type == '\0') {
            opening_message(*message, time);
        } else if (from == CapturedSide::client) {
            client_message(*message, time);
        } else {
            server_message(*message, time);
        }
        if (opening_.kind == CapturedOpening::Kind::cancel) return;
    }
    if (exchange_.overflowed()) {
        lose(CapturedSide::client);
        lose(CapturedSide::server);
    }
}

void Transcript::opening_message(const CapturedMessage& message, std::uint64_t time) {
    const OpeningPacket packet = parse_opening(message.body);
    CapturedMessages& client = at(CapturedSide::client).messages;
    if (message.missing > 0 || std::holds_alternative<Fault>(packet)) {
        phase_ = Phase::login;
        opening_.kind = CapturedOpening::Kind::session;
        opening_.time = time;
    } else if (const auto* startup = std::get_if<StartupMessage>(&packet)) {
        phase_ = Phase::login;
        opening_.kind = CapturedOpening::Kind::session;
        opening_.startup = *startup;
        opening_.time = time;
    } else if (const auto* cancel = std::get_if<CancelRequest>(&packet)) {
        opening_.kind = CapturedOpening::Kind::cancel;
        opening_.cancelled_pid = cancel->pid;
        opening_.time = time;
    } else {
        (std::holds_alternative<SSLRequest>(packet) ? opening_.ssl_requested : opening_.gss_requested) = true;
        phase_ = Phase::ssl_answer;
        client.expect_opening();
    }
}

void Transcript::client_message(const CapturedMessage& message, std::uint64_t time) {
    if (message.type == 'X') end_.terminated = true;
    if (phase_ == Phase::established) return exchange_.from_client(message, time);
    if (message.type != 'p') return;
    const bool asked_for_mechanism = login_.asked && !login_.answered;
    login_.answered = true;
    const auto choice = parse_sasl_initial_response(message.body);
    if (asked_for_mechanism && choice && login_.method.starts_with("scram") && choice->mechanism.starts_with("SCRAM"))
        login_.method = lower(choice->mechanism);
}

void Transcript::server_message(const CapturedMessage& message, std::uint64_t time) {
    if (phase_ != Phase::established) return login_message(message, time);
    exchange_.from_server(message, time);
    if (message.type == 'Z' && finding_) finder_.ready();
}

void Transcript::login_message(const CapturedMessage& message, std::uint64_t time) {
    if (message.type == 'R') authentication(message);
    if (message.type == 'Z') establish(time);
    if (message.type == 'S') {
        Reader body(message.body);
        if (body.cstring() == "server_version") login_.server_version = std::string(body.cstring().substr(0, 64));
    }
    if (message.type == 'E' && !login_.error) {
        login_.outcome = CapturedLogin::Outcome::refused;
        login_.error = captured_error(message.body);
        login_.time = time;
    }
}

void Transcript::authentication(const CapturedMessage& message) {
    const std::uint32_t code = Reader(message.body).u32();
    switch (static_cast<AuthenticationCode>(code)) {
        case AuthenticationCode::ok:
            if (login_.method.empty()) login_.method = "trust";
            return;
        case AuthenticationCode::cleartext_password: login_.method = "password"; break;
        case AuthenticationCode::md5_password: login_.method = "md5"; break;
        case AuthenticationCode::gss:
        case AuthenticationCode::gss_continue: login_.method = "gss"; break;
        case AuthenticationCode::sspi: login_.method = "sspi"; break;
        case AuthenticationCode::sasl: {
            const auto offer = parse_authentication_sasl(message.body);
            const bool named = offer && !offer->mechanisms.empty();
            login_.method = named ? lower(std::string_view(offer->mechanisms.back()).substr(0, 32)) : "sasl";
            break;
        }
        default: return;
    }
    login_.asked = true;
    login_.answered = false;
}

void Transcript::establish(std::uint64_t time) {
    phase_ = Phase::established;
    if (login_.outcome == CapturedLogin::Outcome::none) login_.outcome = CapturedLogin::Outcome::accepted;
    login_.time = time;
    exchange_.from_server({.type = 'Z', .size = 1, .body = {}}, time);
    if (at(CapturedSide::client).messages.lost()) exchange_.miss_requests();
}

void Transcript::end() { exchange_.give_up(); }

}  // namespace protocol
