#include "proxy/inventory/fleet_pace.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::FleetPace;

std::chrono::milliseconds interval_of(std::int64_t proxies) {
    FleetPace pace(1);
    pace.fleet_of(proxies);
    return pace.interval();
}

}  // namespace

TEST_CASE("the proxies of a fleet write less often the more they are, and once a minute at least") {
    CHECK(interval_of(-1) == 2s);  // a table that nobody has counted
    CHECK(interval_of(0) == 2s);
    CHECK(interval_of(1) == 2s);
    CHECK(interval_of(1'000) == 2s);
    CHECK(interval_of(1'001) == 2002ms);
    CHECK(interval_of(5'000) == 10s);
    CHECK(interval_of(30'000) == 60s);
    CHECK(interval_of(50'000) == 60s);
    CHECK(interval_of(INT64_MAX) == 60s);
}

TEST_CASE("proxies that are started together come at times spread over the whole interval") {
    std::vector<std::chrono::milliseconds> times;
    for (std::uint32_t seed = 1; seed <= 1'000; ++seed) {
        FleetPace pace(seed);
        pace.fleet_of(10'000);
        times.push_back(pace.before_first());
    }
    std::vector<int> seconds(21);
    for (const auto time : times) ++seconds.at(static_cast<std::size_t>(time / 1s));
    CHECK(std::all_of(seconds.begin(), seconds.end() - 1, [](int count) { return count > 20 && count < 100; }));
}

TEST_CASE("a pause is within a quarter of what it is about, and not always the same") {
    FleetPace pace(7);
    pace.fleet_of(10'000);
    std::set<std::chrono::milliseconds> pauses;
    for (int i = 0; i < 100; ++i) pauses.insert(pace.after_success());
    CHECK(*pauses.begin() >= 15s);
    CHECK(*pauses.rbegin() <= 25s);
    CHECK(pauses.size() > 50);
}

TEST_CASE("a database that is away is asked less and less often, and at once as often as before when it is back") {
    FleetPace pace(3);
    const auto within = [](std::chrono::milliseconds pause, std::chrono::milliseconds about) {
        return pause >= about * 3 / 4 && pause <= about * 5 / 4;
    };
    for (const auto about : {2000ms, 4000ms, 8000ms, 15000ms, 15000ms}) CHECK(within(pace.after_failure(), about));
    CHECK(within(pace.after_success(), 2s));
    CHECK(within(pace.after_failure(), 2s));
}

TEST_CASE("a large fleet asks for a database that is away no more often than it writes") {
    FleetPace pace(3);
    pace.fleet_of(50'000);
    for (int i = 0; i < 5; ++i) CHECK(pace.after_failure() >= 45s);
}
