#include "proxy/server/reload.hpp"

#include <atomic>
#include <future>

#include "proxy/upstream/lasting.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

namespace {

using namespace proxy;
using namespace std::chrono_literals;
using support::Folder;

/// A reload whose configuration has an error, so that its only trace is that it was refused.
struct Reloading {
    explicit Reloading(std::function<void()> on_reading = [] {})
        : reload(io.get_executor(), phase,
                 {.source =
                      [on_reading] {
                          on_reading();
                          config::Loaded read;
                          read.errors.push_back({.origin = {}, .message = "an error"});
                          return read;
                      },
                  .state_dir = folder.file("state"),
                  .take = [](auto, auto) { return std::shared_ptr<LogWriter>(); },
                  .record = [this](EventKind, const std::string&) { ++recorded; },
                  .manager = manager}) {
        reload.begin(std::make_shared<Snapshot>());
        spawn_lasting(io.get_executor(), [this] { return reload.run(); });
    }
    ~Reloading() {
        phase = Phase::draining;
        reload.wake();
        io.run_for(20s);
    }

    /// Waits for the thing itself.
    template <class Condition>
    bool comes(Condition condition) {
        const auto until = std::chrono::steady_clock::now() + 20s;
        while (!condition() && std::chrono::steady_clock::now() < until) io.run_one_for(10ms);
        return condition();
    }

    const Folder folder;
    asio::io_context io{1};
    std::atomic<Phase> phase = Phase::serving;
    ServiceManager manager;
    int recorded = 0;
    Reload reload;
};

}  // namespace

TEST_CASE("reload: what is asked for while another process is about to take over waits until that has failed") {
    std::atomic<int> readings{0};
    Reloading one([&] { ++readings; });
    one.reload.hold(true);
    one.reload.request("SIGHUP");
    one.io.run_for(50ms);
    CHECK(readings == 0);
    CHECK(one.reload.has_orders());
    one.reload.hold(false);
    CHECK(one.comes([&] { return one.recorded == 1; }));
    CHECK(readings == 1);
    CHECK_FALSE(one.reload.has_orders());
}

TEST_CASE("reload: what was being read when another process took over is not put in place, and stays an order") {
    std::promise<void> reads, goes_on;
    auto may_go_on = goes_on.get_future().share();
    Reloading one([&, may_go_on] {
        reads.set_value();
        may_go_on.wait();
    });
    one.reload.request("SIGHUP");
    auto reading = reads.get_future();
    REQUIRE(one.comes([&] { return reading.wait_for(0s) == std::future_status::ready; }));
    one.reload.hold(true);
    goes_on.set_value();
    one.io.run_for(100ms);
    CHECK(one.reload.has_orders());
    one.phase = Phase::handed_over;
    one.reload.wake();
    one.io.run_for(20s);  // until nothing is left to do
    CHECK(one.recorded == 0);
    CHECK(one.reload.has_orders());
}
