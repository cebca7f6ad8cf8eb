#include "proxy/server/watchdog.hpp"

#include "support/catch.hpp"

TEST_CASE("watchdog: a thread that does not come round is noticed, and so is its return") {
    asio::io_context io;
    proxy::Pulse pulse(io);
    CHECK(pulse.answers());  // nothing was asked before
    CHECK_FALSE(pulse.answers());
    CHECK_FALSE(pulse.answers());
    CHECK(io.poll() == 1);  // it was asked once, and not each time
    CHECK(pulse.answers());
    CHECK_FALSE(pulse.answers());
}
