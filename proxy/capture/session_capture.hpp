// One session in one capture: what passes is blanked, dressed as packets and put into the capture's
// queue, or held back until it is known whether the capture is about this session.
//
// A leg has two conversations: of what is said inside TLS, and, of a handshake that failed, of the
// records themselves. On the session's thread; it waits for nothing.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/captured_absence.hpp"
#include "protocol/record_blanker.hpp"
#include "protocol/redactor.hpp"
#include "protocol/tcp_conversation.hpp"
#include "proxy/capture/capture.hpp"
#include "proxy/observation/event.hpp"
#include "tls/stream.hpp"

namespace proxy {

/// What all sessions together hold back.
class HeldMemory {
   public:
    static constexpr std::size_t max_bytes = 64 * 1024 * 1024;
    static constexpr std::size_t max_bytes_of_session = 256 * 1024;
    bool take(std::size_t bytes) noexcept {
        if (bytes_.fetch_add(bytes) + bytes <= max_bytes) return true;
        bytes_ -= bytes;
        return false;
    }
    void give_back(std::size_t bytes) noexcept { bytes_ -= bytes; }

   private:
    std::atomic<std::size_t> bytes_{0};
};

/// Where a leg leads from and to, as it is written.
struct LegEnds {
    protocol::Endpoint client;
    protocol::Endpoint server;  ///< port 5432: there readers look for PostgreSQL's protocol
    std::string to;             ///< the true address of the server's end
};

class SessionCapture {
   public:
    using Sender = protocol::TcpConversation::Sender;
    using Time = std::chrono::system_clock::time_point;

    struct Session {
        const SessionRecord& record;  ///< outlives this, and changes meanwhile
        std::uint64_t number = 0;     ///< of this process; never 0
        HeldMemory& memory;
    };

    /// `from_start`: it has said nothing so far. Otherwise the capture has it from enter() on.
    SessionCapture(std::shared_ptr<Capture> capture, Session session, bool from_start);
    ~SessionCapture();
    SessionCapture(const SessionCapture&) = delete;
    SessionCapture& operator=(const SessionCapture&) = delete;

    Capture& capture() const noexcept { return *capture_; }
    bool is_over() const noexcept { return state_ == State::out || capture_->over(); }
    /// It is to enter when its session is between two messages.
    bool is_waiting() const noexcept { return state_ == State::waiting; }
    void enter(const std::array<LegEnds, 2>& ends, Time now);
    /// It cannot enter now, and may never be able to: until then it counts as not entered, and the
    /// capture says who it is.
    void wait();

    // --- What happens. `sender`: of the two ends of that leg.

    /// `encrypted`: it is inside TLS already.
    void opened(tls::Leg leg, const LegEnds& ends, bool encrypted);
    /// During the login: each leg says something of its own.
    void said(tls::Leg leg, Sender sender, protocol::Bytes bytes, Time now);
    /// During the relay: `bytes` came on `leg`. They are blanked in `scratch`, for passed_on().
    void came(tls::Leg leg, protocol::Bytes bytes, protocol::Buffer& scratch, Time now);
    /// What came last has gone out on `leg`.
    void passed_on(tls::Leg leg, protocol::Bytes blanked, Time now);
    /// Words of our own in the relay.
    void added(tls::Leg leg, protocol::Bytes bytes, Time now);
    void records(tls::Leg leg, Sender sender, protocol::Bytes bytes, Time now);
    void key(std::string_view line);
    void ended(tls::Leg leg, Sender sender, bool reset, Time now);

    // --- What is known.

    /// The startup packet has come: names are in the record.
    void named();
    /// The login is over: `event` says how. Decides what was held back for it.
    void settled(const Event& event);
    void journal(protocol::Bytes entry);
    /// It cannot go on. Where it is not known so far whether the capture is about the session, it
    /// counts as left out once that is known.
    void leave(protocol::Absence why) noexcept;

