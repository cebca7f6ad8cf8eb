#include "proxy/server/log_repeats.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::LogRepeats;

constexpr auto warn = spdlog::level::warn;
const LogRepeats::Clock::time_point start{1h};
const LogRepeats::Kind refused{"refused", "a"}, elsewhere{"refused", "b"};

}  // namespace

TEST_CASE("log repeats: the first of each kind in a second is written, the others are counted") {
    LogRepeats repeats;
    CHECK(repeats.due() == LogRepeats::Clock::time_point::max());
    CHECK(repeats.admit(refused, warn, start));
    for (int i = 0; i < 300; ++i) CHECK_FALSE(repeats.admit(refused, warn, start + 999ms));
    CHECK(repeats.admit(elsewhere, warn, start + 500ms));  // another listener's is another kind
    CHECK(repeats.due() == start + 1s);
    CHECK(repeats.over(start + 999ms).empty());
    const auto told = repeats.over(start + 1s);
    REQUIRE(told.size() == 1);
    CHECK(told[0].kind == refused);
    CHECK(told[0].lines == 300);
    CHECK(told[0].level == warn);
    CHECK(repeats.due() == start + 1500ms);
    CHECK(repeats.admit(refused, warn, start + 1s));
}

TEST_CASE("log repeats: what was left out is told also when nobody asked in time, and at the end") {
    LogRepeats repeats;
    repeats.admit(refused, warn, start);
    repeats.admit(refused, warn, start);
    CHECK(repeats.admit(refused, warn, start + 5s));
    CHECK_FALSE(repeats.admit(refused, warn, start + 5s));
    const auto told = repeats.over(LogRepeats::Clock::time_point::max());
    REQUIRE(told.size() == 1);
    CHECK(told[0].lines == 2);
    CHECK(repeats.over(LogRepeats::Clock::time_point::max()).empty());
}
