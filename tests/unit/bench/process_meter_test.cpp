#include "bench/relay/process_meter.hpp"

#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "support/catch.hpp"

namespace {

using bench::parse_kib;
using bench::parse_stat;

constexpr const char* after_name =
    " S 41 4242 4242 0 -1 4194560 2005 900 3 0 100 20 3 4 20 0 5 0 86415 240000000 4000 18446744073709551615 1 1 0 0 0 "
    "0 0 4096 81920\n";

}  // namespace

TEST_CASE("times are found behind a process name with spaces and brackets") {
    for (const std::string name : {"postgres", "tmux: server", "a) S 1 (b", ")", "((", "new\nline"}) {
        const auto stat = parse_stat("4242 (" + name + ")" + after_name);
        REQUIRE(stat.has_value());
        CHECK(stat->pid == 4242);
        CHECK(stat->parent == 41);
        CHECK(stat->ticks == 127);
        CHECK(stat->own_ticks == 120);
    }
}

TEST_CASE("what is no stat is none") {
    for (const char* text : {"", "1", "1 (init", "1 (init)", "1 (init) S", "x (init) S 1", "1 ) S 1 (init",
                             "1 (init) S 0 1 1 0 -1 4 1 1 1 1 a 2 3 4"}) {
        CHECK_FALSE(parse_stat(text).has_value());
    }
}

TEST_CASE("a line's KiB are found by its whole name") {
    const std::string rollup =
        "55d0-7ffd ---p 00000000 00:00 0    [rollup]\n"
        "Rss:                1620 kB\nPss:                 214 kB\nPss_Dirty:    x kB\n";
    CHECK(parse_kib(rollup, "Rss") == 1620);
    CHECK(parse_kib(rollup, "Pss") == 214);
    CHECK_FALSE(parse_kib(rollup, "Pss_Dirty").has_value());
    CHECK_FALSE(parse_kib(rollup, "Ps").has_value());
    CHECK_FALSE(parse_kib("Rss: 1", "Rss").has_value());
    CHECK_FALSE(parse_kib("", "Rss").has_value());
}

TEST_CASE("descendants are found at any depth, each once") {
    const std::vector<bench::ProcessStat> all{{1, 0, 0}, {10, 1, 0}, {11, 10, 0}, {12, 11, 0}, {20, 1, 0}, {21, 20, 0}};
    CHECK(bench::with_descendants({10}, all) == std::vector<pid_t>{10, 11, 12});
    CHECK(bench::with_descendants({11, 10}, all) == std::vector<pid_t>{11, 10, 12});
    CHECK(bench::with_descendants({99}, all) == std::vector<pid_t>{99});
}

TEST_CASE("the busiest thread's share is of what was used meanwhile") {
    using bench::busiest_thread_share;
    CHECK(busiest_thread_share({{1, 1000}, {2, 5}}, {{1, 1010}, {2, 35}}) == 0.75);
    CHECK(busiest_thread_share({{1, 10}, {2, 10}}, {{1, 20}, {2, 20}}) == 0.5);
    CHECK(busiest_thread_share({{1, 10}}, {{1, 20}, {2, 30}}) == 0.75);
    CHECK(busiest_thread_share({{1, 10}, {2, 500}}, {{1, 20}}) == 1);
    CHECK(busiest_thread_share({{1, 10}, {2, 500}}, {{1, 20}, {2, 10}}) == 0.5);
    CHECK_FALSE(busiest_thread_share({{1, 10}}, {{1, 10}}).has_value());
    CHECK_FALSE(busiest_thread_share({}, {}).has_value());
}

TEST_CASE("every thread is measured for itself") {
    const bench::ProcessMeter meter({::getpid()});
    const bench::ThreadTicks before = meter.thread_ticks();
    std::atomic<bool> end{false};
    std::atomic<pid_t> id{0};
    std::thread idle([&] {
        id = ::gettid();
        end.wait(false);
    });
    const auto own_ticks = [&] { return meter.thread_ticks().at(::gettid()) - before.at(::gettid()); };
    while (own_ticks() < 10 || id == 0) {
    }
    const bench::ThreadTicks after = meter.thread_ticks();
    end = true;
    end.notify_all();
    idle.join();
    REQUIRE(after.contains(id));
    CHECK(after.at(id) <= 1);
    CHECK(bench::busiest_thread_share(before, after).value() > 0.8);
}

TEST_CASE("threads that end while they are looked at do no harm") {
    const bench::ProcessMeter meter({::getpid()});
    std::atomic<bool> end{false};
    std::thread short_lived([&] {
        while (!end) std::thread([] {}).join();
    });
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    while (std::chrono::steady_clock::now() < until) CHECK_NOTHROW(meter.thread_ticks());
    end = true;
    short_lived.join();
}

TEST_CASE("a process that runs is measured, and one that does not is named") {
    const bench::ProcessMeter meter({::getpid()});
    const double before = meter.cpu_seconds();
    while (bench::own_cpu_seconds() < before + 0.1) {
    }
    CHECK(meter.cpu_seconds() >= before + 0.05);
    CHECK(meter.memory().kib > 1000);
    CHECK(meter.memory().source == "smaps_rollup");
    CHECK_THROWS_WITH(bench::ProcessMeter({::getpid(), 99999999}), "there is no process 99999999");
}
