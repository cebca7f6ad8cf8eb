// At which moments an end is told, whatever clocks do.
#include "proxy/record/expiry_warnings.hpp"

#include <algorithm>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::ExpiryMoment;
using proxy::ExpiryWarnings;
using proxy::WallTime;

constexpr auto day = 24h;
constexpr std::chrono::milliseconds month = day * 30;
const WallTime now{day * 20'000};

tls::Validity until(WallTime not_after) { return {now - day * 1000, not_after}; }
tls::Validity from(WallTime not_before) { return {not_before, not_before + day * 1000}; }

ExpiryMoment moment_with(WallTime::duration left, std::chrono::milliseconds warning = month) {
    return proxy::moment_of(until(now + left), now, warning);
}

/// Which moment was due, and is told.
ExpiryMoment told_now(ExpiryWarnings& warnings, const std::string& which, const tls::Validity& validity, WallTime at,
                      std::chrono::milliseconds warning) {
    const ExpiryMoment moment = warnings.due(which, validity, at, warning);
    if (moment != ExpiryMoment::none) warnings.note_told(which, moment, at);
    return moment;
}

/// What is told of a certificate that ends at `end` when it is looked at every hour in between.
std::vector<ExpiryMoment> told(ExpiryWarnings& warnings, WallTime end, WallTime begin, WallTime last) {
    std::vector<ExpiryMoment> all;
    for (WallTime at = begin; at <= last; at += 1h) {
        const ExpiryMoment moment = told_now(warnings, "a", until(end), at, month);
        if (moment != ExpiryMoment::none) all.push_back(moment);
    }
    return all;
}

TEST_CASE("expiry moments: the warning's own, a week, a day, and the end") {
    CHECK(moment_with(day * 40) == ExpiryMoment::none);
    CHECK(moment_with(day * 30 + 1s) == ExpiryMoment::none);
    CHECK(moment_with(day * 30) == ExpiryMoment::begins);
    CHECK(moment_with(day * 7 + 1s) == ExpiryMoment::begins);
    CHECK(moment_with(day * 7) == ExpiryMoment::week);
    CHECK(moment_with(day + 1s) == ExpiryMoment::week);
    CHECK(moment_with(day) == ExpiryMoment::day);
    CHECK(moment_with(1s) == ExpiryMoment::day);
    CHECK(moment_with(0s) == ExpiryMoment::ended);
    CHECK(moment_with(-day * 400) == ExpiryMoment::ended);
}

TEST_CASE("expiry moments: a short warning begins later, and none is told when it is zero") {
    CHECK(moment_with(day * 4, day * 3) == ExpiryMoment::none);
    CHECK(moment_with(day * 3, day * 3) == ExpiryMoment::week);
    CHECK(moment_with(23h, 12h) == ExpiryMoment::none);
    CHECK(moment_with(11h, 12h) == ExpiryMoment::day);
    CHECK(moment_with(-1s, 12h) == ExpiryMoment::ended);
    CHECK(moment_with(-1s, 0ms) == ExpiryMoment::none);
    CHECK(proxy::moment_of(from(now + 1h), now, 0ms) == ExpiryMoment::none);
}

TEST_CASE("expiry moments: one that does not begin yet is told of, however far it is") {
    CHECK(proxy::moment_of(from(now + 1s), now, month) == ExpiryMoment::not_yet_valid);
    CHECK(proxy::moment_of(from(now), now, month) == ExpiryMoment::none);
    CHECK(proxy::moment_of(from(now + day * 3000), now, month) == ExpiryMoment::not_yet_valid);
    CHECK(proxy::moment_of({now + 2h, now - 1h}, now, month) == ExpiryMoment::ended);
    CHECK(proxy::moment_of({now - 1h, WallTime::max()}, WallTime{}, month) == ExpiryMoment::not_yet_valid);
    CHECK(proxy::moment_of({WallTime::min(), WallTime::max()}, now, month) == ExpiryMoment::none);
}

TEST_CASE("expiry moments: in words") {
    CHECK(proxy::expiry_text(until(now + day * 12 + 1h), now) ==
          "ends in 12 days, on " + tls::to_rfc3339(now + day * 12 + 1h));
    CHECK(proxy::expiry_text(until(now + day + 1h), now).starts_with("ends in 1 day, on 20"));
    CHECK(proxy::expiry_text(until(now + 1h), now).starts_with("ends within a day, on 20"));
    CHECK(proxy::expiry_text(until(now - 1h), now).starts_with("has ended on 20"));
    CHECK(proxy::expiry_text(from(now + day), now) == "is not valid before " + tls::to_rfc3339(now + day) +
                                                          ", and this host's clock says " + tls::to_rfc3339(now) +
                                                          ": set the clock if it is wrong");
}

TEST_CASE("expiry warnings: each moment is told once in a certificate's life") {
    ExpiryWarnings warnings;
    CHECK(told(warnings, now + day * 40, now, now + day * 60) ==
          std::vector{ExpiryMoment::begins, ExpiryMoment::week, ExpiryMoment::day, ExpiryMoment::ended});
}

TEST_CASE("expiry warnings: what was missed is told once, as what it is now") {
    ExpiryWarnings warnings;
    CHECK(told_now(warnings, "a", until(now + 1h), now, month) == ExpiryMoment::day);
    CHECK(told_now(warnings, "a", until(now + 1h), now, month) == ExpiryMoment::none);
    CHECK(told_now(warnings, "b", until(now - day), now, month) == ExpiryMoment::ended);
    CHECK(told_now(warnings, "a", until(now + 1h), now + 2h, month) == ExpiryMoment::ended);  // after a sleep
}

TEST_CASE("expiry warnings: a clock that was wrong for a while leaves nothing untold") {
    ExpiryWarnings warnings;
    const WallTime end = now + day * 40;
    CHECK(told_now(warnings, "a", until(end), now + day * 1000, month) == ExpiryMoment::ended);
    CHECK(told_now(warnings, "a", until(end), now, month) == ExpiryMoment::none);  // it was put right
    CHECK(told(warnings, end, now, now + day * 60) ==
          std::vector{ExpiryMoment::begins, ExpiryMoment::week, ExpiryMoment::day, ExpiryMoment::ended});
}

TEST_CASE("expiry warnings: a clock that is put right by minutes tells nothing twice") {
    ExpiryWarnings warnings;
    const WallTime end = now + day * 7;
    CHECK(told_now(warnings, "a", until(end), now, month) == ExpiryMoment::week);
    CHECK(told_now(warnings, "a", until(end), now - 50min, month) == ExpiryMoment::none);
    CHECK(told_now(warnings, "a", until(end), now + 10min, month) == ExpiryMoment::none);
    CHECK(told_now(warnings, "a", until(end), now - 2h, month) == ExpiryMoment::none);
    CHECK(told_now(warnings, "a", until(end), now + 10min, month) == ExpiryMoment::week);  // by more than that
}

TEST_CASE("expiry warnings: one that is not yet valid is told once, and its end when that comes") {
    ExpiryWarnings warnings;
    const tls::Validity validity{now + day, now + day * 41};
    CHECK(told_now(warnings, "a", validity, now, month) == ExpiryMoment::not_yet_valid);
    CHECK(told_now(warnings, "a", validity, now + 5h, month) == ExpiryMoment::none);
    CHECK(told_now(warnings, "a", validity, now + day * 2, month) == ExpiryMoment::none);
    CHECK(told_now(warnings, "a", validity, now + day * 12, month) == ExpiryMoment::begins);
    CHECK(told_now(warnings, "a", validity, now, month) == ExpiryMoment::not_yet_valid);  // the clock went back
}

TEST_CASE("expiry warnings: what was told outlives a restart") {
    ExpiryWarnings before;
    CHECK(told_now(before, "listener a 11", until(now + day * 20), now, month) == ExpiryMoment::begins);
    CHECK(told_now(before, "anchor b 22", until(now + 1h), now, month) == ExpiryMoment::day);
    CHECK(told_now(before, "server c 33", from(now + day), now, month) == ExpiryMoment::not_yet_valid);
    CHECK(told_now(before, "anchor d 44", until(now + day * 300), now, month) == ExpiryMoment::none);
    CHECK(before.has_changed());
    const std::string text = before.text(now);
    CHECK(before.has_changed());  // it may not have come to the disk
    before.note_kept();
    CHECK_FALSE(before.has_changed());
    CHECK(text == "1728000000 day 0 anchor b 22\n1728000000 begins 0 listener a 11\n1728000000 none 1 server c 33\n");

    ExpiryWarnings after;
    CHECK(after.restore(text, now));
    CHECK(told_now(after, "listener a 11", until(now + day * 20), now + 1h, month) == ExpiryMoment::none);
    CHECK(told_now(after, "listener a 11", until(now + day * 20), now + day * 14, month) == ExpiryMoment::week);
    CHECK(told_now(after, "anchor b 22", until(now + 1h), now, month) == ExpiryMoment::none);
    CHECK(told_now(after, "server c 33", from(now + day), now, month) == ExpiryMoment::none);
    CHECK(told_now(after, "anchor e 55", until(now + 1h), now, month) == ExpiryMoment::day);
}

TEST_CASE("expiry warnings: nothing is written while nothing is told, but that it is still in use once a day") {
    ExpiryWarnings warnings;
    CHECK(told_now(warnings, "a", until(now + day * 29), now, month) == ExpiryMoment::begins);
    CHECK(warnings.text(now) != "");
    warnings.note_kept();
    CHECK(told_now(warnings, "a", until(now + day * 29), now + 23h, month) == ExpiryMoment::none);
    CHECK_FALSE(warnings.has_changed());
    CHECK(told_now(warnings, "a", until(now + day * 29), now + 25h, month) == ExpiryMoment::none);
    CHECK(warnings.has_changed());
    CHECK(warnings.text(now + 25h).starts_with("1728090000 begins 0 a"));
}

TEST_CASE("expiry warnings: a damaged file loses its damaged lines alone, which are told again") {
    const std::string good = "1728000000 week 0 anchor b 22\n";
    for (const std::string& bad :
         {std::string("1728000000 week 0 anchor"), std::string("x week 0 listener a\n"), std::string("\n"),
          std::string("1728000000 never 0 a\n"), std::string("1728000000 not_yet_valid 0 a\n"),
          std::string("1728000000 week 2 a\n"), std::string("1728000000 week 0\n"), std::string("1728000000 week 0 \n"),
          std::string("99999999999999999999 week 0 a\n"), std::string("\0\0\0\n", 4)}) {
        ExpiryWarnings warnings;
        INFO(bad);
        CHECK_FALSE(warnings.restore(good + bad, now));
        CHECK(told_now(warnings, "anchor b 22", until(now + day * 6), now, month) == ExpiryMoment::none);
        CHECK(told_now(warnings, "a", until(now + day * 6), now, month) == ExpiryMoment::week);
    }
    ExpiryWarnings warnings;
    CHECK(warnings.restore("", now));
    CHECK(warnings.restore("9223372036854775807 week 0 far\n-5 week 0 near\n", now));  // a clock that was wrong
    CHECK(told_now(warnings, "far", until(now + day * 6), now, month) == ExpiryMoment::none);
    CHECK(told_now(warnings, "near", until(now + day * 6), now, month) == ExpiryMoment::none);
}

TEST_CASE("expiry warnings: what is not in use any more is forgotten, and what is told is bounded") {
    ExpiryWarnings warnings;
    CHECK(told_now(warnings, "old", until(now - day), now, month) == ExpiryMoment::ended);
    CHECK(told_now(warnings, "used", until(now - day), now, month) == ExpiryMoment::ended);
    const WallTime later = now + day * 300;
    CHECK(told_now(warnings, "used", until(now - day), later, month) == ExpiryMoment::none);
    CHECK(warnings.text(now + ExpiryWarnings::memory + day).find("old") == std::string::npos);
    CHECK(warnings.text(now + ExpiryWarnings::memory + day).find("used") != std::string::npos);
    const auto name = [](std::size_t i) { return "n" + std::to_string(i); };
    for (std::size_t i = 0; i < ExpiryWarnings::max_told; ++i)
        CHECK(told_now(warnings, name(i), until(now), later + day * 3, month) == ExpiryMoment::ended);
    const std::string text = warnings.text(later + day * 3);
    CHECK(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) == ExpiryWarnings::max_told);
    CHECK(text.find(" used\n") == std::string::npos);
}

