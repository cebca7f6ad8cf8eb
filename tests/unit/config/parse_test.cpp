#include "config/parse.hpp"

#include "support/catch.hpp"

using config::parse_time;
using namespace std::chrono;

TEST_CASE("a point in time is as precise as the audit and captures write it") {
    const auto second = parse_time("2026-03-01T02:00:07Z");
    REQUIRE(second);
    CHECK(parse_time("2026-03-01T02:00:07.814931Z") == *second + microseconds(814'931));
    CHECK(parse_time("2026-03-01T02:00:07.000000001Z") == *second + nanoseconds(1));
    CHECK(parse_time("2026-03-01T03:00:07.5+01:00") == *second + milliseconds(500));
    CHECK(parse_time("2026-03-01T02:00Z") == *second - seconds(7));
    for (const char* wrong : {"2026-03-01T02:00:07.Z", "2026-03-01T02:00:07.1234567890Z", "2026-03-01T02:00.5Z",
                              "2026-03-01T02:00:07.-1Z", "2026-03-01T02:00:07.5", "2026-03-01T02:00:07,5Z"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_time(wrong));
    }
}
