#include "proxy/record/own_thread.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <thread>

#include "support/catch.hpp"

using proxy::OwnThread;
using namespace std::chrono_literals;

TEST_CASE("own thread: its end is waited for, and what hangs is left behind") {
    const auto go_on = std::make_shared<std::promise<void>>();
    const auto used = std::make_shared<int>(1);
    {
        OwnThread thread([waits = go_on->get_future().share(), used] { waits.wait(); });
        CHECK_FALSE(thread.end_within(1ms));
        CHECK(OwnThread::left_behind());
        CHECK(thread.end_within(0ms));  // nothing is there any more to be waited for
    }
    CHECK(used.use_count() == 2);  // the work goes on owning what it uses
    go_on->set_value();
    // Once it has ended, it is no reason any more to end without exit handlers.
    for (int i = 0; OwnThread::left_behind() && i < 60'000; ++i) std::this_thread::sleep_for(1ms);
    CHECK_FALSE(OwnThread::left_behind());

    std::atomic<bool> done = false;
    OwnThread quick([&] { done = true; });
    CHECK(quick.end_within(60s));
    CHECK(done);
}
