#include "protocol/redactor.hpp"

#include <algorithm>
#include <cstring>

#include "protocol/message_blanker.hpp"
#include "protocol/messages.hpp"
#include "protocol/opening_blanker.hpp"

namespace protocol {
namespace {

using Piece = std::span<std::uint8_t>;

// MaxAllocSize of PostgreSQL: no message is longer, whatever carries it.
constexpr std::uint32_t longest_message = 0x3fffffff;

// Letters, also those that no version has yet, and ParseComplete, BindComplete, CloseComplete.
constexpr bool is_type(std::uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '1' && c <= '3');
}

}  // namespace

struct Redactor::State {
    /// One side of a session.
    struct Side {
        Side(Sender sender, Payload payload, SessionFacts& facts) : messages(sender, payload, facts) {}

        bool lost = false;
        std::size_t header_size = 0;  // of the message that has begun
        std::uint32_t length = 0;     // as its header says
        std::size_t missing = 0;      // of its body
        char type = 0;
        MessageBlanker messages;
    };

    State(Payload content, bool secrets)
        : payload(content),
          allow_secrets(secrets && content == Payload::full),
          opening(content),
          client(Sender::client, content, facts),
          server(Sender::server, content, facts) {}

    enum class Phase : std::uint8_t { opening, messages, cancelled };

    void begin(Phase first);
    std::size_t blank(Sender sender, Piece bytes);
    bool is_within(Sender sender, const Side& side) const noexcept;
    void take_opening(Piece& bytes);
    void take_negotiation_answer(Piece& bytes);
    void take_message(Side& side, Piece& bytes);
    bool take_header(Side& side, Piece& bytes);
    void lose(Side& side);

    Payload payload;
    bool allow_secrets;
    Phase phase = Phase::opening;  // of the client
    char asked = 0;                // 'S' or 'G': an SSLRequest or GSSENCRequest is not answered yet
    OpeningBlanker opening;
    SessionFacts facts;
    Side client;
    Side server;
};

void Redactor::State::begin(Phase first) {
    phase = first;
    asked = 0;
    opening = OpeningBlanker(payload);
    facts = {};
    for (Side* side : {&client, &server}) {
        side->lost = false;
        side->header_size = side->missing = 0;
    }
}

/// A message of this side has begun, and goes on.
bool Redactor::State::is_within(Sender sender, const Side& side) const noexcept {
    if (side.lost) return false;
    return sender == Sender::client && phase == Phase::opening ? opening.begun() : side.header_size > 0;
}

std::size_t Redactor::State::blank(Sender sender, Piece bytes) {
    Side& side = sender == Sender::client ? client : server;
    const std::size_t size = bytes.size();
    bool goes_on = is_within(sender, side);
    std::size_t of_before = goes_on ? size : 0;
    while (!bytes.empty()) {
        if (side.lost) {
            std::memset(bytes.data(), 0, bytes.size());
            break;
        }
        const bool between = side.header_size == 0;
        if (sender == Sender::client && phase == Phase::opening)
            take_opening(bytes);
        else if (sender == Sender::client && phase == Phase::cancelled)
            lose(side);
        else if (sender == Sender::server && asked != 0 && between)
            take_negotiation_answer(bytes);
        else
            take_message(side, bytes);
        if (goes_on && !is_within(sender, side)) {
            goes_on = false;
            of_before = size - bytes.size();
        }
    }
    return of_before;
}

void Redactor::State::take_opening(Piece& bytes) {
    using enum OpeningBlanker::Packet;
    // Nobody asks twice before there is an answer, nor logs in before.
    if (asked != 0) return lose(client);
    opening.blank(bytes);
    if (opening.broken()) return lose(client);
    if (!opening.whole()) return;
    switch (opening.packet()) {
        case ssl_request: asked = 'S'; break;
        case gssenc_request: asked = 'G'; break;
        case cancel_request: phase = Phase::cancelled; break;
        case startup:
            phase = Phase::messages;
            if (!opening.client_encoding().empty()) facts.sql.encoding.named(opening.client_encoding());
            break;
        case unknown: break;
    }
    opening = OpeningBlanker(payload);
}

/// One byte, or the ErrorResponse of a server that knows no such request.
void Redactor::State::take_negotiation_answer(Piece& bytes) {
    const char answer = static_cast<char>(bytes[0]);
    if (answer == 'E') {
        asked = 0;
        return;
    }
    const bool known = answer == 'N' || answer == asked;
    const bool encrypts_itself = answer == 'G' && asked == 'G';
    asked = 0;
    if (!known) return lose(server);
    bytes = bytes.subspan(1);
    // What GSSAPI wraps, nobody reads.
    if (encrypts_itself) {
        lose(server);
        lose(client);
    }
}

void Redactor::State::take_message(Side& side, Piece& bytes) {
    if (side.header_size < message_header_size && !take_header(side, bytes)) return;
    const Piece part = bytes.first(std::min(side.missing, bytes.size()));
    side.messages.blank(part);
    bytes = bytes.subspan(part.size());
    side.missing -= part.size();
    if (side.missing > 0) return;
    side.messages.end();
    side.header_size = 0;
}

/// True: the header is there, and the message has begun. Stops at the first byte that cannot be.
bool Redactor::State::take_header(Side& side, Piece& bytes) {
    while (!bytes.empty() && side.header_size < message_header_size) {
        const std::uint8_t c = bytes[0];
        if (side.header_size == 0) {
            if (!is_type(c)) {
                lose(side);
                return false;
            }
            side.type = static_cast<char>(c);
            side.length = 0;
        } else {
            side.length = side.length << 8 | c;
            const bool too_long = side.header_size == 1 && c > longest_message >> 24;
            const bool too_short = side.header_size == 4 && side.length < 4;
            if (too_long || too_short) {
                lose(side);
                return false;
            }
        }
        ++side.header_size;
        bytes = bytes.subspan(1);
    }
    if (side.header_size < message_header_size) return false;
    side.missing = side.length - 4;
    side.messages.begin(side.type, side.missing);
    return true;
}

void Redactor::State::lose(Side& side) {
    side.lost = true;
    if (&side == &client)
        facts.client_is_lost();
    else
        facts.server_is_lost();
}

Redactor::Redactor(Payload payload, bool allow_secrets) : state_(std::make_unique<State>(payload, allow_secrets)) {}
Redactor::~Redactor() = default;
Redactor::Redactor(Redactor&&) noexcept = default;
Redactor& Redactor::operator=(Redactor&&) noexcept = default;

void Redactor::begin_established(std::string_view client_encoding) {
    state_->begin(State::Phase::messages);
    // A statement may be on its way whose beginning nobody saw.
    state_->facts.secret_open = true;
    state_->facts.names_are_unknown();
    if (!client_encoding.empty()) state_->facts.sql.encoding.named(client_encoding);
}

void Redactor::tls_began() { state_->begin(State::Phase::opening); }

std::size_t Redactor::blank(Sender sender, std::span<std::uint8_t> bytes) {
    if (!state_->allow_secrets) return state_->blank(sender, bytes);
    Buffer copy(bytes.begin(), bytes.end());  // for where messages begin alone
    return state_->blank(sender, copy);
}

bool Redactor::lost(Sender sender) const noexcept {
    return (sender == Sender::client ? state_->client : state_->server).lost;
}

}  // namespace protocol
