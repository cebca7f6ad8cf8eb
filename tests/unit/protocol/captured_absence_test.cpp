#include "protocol/captured_absence.hpp"

#include <set>

#include "support/catch.hpp"

using namespace protocol;

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