TEST_CASE("expiry warnings: more than can be remembered push out nothing that is in use, and are told again alone") {
    ExpiryWarnings warnings;
    std::string text;
    for (std::size_t i = 0; i < ExpiryWarnings::max_told; ++i)
        text += "1728000000 ended 0 n" + std::to_string(i) + "\n";
    CHECK(warnings.restore(text + "1728000000 ended 0 more\n", now));
    for (const WallTime at : {now, now + day, now + day * 2}) {
        std::size_t again = 0;
        for (std::size_t i = 0; i < ExpiryWarnings::max_told; ++i)
            again += told_now(warnings, "n" + std::to_string(i), until(now - day), at, month) != ExpiryMoment::none;
        CHECK(again == 0);
        CHECK(told_now(warnings, "more", until(now - day), at, month) == ExpiryMoment::ended);
    }
    CHECK(told_now(warnings, "more", until(now - day), now + day * 5, month) == ExpiryMoment::ended);
    CHECK(told_now(warnings, "more", until(now - day), now + day * 5, month) == ExpiryMoment::none);  // there is room
}

TEST_CASE("expiry warnings: what was due and was not told is due again, also after a restart") {
    ExpiryWarnings warnings;
    CHECK(warnings.due("new", until(now + 1h), now, month) == ExpiryMoment::day);
    CHECK_FALSE(warnings.has_changed());
    CHECK(warnings.text(now).empty());
    CHECK(warnings.due("new", until(now + 1h), now, month) == ExpiryMoment::day);
    CHECK(warnings.due("early", from(now + day), now, month) == ExpiryMoment::not_yet_valid);
    CHECK(warnings.due("early", from(now + day), now, month) == ExpiryMoment::not_yet_valid);

    CHECK(told_now(warnings, "known", until(now + day * 8), now, month) == ExpiryMoment::begins);
    CHECK(warnings.due("known", until(now + day * 8), now + day * 2, month) == ExpiryMoment::week);
    CHECK(warnings.text(now + day * 2) == "1728172800 begins 0 known\n");
    CHECK(told_now(warnings, "known", until(now + day * 8), now + day * 2, month) == ExpiryMoment::week);
    CHECK(warnings.due("known", until(now + day * 8), now + day * 2, month) == ExpiryMoment::none);
}

}  // namespace
