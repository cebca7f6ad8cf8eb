#include "protocol/captured_absence.hpp"

#include <algorithm>
#include <array>

namespace protocol {
namespace {

struct AbsenceWords {
    AbsenceKind kind{};
    std::string_view label;
    std::string_view sentence;
};

constexpr auto all_absences = [] {
    std::array<Absence, static_cast<std::size_t>(Absence::file_not_closed) + 1> out{};
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<Absence>(i);
    return out;
}();

constexpr AbsenceWords words_of(Absence absence) noexcept {
    switch (absence) {
        case Absence::opening_too_large:
            return {AbsenceKind::left_out, "opening_too_large",
                    "left out: more was said before the login was over than is held back (256 KiB for one session, "
                    "64 MiB for all)"};
        case Absence::no_memory: return {AbsenceKind::left_out, "no_memory", "left out for lack of memory"};
        case Absence::login_begun_before:
            return {AbsenceKind::not_entered, "login_begun_before",
                    "not in the capture but for how the login ended, which had begun before"};
        case Absence::not_entered:
            return {
                AbsenceKind::not_entered, "not_entered",
                "open before the capture, and not in it so far: not seen between two messages since (the client asks "
                "the next thing before it has an answer, or the last answer has not ended)"};
        case Absence::login_outlived:
            return {AbsenceKind::not_entered, "login_outlived",
                    "not in the capture: the login had not ended when the capture did, so what was said until then "
                    "was still held back"};
        case Absence::joined:
            return {AbsenceKind::part, "joined", "began before: how they opened and logged in is not in the capture"};
        case Absence::prewarmed:
            return {AbsenceKind::part, "prewarmed",
                    "the server's connection was there before the session (prewarm): its TLS handshake is not in the "
                    "capture"};
        case Absence::dropped: return {AbsenceKind::part, "dropped", "found no room"};
        case Absence::message_begun:
            return {AbsenceKind::part, "message_begun",
                    "the message before this one is left out: its beginning is not in this file"};
        case Absence::records_go_on:
            return {AbsenceKind::part, "records_go_on",
                    "these TLS records go on from the file before, without which they cannot be read"};
        case Absence::framing_lost:
            return {AbsenceKind::part, "framing_lost", "framing lost: the rest of this direction is blanked"};
        case Absence::framing_lost_unseen:
            return {AbsenceKind::part, "framing_lost_unseen", "framing lost in this direction"};
        case Absence::ring_file_gone:
            return {AbsenceKind::file, "ring_file_gone", "the ring has removed them, or they were not given"};
        case Absence::file_not_closed:
            return {AbsenceKind::file, "file_not_closed",
                    "no closing statistics: still being written, or not ended in order (killed, disk full, removed), "
                    "or empty; whether packets were dropped at the end, and sessions left out, is not known"};
    }
    return {};
}

}  // namespace

std::span<const Absence> absences() noexcept { return all_absences; }
AbsenceKind kind(Absence absence) noexcept { return words_of(absence).kind; }
std::string_view label(Absence absence) noexcept { return words_of(absence).label; }
std::string_view sentence(Absence absence) noexcept { return words_of(absence).sentence; }

std::string_view label(AbsenceKind kind) noexcept {
    switch (kind) {
        case AbsenceKind::left_out: return "left_out";
        case AbsenceKind::not_entered: return "not_entered";
        case AbsenceKind::part: return "part";
        case AbsenceKind::file: return "file";
    }
    return "";
}

std::optional<Absence> absence_of_label(std::string_view word) noexcept {
    const auto found =
        std::find_if(all_absences.begin(), all_absences.end(), [&](Absence one) { return label(one) == word; });
    return found == all_absences.end() ? std::nullopt : std::optional(*found);
}

std::optional<Absence> absence_of_comment(std::string_view comment) noexcept {
    const auto found =
        std::find_if(all_absences.begin(), all_absences.end(), [&](Absence one) { return sentence(one) == comment; });
    return found == all_absences.end() ? std::nullopt : std::optional(*found);
}

}  // namespace protocol
