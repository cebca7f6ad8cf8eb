// A captured session as what is to be played: its requests, when each may be sent, and what was
// answered. Pure.
//
// A unit is what one ReadyForQuery answers: a Query with what it copies, or messages of the
// extended protocol up to their Sync. Units are compared, and left out, as a whole or statement by
// statement.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "bench/replay/answer.hpp"
#include "bench/target/phases.hpp"
#include "protocol/startup.hpp"

namespace bench::replay {

/// Why something is not played, or not compared.
enum class LeftOut : std::uint8_t {
    no,
    writes,      // it may write, and nobody said --writes
    blanked,     // it, or what it stands on, holds what the capture has blanked
    unanswered,  // the capture has no answer to it
    calls,       // it calls functions that may do anything, and nobody said --writes
};
inline constexpr std::size_t left_out_kinds = 5;

/// The server has got so far in the capture: a request is sent when it has again.
struct Awaited {
    std::size_t unit = 0;  ///< all before it are answered
    unsigned parts = 0;    ///< AnswerReader::parts() of its answer

    bool operator==(const Awaited&) const = default;
};

struct Request {
    std::vector<std::uint8_t> bytes;  ///< whole messages
    Awaited awaited;
    Duration delay{0};  ///< the client's thinking, from then on
    bool asks = false;  ///< it has the unit's Query or first Sync
};

struct Statement {
    std::uint32_t number = 0;  ///< in its session, from 1
    std::string sql;           ///< its beginning; empty: not known
    LeftOut left_out = LeftOut::no;
};

struct Unit {
    std::vector<Request> requests;  ///< empty: it is left out
    std::vector<Statement> statements;
    Answer expected;  ///< of the statements that are played
    LeftOut left_out = LeftOut::no;
    bool extended = false;
    bool copies_in = false;
    std::uint64_t asked = 0;  ///< ns since 1970: its Query or first Sync
    Duration took{0};         ///< from then to its ReadyForQuery
};

/// A CancelRequest of the capture that was meant for this session.
struct Cancel {
    std::size_t unit = 0;
    Duration delay{0};  ///< since that was asked
};

enum class Login : std::uint8_t { unknown, accepted, refused };

struct SessionPlan {
    std::optional<protocol::StartupMessage> startup;  ///< what was blanked of it is not there
    bool startup_blanked = false;                     ///< something was
    bool startup_guarded = false;                     ///< something was taken out: guarded_settings.hpp
    bool ssl_requested = false;
    std::optional<std::uint32_t> cancels_pid;  ///< it is a CancelRequest and nothing else
    Login login = Login::unknown;
    std::string sqlstate;  ///< why it was refused
    std::uint32_t backend_pid = 0;
    std::vector<Unit> units;
    std::vector<Cancel> cancels;
    std::uint32_t statements = 0;
    std::array<std::uint32_t, left_out_kinds> left_out{};  ///< statements, by LeftOut
    std::string cut;            ///< why nothing behind some point can be played; empty: all can
    std::uint64_t started = 0;  ///< ns since 1970
    std::uint64_t ended = 0;
    std::size_t bytes = 0;  ///< of memory, about
};

}  // namespace bench::replay
