#include "proxy/server/http_service.hpp"
#include "support/catch.hpp"

using namespace proxy;
using namespace std::chrono_literals;

TEST_CASE("a thread hangs when it has not answered for half a minute, and no longer once it has") {
    asio::io_context well, hanging;
    Liveness liveness;
    std::vector<Pulse> pulses{Pulse(well), Pulse(hanging)};
    liveness.watch(std::move(pulses));
    const Liveness::Clock::time_point start{};
    const auto pass = [&](std::chrono::seconds at) {
        const std::size_t silent = liveness.silent(start + at);
        well.restart();
        well.poll();
        return silent;
    };
    CHECK(pass(0s) == 0);
    CHECK(pass(10s) == 0);
    CHECK(pass(29s) == 0);
    CHECK(pass(30s) == 1);
    CHECK(pass(1h) == 1);
    hanging.poll();
    CHECK(pass(1h + 1s) == 0);
}

TEST_CASE("a thread that nobody has asked for long is given its time to answer") {
    asio::io_context hanging;
    Liveness liveness;
    std::vector<Pulse> pulses{Pulse(hanging)};
    liveness.watch(std::move(pulses));
    const Liveness::Clock::time_point start{};
    CHECK(liveness.silent(start) == 0);
    hanging.poll();
    CHECK(liveness.silent(start + 10h) == 0);  // it had answered, and is asked again
    CHECK(liveness.silent(start + 10h + 29s) == 0);
    CHECK(liveness.silent(start + 10h + 30s) == 1);
}
