#include "bench/target/schedule.hpp"

#include "bench/target/histogram.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using bench::Clock;
using bench::Load;
using bench::Schedule;

namespace {

const Clock::time_point start{1000s};

}  // namespace

TEST_CASE("closed loop: the next connection is due when it is asked for, until the time is over") {
    Schedule schedule(Load{.duration = 5s}, start);
    CHECK(schedule.next(start) == start);
    CHECK(schedule.next(start + 4999ms) == start + 4999ms);
    CHECK_FALSE(schedule.next(start + 5s).has_value());
    CHECK(schedule.unstarted(start + 6s) == 0);
}

TEST_CASE("the first connection is due however late it is asked for") {
    Schedule closed(Load{.duration = 1s}, start);
    CHECK(closed.next(start + 3s) == start + 3s);
    CHECK_FALSE(closed.next(start + 3s).has_value());
    Schedule open(Load{.duration = 1s, .rate = 10}, start);
    CHECK(open.next(start + 3s) == start);
    CHECK_FALSE(open.next(start + 3s).has_value());
}

TEST_CASE("so many connections and no more") {
    Schedule schedule(Load{.connections = 2}, start);
    CHECK(schedule.next(start).has_value());
    CHECK(schedule.next(start + 1h).has_value());
    CHECK_FALSE(schedule.next(start + 1h).has_value());
}

TEST_CASE("open loop: connections are due at the rate, whatever became of those before") {
    Schedule schedule(Load{.duration = 1s, .rate = 10}, start);
    CHECK(schedule.next(start) == start);
    CHECK(schedule.next(start + 750ms) == start + 100ms);  // late
    CHECK(schedule.next(start + 750ms) == start + 200ms);
    for (int i = 3; i < 10; ++i) CHECK(schedule.next(start + 750ms) == start + 100ms * i);
    CHECK_FALSE(schedule.next(start + 750ms).has_value());
    CHECK(schedule.unstarted(start + 1s) == 0);
}

TEST_CASE("connections that were due and never begun are counted") {
    Schedule schedule(Load{.duration = 1s, .rate = 10}, start);
    schedule.next(start);
    schedule.next(start + 900ms);
    CHECK_FALSE(schedule.next(start + 1200ms).has_value());
    CHECK(schedule.unstarted(start + 1300ms) == 8);
    // Interrupted: what was not due yet is not missed.
    CHECK(schedule.unstarted(start + 500ms) == 3);
}

TEST_CASE("a stall is charged for every connection that it kept waiting") {
    // 100 per second, each of 1 ms; the server stalls for one second after the first 100. One
    // client at a time.
    const auto measure = [](double rate) {
        Schedule schedule(Load{.connections = 300, .rate = rate}, start);
        bench::Histogram histogram;
        Clock::time_point now = start;
        int made = 0;
        while (const auto due = schedule.next(now)) {
            now = std::max(now, *due) + 1ms + (made++ == 100 ? 1s : 0s);
            histogram.record(now - *due);
        }
        return histogram;
    };
    const bench::Histogram open = measure(100);
    const bench::Histogram closed = measure(0);
    // A closed loop asks nothing while it waits: one slow connection of 300, which hides behind the
    // 99th percentile.
    CHECK(closed.percentile(99) < 2ms);
    CHECK(closed.max() > 1s);
    // Due at the rate, about a third of them wait, up to a second.
    CHECK(open.percentile(50) < 2ms);
    CHECK(open.percentile(75) > 200ms);
    CHECK(open.percentile(99) > 900ms);
}
