// All the ways in which something of a session that a capture is about is not in its files: one
// list, of which comments and entries in the files, the audit and `capture read` speak.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace protocol {

enum class Absence : std::uint8_t {
    // Nothing of the session but an entry that says so, and its audit events.
    opening_too_large,  // it said more than is held back, before it was known whether it matches
    no_memory,
    login_begun_before,  // its login had begun when the capture did, and came to nothing
    not_entered,         // it was open before, and has not been seen between two messages since
    login_outlived,      // its login had not ended when the capture did
    // A part of it.
    joined,               // it was open before
    prewarmed,            // the server's connection was there before the session
    dropped,              // packets that found no room in the queue
    message_begun,        // of a message that began before this file, or behind a gap, the rest
    records_go_on,        // TLS records whose handshake is in a file before
    framing_lost,         // and the rest blanked
    framing_lost_unseen,  // and the rest left as it came
    // Files.
    ring_file_gone,
    file_not_closed,  // without its last blocks
};

/// What an absence costs.
enum class AbsenceKind : std::uint8_t { left_out, not_entered, part, file };

/// All of them, in their order.
std::span<const Absence> absences() noexcept;
AbsenceKind kind(Absence absence) noexcept;
/// One word, never changed.
std::string_view label(Absence absence) noexcept;
/// As the audit counts sessions: `left_out`, `not_entered`; others are not counted.
std::string_view label(AbsenceKind kind) noexcept;
/// For people, behind "3 sessions" (`dropped`: "3 packets") as well as alone.
std::string_view sentence(Absence absence) noexcept;

std::optional<Absence> absence_of_label(std::string_view label) noexcept;
/// A packet's comment that is the sentence of one.
std::optional<Absence> absence_of_comment(std::string_view comment) noexcept;

}  // namespace protocol
