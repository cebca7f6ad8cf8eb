#include "proxy/http/upstream_check.hpp"

#include <thread>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using namespace proxy;
using Clock = UpstreamCheck::Clock;

/// Nothing listens there.
std::shared_ptr<UpstreamRoute> upstream() {
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

/// An upstream whose clients want to write, and its server, which takes connections and closes
/// them.
class Server {
   public:
    Server() {
        address_ = "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
        route_->settings.hosts.front().port = acceptor_.local_endpoint().port();
        route_->settings.target_session_attrs = TargetSessionAttrs::read_write;
        accept();
    }

    UpstreamCheck::Result ask() {
        std::vector<UpstreamCheck::Result> results;
        const auto run = [&]() -> tls::Awaitable<> {
            const std::vector<std::shared_ptr<const UpstreamRoute>> upstreams{route_};
            results = co_await check_.ask(upstreams);
            io_.stop();
        };
        asio::co_spawn(io_, run(), asio::detached);
        io_.restart();
        io_.run();
        REQUIRE(results.size() == 1);
        return results.front();
    }
    void learn(protocol::HostRole role) {
        roles_.learn({.upstream = "orders", .host = address_, .address = address_}, role, RoleSource::monitor,
                     HostRoles::TimePoint::clock::now());
    }
    void refuse() {
        logins_.failed = Clock::now();
        logins_.error = address_ + ": session is read-only";
    }
    void serve() { logins_.served = Clock::now(); }

   private:
    void accept() {
        acceptor_.async_accept([this](boost::system::error_code error, const asio::ip::tcp::socket&) {
            if (!error) accept();
        });
    }

    asio::io_context io_{1};
    asio::ip::tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
    std::string address_;
    std::shared_ptr<UpstreamRoute> route_ = upstream();
    HostRoles roles_;
    Resolver resolver_;
    Outages outages_;
    UpstreamCheck::Logins logins_;
    UpstreamCheck check_{io_.get_executor(), resolver_, outages_, [this](const UpstreamRoute&) { return logins_; },
                         &roles_};
};

bool is_of_no_use(const UpstreamCheck::Result& result) {
    return !result.ok && result.text.starts_with("no host is read-write: 127.0.0.1:") &&
           result.text.find("session is read-only") != std::string::npos;
}

}  // namespace

TEST_CASE("a server that answers and is known to be of another kind than is wanted does not serve",
          "[upstream_check]") {
    Server server;
    server.learn(protocol::HostRole::standby);
    CHECK(is_of_no_use(server.ask()));
    server.learn(protocol::HostRole::primary);  // and is not waited for half a minute
    CHECK(server.ask().ok);
    CHECK(server.ask().text.find("known") == std::string::npos);
    server.learn(protocol::HostRole::standby);
    CHECK(is_of_no_use(server.ask()));
}

TEST_CASE("where nobody knows a server's kind, that is said", "[upstream_check]") {
    Server server;
    const auto result = server.ask();
    CHECK(result.ok);
    CHECK(result.text.find("whether it is read-write is not known") != std::string::npos);
    server.learn(protocol::HostRole::standby);
    CHECK(is_of_no_use(server.ask()));
}

TEST_CASE("after a login that found no such server a handshake is no news, and what is learnt is", "[upstream_check]") {
    Server server;
    server.refuse();
    CHECK(is_of_no_use(server.ask()));
    CHECK(is_of_no_use(server.ask()));
    SECTION("somebody has become one") {
        std::this_thread::sleep_for(2ms);
        server.learn(protocol::HostRole::primary);
        CHECK(server.ask().ok);
    }
    SECTION("a login is served") {
        std::this_thread::sleep_for(2ms);
        server.serve();
        CHECK(server.ask().ok);
    }
    SECTION("that it is a primary, which does not write, was known before") {
        server.learn(protocol::HostRole::primary);
        std::this_thread::sleep_for(2ms);
        server.refuse();
        server.learn(protocol::HostRole::primary);
        CHECK(is_of_no_use(server.ask()));
    }
}

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
