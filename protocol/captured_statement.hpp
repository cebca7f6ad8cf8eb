// What a capture tells of a session behind its login, as values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "protocol/captured_stream.hpp"
#include "protocol/messages.hpp"

namespace protocol {

/// One Query, Execute or FunctionCall, and what became of it.
struct CapturedStatement {
    enum class Kind : std::uint8_t {
        query,          // Query: may hold several commands
        execute,        // Execute of a portal
        prepare,        // Parse or Bind that failed: it was never executed
        function_call,  // FunctionCall
        sync,           // Sync that failed, as by a constraint that is checked at the end
        unknown,        // answered, but the request is not in the capture
    };
    enum class Outcome : std::uint8_t {
        completed,
        suspended,   // as many rows as Execute asked for; the portal has more
        failed,      // error
        skipped,     // an earlier one of the same pipeline failed
        unanswered,  // the session or the capture ended before, or bytes are missing
    };

    Kind kind = Kind::query;
    Outcome outcome = Outcome::unanswered;
    std::string text{};               ///< as on the wire, at most max_peer_text bytes
    std::size_t text_size = 0;        ///< of all of it
    std::string name{};               ///< of the prepared statement; empty: the unnamed one, or none
    bool text_known = true;           ///< false: it was prepared where the capture does not reach
    std::uint64_t begun = 0;          ///< the request's last byte, ns since 1970; of an unknown one its first answer
    std::uint64_t ended = 0;          ///< ReadyForQuery; CommandComplete of an Execute; 0: unanswered
    std::uint64_t first_row = 0;      ///< 0: none
    std::vector<std::string> tags{};  ///< CommandComplete's, the first of them
    std::size_t commands = 0;         ///< how many there were
    std::uint64_t rows = 0;           ///< what the tags say, else what was counted
    std::uint64_t copied_in = 0;      ///< bytes of CopyData from the client
    std::uint64_t copied_out = 0;     ///< and from the server
    std::uint64_t copy_messages = 0;  ///< both
    std::uint64_t missing = 0;        ///< bytes that the capture lacks while it ran
    std::uint64_t notices = 0;
    std::optional<ErrorResponse> error{};
    char transaction = '\0';  ///< behind it, as in ReadyForQuery; '\0': not known
};

/// A place where bytes are missing.
struct CapturedGap {
    CapturedSide from = CapturedSide::client;
    std::uint64_t time = 0;   ///< of what comes behind it
    std::uint64_t bytes = 0;  ///< missing
    bool lost =
        false;  ///< where the next message begins is not known: what follows cannot be read, until a CapturedFind
};

/// Messages can be read again.
struct CapturedFind {
    std::uint64_t time = 0;
    std::uint64_t unreadable = 0;  ///< bytes of either side since the gap that are there, and could not be read
};

/// With the severity that no language changes, where it is there; texts of at most max_peer_text
/// bytes.
ErrorResponse captured_error(Bytes body);

using CapturedEntry = std::variant<CapturedStatement, CapturedGap, CapturedFind>;

}  // namespace protocol
