// What two peers said to each other, read from the packets of one captured conversation in clear:
// how the client opened it, the login and its outcome, and then each statement with what became of
// it. A conversation may begin in the middle and lack bytes anywhere: what cannot be read is said
// and passed over.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>

#include "protocol/captured_messages.hpp"
#include "protocol/captured_statement.hpp"
#include "protocol/exchange.hpp"
#include "protocol/startup.hpp"
#include "protocol/turn_finder.hpp"

namespace protocol {

/// How it began.
struct CapturedOpening {
    enum class Kind : std::uint8_t {
        unknown,      // nothing that can be read was said
        session,      // a StartupMessage
        cancel,       // a CancelRequest
        encrypted,    // TLS: only its records are there
        established,  // it had begun before
    };
    Kind kind = Kind::unknown;
    bool gss_requested = false;
    bool ssl_requested = false;
    char ssl_answer = '\0';  ///< 'S' or 'N'
    std::optional<StartupMessage> startup{};
    std::uint32_t cancelled_pid = 0;
    std::uint64_t time = 0;  ///< of the StartupMessage or CancelRequest
};

struct CapturedLogin {
    enum class Outcome : std::uint8_t { none, accepted, refused };
    Outcome outcome = Outcome::none;
    std::string method{};    ///< trust, password, md5, gss, sspi, or the SASL mechanism in lower case; empty: not known
    bool asked = false;      ///< the server has asked the client for something
    bool answered = false;   ///< and had an answer
    std::uint64_t time = 0;  ///< of its ReadyForQuery or ErrorResponse
    std::optional<ErrorResponse> error{};
    std::string server_version{};
};

struct CapturedEnd {
    std::optional<CapturedSide> closed_by;  ///< who sent FIN or RST first; nullopt: nobody yet
    bool reset = false;
    bool terminated = false;  ///< the client took its leave
    std::uint64_t time = 0;
};

class Transcript {
   public:
    /// Called in the order of their ends; a gap stands before the statements that it cut off.
    using Sink = std::function<void(CapturedEntry&&)>;
    explicit Transcript(Sink sink);
    Transcript(const Transcript&) = delete;
    Transcript& operator=(const Transcript&) = delete;

    /// The capture has the session's first segments, whose sequence number is `sequence` on either
    /// side: they begin with a message, or with the opening. Said before them; otherwise only a
    /// SYN, or an opening, says so.
    void begins_here(std::uint32_t sequence) noexcept;
    /// It holds the records of a TLS connection, and nothing in clear but what led to them.
    void holds_records() noexcept { opening_.kind = CapturedOpening::Kind::encrypted; }
    void segment(const CapturedSegment& segment);
    /// Nothing more will come: what was not answered is said.
    void end();

    const CapturedOpening& opening() const noexcept { return opening_; }
    const CapturedLogin& login() const noexcept { return login_; }
    const CapturedEnd& how_it_ended() const noexcept { return end_; }
    const std::optional<ErrorResponse>& farewell() const noexcept { return exchange_.farewell(); }
    char transaction() const noexcept { return exchange_.transaction(); }
    std::uint64_t notifications() const noexcept { return exchange_.notifications(); }
    std::uint64_t missing(CapturedSide side) const noexcept { return at(side).missing; }
    /// What it says now cannot be read.
    bool lost(CapturedSide side) const noexcept { return at(side).messages.lost(); }
    std::uint64_t unreadable() const noexcept { return unreadable_; }

   private:
    enum class Phase : std::uint8_t { opening, ssl_answer, login, established };
    struct Side {
        explicit Side(CapturedSide from) : messages(from) {}
        CapturedStream stream;
        CapturedMessages messages;
        std::uint64_t missing = 0;
    };

    const Side& at(CapturedSide side) const noexcept { return sides_[static_cast<std::size_t>(side)]; }
    Side& at(CapturedSide side) noexcept { return sides_[static_cast<std::size_t>(side)]; }
    void recognise(const CapturedSegment& segment);
    void gap(CapturedSide from, std::uint64_t bytes, std::uint64_t time);
    void lose(CapturedSide from);
    void bytes(CapturedSide from, Bytes bytes, std::uint64_t time);
    void find(CapturedSide from, Bytes bytes, std::uint64_t time);
    void found(std::uint64_t time);
    void read(CapturedSide from, Bytes bytes, std::uint64_t time);
    void opening_message(const CapturedMessage& message, std::uint64_t time);
    void client_message(const CapturedMessage& message, std::uint64_t time);
    void server_message(const CapturedMessage& message, std::uint64_t time);
    void login_message(const CapturedMessage& message, std::uint64_t time);
    void authentication(const CapturedMessage& message);
    void establish(std::uint64_t time);

    Sink sink_;
    Exchange exchange_;
    TurnFinder finder_;
    std::array<Side, 2> sides_{Side(CapturedSide::client), Side(CapturedSide::server)};
    Phase phase_ = Phase::opening;
    bool begun_ = false;
    bool begins_here_ = false;
    bool finding_ = false;
    std::uint64_t unreadable_ = 0;
    std::uint64_t unreadable_before_ = 0;  // as of the last gap that led to it
    CapturedOpening opening_;
    CapturedLogin login_;
    CapturedEnd end_;
};

}  // namespace protocol