   private:
    enum class State {
        held,     // until the outcome of its login is known
        in,       // written
        waiting,  // until it is between two messages
        lost,     // nothing is held back any more; until it is known whether that matters
        absent,   // it matters: the capture says so, and has its events alone
        out,
    };
    enum class Content { plain, records };
    struct Packet {
        std::uint64_t time = 0;
        CaptureInterface* interface = nullptr;
        protocol::pcapng::Direction direction{};
        std::optional<std::uint64_t> id{};
        Content content{};
        unsigned leg = 0;  // which of the session's, counted from 0
        tls::Leg side{};
        bool first = false;  // of its conversation
        std::size_t of_before = 0;
        bool from_client = false;
        std::string comment{};
        std::string failure{};  // of the login that ends behind it
        protocol::Buffer bytes{};
    };
    /// Of each packet of a piece, how many of its first bytes belong to a message that had begun.
    using OfBefore = std::vector<std::size_t>;
    struct Conversation {
        std::optional<protocol::TcpConversation> tcp;
        std::array<bool, 2> closed{};
    };
    /// What was said in clear, as long as it may turn out to be the way into TLS.
    struct Piece {
        Sender sender{};
        Time time{};
        protocol::Buffer bytes;
        OfBefore of_before;
    };
    struct LegState {
        explicit LegState(const CaptureOrder& order) : redactor(order.payload, order.allow_secrets) {}
        unsigned number = 0;
        LegEnds ends;
        CaptureInterface* interface = nullptr;
        protocol::Redactor redactor;
        std::array<protocol::RecordBlanker, 2> blankers;
        std::array<bool, 2> lost_said{};
        std::vector<Piece> clear;
        bool maybe_tls = true;  // `clear` is still kept
        bool tls = false;
        bool handshake_done = false;
        Conversation plain, raw;
    };
    static std::size_t at(tls::Leg leg) noexcept { return leg == tls::Leg::client ? 0 : 1; }
    static std::size_t at(Sender sender) noexcept { return sender == Sender::client ? 0 : 1; }
    static Sender peer(tls::Leg leg) noexcept { return leg == tls::Leg::client ? Sender::client : Sender::server; }
    static std::size_t footprint(const Packet& packet) { return sizeof packet + packet.bytes.capacity(); }
    LegState& leg(tls::Leg which);
    CaptureInterface& interface(tls::Leg which);
    protocol::Redactor& relay_redactor() { return leg(tls::Leg::client).redactor; }
    bool takes() const noexcept { return state_ == State::held || state_ == State::in; }
    bool keeps_records() const noexcept { return capture_->order().keylog; }
    void begin_tls(tls::Leg which);
    void end_clear(tls::Leg which);
    void handshake_done(LegState& leg);
    OfBefore blank(LegState& of, protocol::Redactor& redactor, Sender sender, std::span<std::uint8_t> bytes);
    void emit(tls::Leg which, Content content, Sender sender, protocol::Bytes bytes, Time now,
              const OfBefore& of_before = {}, std::optional<std::uint64_t> first_id = {});
    void close(tls::Leg which, Content content, Sender sender, bool reset, Time now);
    void take(Packet packet);
    void write(Packet& packet);
    void release();
    bool matches_names() const;
    /// Of a session whose login ended so: whether the capture is to hold it.
    bool is_wanted(bool failed) const { return matches_names() && (failed || !capture_->order().failures_only); }
    bool decided() noexcept;
    void write_keys(std::string_view lines) noexcept;
    void be_absent(protocol::Absence why) noexcept;
    void forget_held() noexcept;

    const std::shared_ptr<Capture> capture_;
    const Session session_;
    State state_;
    const bool joined_;
    bool named_ = false;
    bool wait_told_ = false;
    bool undecided_ = false;  // the capture knows of its login, which has not ended
    bool keys_missing_ = false;
    protocol::Absence why_lost_ = protocol::Absence::opening_too_large;
    std::array<std::optional<LegState>, 2> legs_;
    struct Written {
        std::uint64_t conversation = 0;
        std::shared_ptr<const std::string> whose;
    };
    /// Of a leg that was, too.
    struct Led {
        std::string to;
        bool prewarmed = false;
        std::array<Written, 2> written{};  // plain and records
    };
    std::vector<Led> led_;  // by number of the leg
    std::uint64_t passing_id_ = 0;
    OfBefore passing_of_before_;
    std::string comment_;  // for the next packet
    std::vector<Packet> held_;
    std::size_t held_bytes_ = 0;
    std::string keys_;  // held back like packets
    bool has_keys_ = false;
};

}  // namespace proxy
