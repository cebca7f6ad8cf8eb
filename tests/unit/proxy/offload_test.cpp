#include "proxy/upstream/offload.hpp"

#include <atomic>
#include <future>
#include <thread>

#include "support/catch.hpp"

TEST_CASE("work that ends after those who waited for it touches nothing of theirs", "[offload]") {
    constexpr std::chrono::seconds patience{120};
    std::promise<void> begun, go_on, ended;
    proxy::Offload offload(1);
    {
        asio::io_context io;
        asio::co_spawn(
            io,
            [](proxy::Offload& on, tls::Executor executor,
               auto work) -> tls::Awaitable<> {
                co_await on.run(std::move(work), std::chrono::steady_clock::now() + std::chrono::hours(1),
                                std::make_shared<tls::Timer>(executor));
            }(offload, io.get_executor(),
                          [&, last = std::shared_ptr<void>(nullptr, [&](void*) { ended.set_value(); })] {
                              begun.set_value();
                              go_on.get_future().wait();
                              return 1;
                          }),
            asio::detached);
        io.poll();
        REQUIRE(begun.get_future().wait_for(patience) == std::future_status::ready);
        offload.close();
    }
    go_on.set_value();
    CHECK(ended.get_future().wait_for(patience) == std::future_status::ready);  // AddressSanitizer says the rest
}

TEST_CASE("an end waits for the work that goes on, begins no other, and may be told twice", "[offload]") {
    std::promise<void> begun;
    std::atomic<bool> is_done = false;
    std::atomic<int> later = 0;
    proxy::Offload offload(1);
    offload.submit(
        [&] {
            begun.set_value();
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            is_done = true;
            return true;
        },
        [](std::optional<bool>) {});
    const auto count = [&] { return ++later; };
    offload.submit(count, [](std::optional<int>) {});
    begun.get_future().wait();
    offload.end();
    CHECK(is_done);
    offload.end();
    offload.submit(count, [](std::optional<int>) {});
    CHECK(later == 0);
}
