#include "proxy/http/upstream_check.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using namespace proxy;
using Clock = UpstreamCheck::Clock;

/// Nothing listens there.
std::shared_ptr<const UpstreamRoute> upstream() {
    auto route = std::make_shared<UpstreamRoute>();
    route->settings.name = "orders";
    route->settings.sslmode = protocol::SslMode::disable;
    config::Address host;
    host.kind = config::Address::Kind::tcp;
    host.host = "127.0.0.1";
    host.port = 1;
    route->settings.hosts = {host};
    return route;
}

UpstreamCheck::Result ask(const UpstreamCheck::Logins& logins) {
    asio::io_context io{1};
    Resolver resolver;
    Outages outages;
    UpstreamCheck check(io.get_executor(), resolver, outages, [&](const UpstreamRoute&) { return logins; });
    std::vector<UpstreamCheck::Result> results;
    const std::vector<std::shared_ptr<const UpstreamRoute>> upstreams{upstream()};
    const auto run = [&]() -> tls::Awaitable<> { results = co_await check.ask(upstreams); };
    asio::co_spawn(io, run(), asio::detached);
    io.run();
    REQUIRE(results.size() == 1);
    return results.front();
}

}  // namespace

TEST_CASE("an upstream that served a login a moment ago is not asked again", "[upstream_check]") {
    const auto result = ask({.served = Clock::now() - 2s});
    CHECK(result.ok);
    CHECK(result.text.find("2 s ago") != std::string::npos);
}

TEST_CASE("a login that failed later says more than one that was served", "[upstream_check]") {
    const auto now = Clock::now();
    const auto result =
        ask({.served = now - 2s, .failed = now - 1s, .error = "certificate refused: self-signed certificate"});
    CHECK_FALSE(result.ok);
    CHECK(result.text.find("s ago") != std::string::npos);
    // Our own connection is newer still.
    CHECK(result.text.find("Connection refused") != std::string::npos);
}

TEST_CASE("a login that was served later says more than one that failed", "[upstream_check]") {
    const auto now = Clock::now();
    CHECK(ask({.served = now - 1s, .failed = now - 2s, .error = "Connection refused"}).ok);
}

TEST_CASE("what failed after our own connection is told with its own reason", "[upstream_check]") {
    const auto result = ask({.failed = Clock::now() + 1h, .error = "certificate refused: expired"});
    CHECK_FALSE(result.ok);
    CHECK(result.text.starts_with("certificate refused: expired"));
}
