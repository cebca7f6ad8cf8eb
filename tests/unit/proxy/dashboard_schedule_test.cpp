// When the dashboard's thread looks, by times that are given.
#include "proxy/dashboard/survey_schedule.hpp"
#include "support/catch.hpp"

using namespace proxy::dashboard;
using namespace std::chrono_literals;
using Look = SurveySchedule::Look;

namespace {

const SurveySchedule::Clock::time_point start = SurveySchedule::Clock::time_point(1h);

SurveySchedule::Ended ended(Look look, bool answered = true) {
    return {
        .look = look, .failed = false, .answered = answered, .crowded = false, .took = {.look = 10ms, .rotation = {}}};
}

void look(SurveySchedule& schedule, SurveySchedule::Ended what, SurveySchedule::Clock::time_point now) {
    schedule.begin(now);
    schedule.end(what, now + what.took.look);
}

}  // namespace

TEST_CASE("a fleet that nobody asks about is not looked at") {
    const SurveySchedule schedule({}, false);
    CHECK_FALSE(schedule.due(start));
    CHECK(schedule.next(start, false) == start + 60s);
}

TEST_CASE("whoever asks gets texts at once, and for a minute every five seconds") {
    SurveySchedule schedule({}, false);
    schedule.asked(start);
    CHECK(schedule.due(start) == Look::show);
    look(schedule, ended(Look::show), start);
    CHECK_FALSE(schedule.due(start + 1s));
    CHECK(schedule.due(start + 6s) == Look::show);
    CHECK_FALSE(schedule.due(start + 61s));
}

TEST_CASE("what takes long is done rarely: a twentieth of the time at most") {
    SurveySchedule schedule({}, true);
    schedule.asked(start);
    SurveySchedule::Ended slow = ended(Look::show);
    slow.took = {.look = 3s, .rotation = 6s};
    look(schedule, slow, start);
    const auto then = start + 3s;
    schedule.asked(then + 119s);
    CHECK_FALSE(schedule.due(then + 119s));
    CHECK(schedule.due(then + 121s) == Look::show);
    CHECK_FALSE(schedule.rotation_is_due(then + 239s));
    CHECK(schedule.rotation_is_due(then + 241s));
}

TEST_CASE("an inventory of too many is looked at once an hour") {
    SurveySchedule schedule({}, true);
    SurveySchedule::Ended crowded = ended(Look::count);
    crowded.crowded = true;
    look(schedule, crowded, start);
    schedule.asked(start + 59min);
    CHECK_FALSE(schedule.due(start + 59min));
    CHECK(schedule.due(start + 61min));
}

TEST_CASE("inventories are known to answer by the last look, and only while it is recent") {
    SurveySchedule schedule({}, false);
    CHECK(schedule.why_unready(start));
    schedule.checked(start);
    CHECK(schedule.due(start) == Look::count);
    CHECK(schedule.is_at_it(start));
    look(schedule, ended(Look::count), start);
    CHECK_FALSE(schedule.why_unready(start + 1s));
    CHECK_FALSE(schedule.is_at_it(start + 1s));
    CHECK(schedule.due(start + 11s) == Look::count);
    CHECK_FALSE(schedule.why_unready(start + 30s));
    CHECK(schedule.why_unready(start + 5min));  // nobody asked, and so nobody looked
    schedule.checked(start + 5min);
    CHECK(schedule.is_at_it(start + 5min));

    look(schedule, ended(Look::count, false), start + 5min);
    CHECK(schedule.why_unready(start + 5min + 1s));
    CHECK_FALSE(schedule.is_at_it(start + 5min + 1s));  // waiting would be in vain
    look(schedule, ended(Look::show), start + 6min);
    CHECK_FALSE(schedule.why_unready(start + 6min + 1s));
    SurveySchedule::Ended failed = ended(Look::show);
    failed.failed = true;
    look(schedule, failed, start + 7min);
    CHECK(schedule.why_unready(start + 7min + 1s));
}

TEST_CASE("a look that takes longer than half a minute is no answer, and is one once it ends") {
    SurveySchedule schedule({}, true);
    look(schedule, ended(Look::count), start);
    schedule.begin(start + 20s);
    CHECK_FALSE(schedule.why_unready(start + 25s));
    CHECK(schedule.why_unready(start + 51s));
    schedule.end(ended(Look::count), start + 60s);
    CHECK_FALSE(schedule.why_unready(start + 61s));
}
