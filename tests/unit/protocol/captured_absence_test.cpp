#include "protocol/captured_absence.hpp"

#include <algorithm>
#include <set>

#include "support/catch.hpp"

using namespace protocol;

namespace {

// What the files of captures say in these very words: changing a sentence, or a label, takes from
// `capture read` what it knows in the files that are there already, for it knows a comment by its
// whole text. A new absence is added here; none of these is ever changed.
struct PinnedWords {
    std::string_view label;
    std::string_view sentence;
};

// To forget one is a warning in the code, and an error here.
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wswitch"
PinnedWords pinned(Absence absence) {
    switch (absence) {
        case Absence::opening_too_large:
            return {"opening_too_large",
                    "left out: more was said before the login was over than is held back (256 KiB for one session, "
                    "64 MiB for all)"};
        case Absence::no_memory: return {"no_memory", "left out for lack of memory"};
        case Absence::login_begun_before:
            return {"login_begun_before", "not in the capture but for how the login ended, which had begun before"};
        case Absence::not_entered:
            return {"not_entered",
                    "open before the capture, and not in it so far: not seen between two messages since (the client "
                    "asks the next thing before it has an answer, or the last answer has not ended)"};
        case Absence::login_outlived:
            return {"login_outlived",
                    "not in the capture: the login had not ended when the capture did, so what was said until then was "
                    "still held back"};
        case Absence::joined: return {"joined", "began before: how they opened and logged in is not in the capture"};
        case Absence::prewarmed:
            return {"prewarmed",
                    "the server's connection was there before the session (prewarm): its TLS handshake is not in the "
                    "capture"};
        case Absence::dropped: return {"dropped", "found no room"};
        case Absence::message_begun:
            return {"message_begun", "the message before this one is left out: its beginning is not in this file"};
        case Absence::records_go_on:
            return {"records_go_on", "these TLS records go on from the file before, without which they cannot be read"};
        case Absence::framing_lost: return {"framing_lost", "framing lost: the rest of this direction is blanked"};
        case Absence::framing_lost_unseen: return {"framing_lost_unseen", "framing lost in this direction"};
        case Absence::ring_file_gone: return {"ring_file_gone", "the ring has removed them, or they were not given"};
        case Absence::file_not_closed:
            return {"file_not_closed",
                    "no closing statistics: still being written, or not ended in order (killed, disk full, removed), "
                    "or empty; whether packets were dropped at the end, and sessions left out, is not known"};
    }
    return {};
}
#pragma GCC diagnostic pop

}  // namespace

TEST_CASE("the words in which files say what is missing are those that were always written") {
    for (const Absence absence : absences()) {
        CHECK(label(absence) == pinned(absence).label);
        CHECK(sentence(absence) == pinned(absence).sentence);
    }
}

TEST_CASE("no way in which something is not in a capture is left out of their list") {
    for (int i = 0; i < 256; ++i) {
        const auto absence = static_cast<Absence>(i);
        const auto listed = std::count(absences().begin(), absences().end(), absence);
        INFO(i << ' ' << label(absence));
        CHECK(listed == (pinned(absence).sentence.empty() ? 0 : 1));
        CHECK(listed == (label(absence).empty() ? 0 : 1));
    }
}

TEST_CASE("every way in which something is not in a capture has a label and a sentence of its own") {
    std::set<std::string_view> labels, sentences;
    for (const Absence absence : absences()) {
        CHECK_FALSE(label(absence).empty());
        CHECK_FALSE(sentence(absence).empty());
        CHECK(label(absence).find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos);
        labels.insert(label(absence));
        sentences.insert(sentence(absence));
        CHECK(absence_of_label(label(absence)) == absence);
        CHECK(absence_of_comment(sentence(absence)) == absence);
    }
    CHECK(labels.size() == absences().size());
    CHECK(sentences.size() == absences().size());
    CHECK_FALSE(absence_of_label(""));
    CHECK_FALSE(absence_of_comment("alert unknown_ca (48)"));
}

TEST_CASE("sessions of which nothing is in a capture are counted as the audit counts them") {
    CHECK(label(kind(Absence::opening_too_large)) == "left_out");
    CHECK(label(kind(Absence::no_memory)) == "left_out");
    CHECK(label(kind(Absence::not_entered)) == "not_entered");
    CHECK(label(kind(Absence::login_begun_before)) == "not_entered");
    CHECK(label(kind(Absence::login_outlived)) == "not_entered");
    for (const Absence absence : {Absence::joined, Absence::prewarmed, Absence::dropped, Absence::framing_lost})
        CHECK(kind(absence) == AbsenceKind::part);
}
