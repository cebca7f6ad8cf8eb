#include "proxy/offload.hpp"

#include <future>

#include "support/catch.hpp"

TEST_CASE("work that ends after those who waited for it touches nothing of theirs", "[offload]") {
    std::promise<void> begun, go_on, ended;
    proxy::Offload offload(1);
    {
        asio::io_context io;
        asio::co_spawn(
            io,
            [](proxy::Offload& on, tls::Executor executor, auto work) -> tls::Awaitable<> {
                const auto result = co_await on.run(std::move(work), std::chrono::steady_clock::now() + std::chrono::hours(1),
                                                    std::make_shared<tls::Timer>(executor));
                CHECK_FALSE(result);
            }(offload, io.get_executor(), [&, last = std::shared_ptr<void>(nullptr, [&](void*) { ended.set_value(); })] {
                begun.set_value();
                go_on.get_future().wait();
                return 1;
            }),
            asio::detached);
        io.poll();
        begun.get_future().wait();
        offload.close();
    }
    go_on.set_value();
    ended.get_future().wait();
}
