#include <memory>

#include "proxy/upstream/login_turns.hpp"
#include "proxy/upstream/upstream.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using namespace proxy;
using Clock = Connector::Clock;

config::Address tcp(const std::string& host, std::uint16_t port) {
    config::Address address;
    address.kind = config::Address::Kind::tcp;
    address.host = host;
    address.port = port;
    return address;
}

/// What a client is told whose time is over before the second host's turn comes: the first one
/// takes its connection and says nothing.
struct TimeIsOver {
    explicit TimeIsOver(const config::Address& second) {
        asio::ip::tcp::acceptor silent(io, {asio::ip::address_v4::loopback(), 0});
        const auto route = std::make_shared<UpstreamRoute>();
        route->settings.name = "orders";
        route->settings.hosts = {tcp("127.0.0.1", silent.local_endpoint().port()), second};
        route->settings.sslmode = protocol::SslMode::require;
        first = config::to_string(route->settings.hosts.front());
        const auto deadline = Clock::now() + 200ms;
        Attempts attempts({.sslmode = route->settings.sslmode, .hosts = 2, .deadline = deadline});
        Connector connector(resolver, outages, &turns);
        const auto run = [&]() -> tls::Awaitable<> {
            Connected connected = co_await connector.connect(attempts, *route, deadline);
            told = std::get<UpstreamFailure>(std::move(connected)).error;
        };
        asio::co_spawn(io, run(), asio::detached);
        io.run_for(60s);
    }

    asio::io_context io{1};
    std::shared_ptr<int> look_ups = std::make_shared<int>(0);
    Resolver resolver{[count = look_ups](const std::string&) {
        ++*count;
        return Resolved{{}, "no such name"};
    }};
    Outages outages;
    LoginTurns turns;
    std::string first;
    std::string told;
};

/// Hosts at which nobody listens, tried by a login that wants to write.
struct NobodyThere {
    NobodyThere() {
        asio::ip::tcp::acceptor one(io, {asio::ip::address_v4::loopback(), 0});
        asio::ip::tcp::acceptor other(io, {asio::ip::address_v4::loopback(), 0});
        route->settings.name = "orders";
        for (const auto* acceptor : {&one, &other})
            route->settings.hosts.push_back(tcp("127.0.0.1", acceptor->local_endpoint().port()));
        first = config::to_string(route->settings.hosts.front());
        second = config::to_string(route->settings.hosts.back());
    }
    void learn(const std::string& address, protocol::HostRole role, Clock::time_point when = Clock::now()) {
        roles.learn({.upstream = "orders", .host = address, .address = address}, role, RoleSource::login, when);
    }
    /// What each host came to, in the order in which they were tried.
    std::string tried(HostRoles::Looks looks) {
        Attempts attempts({.sslmode = protocol::SslMode::disable,
                           .hosts = 2,
                           .wanted = config::TargetSessionAttrs::read_write,
                           .deadline = Clock::now() + 1h});
        connector.set_roles(
            roles,
            HostRoles::Login{.user = "app", .database = "shop", .looks = looks, .source = std::to_string(++logins)});
        std::string told;
        const auto run = [&]() -> tls::Awaitable<> {
            Connected connected = co_await connector.connect(attempts, *route, Clock::now() + 1h);
            told = std::get<UpstreamFailure>(std::move(connected)).error;
        };
        asio::co_spawn(io, run(), asio::detached);
        io.restart();
        io.run_for(60s);
        return told;
    }

    asio::io_context io{1};
    const std::shared_ptr<UpstreamRoute> route = std::make_shared<UpstreamRoute>();
    Resolver resolver{[](const std::string&) { return Resolved{{}, "no such name"}; }};
    Outages outages;
    HostRoles roles;
    Connector connector{resolver, outages};
    std::string first, second;
    unsigned logins = 0;  // each of an address of its own
    const std::string refused = ": Connection refused", unfit = ": session is read-only";
};

}  // namespace

TEST_CASE("who would be lost by a look leaves to others what was told lately", "[connector]") {
    using Looks = HostRoles::Looks;
    NobodyThere there;
    there.learn(there.second, protocol::HostRole::standby, Clock::now() - 1s);
    const std::string& first = there.first;
    const std::string& second = there.second;
    CHECK(there.tried(Looks::first) == first + there.refused + "; " + second + there.refused);
    CHECK(there.tried(Looks::never) == first + there.unfit + "; " + second + there.unfit);  // nobody has seen the first
    CHECK(there.tried(Looks::last) == first + there.refused + "; " + second + there.unfit);
    there.learn(there.second, protocol::HostRole::standby, Clock::now() - 3s);
    CHECK(there.tried(Looks::never) == first + there.unfit + "; " + second + there.unfit);
    CHECK(there.tried(Looks::last) == first + there.refused + "; " + second + there.refused);
}

TEST_CASE("where a monitor asks, who would be lost by a look leaves it for longer", "[connector]") {
    NobodyThere there;
    there.route->settings.monitor_user = "pgairlock_monitor";
    there.learn(there.second, protocol::HostRole::standby, Clock::now() - 10s);
    CHECK(there.tried(HostRoles::Looks::last) == there.first + there.refused + "; " + there.second + there.unfit);
}

TEST_CASE("where nothing is known of any host everybody goes", "[connector]") {
    NobodyThere there;
    CHECK(there.tried(HostRoles::Looks::never) == there.first + there.refused + "; " + there.second + there.refused);
}

TEST_CASE("who tries again tries hosts in the order of what is known by then", "[connector]") {
    NobodyThere there;
    CHECK(there.tried(HostRoles::Looks::first) == there.first + there.refused + "; " + there.second + there.refused);
    there.outages.served(there.first, "orders");
    there.outages.served(there.second, "orders");
    there.learn(there.second, protocol::HostRole::primary);
    CHECK(there.tried(HostRoles::Looks::first) == there.second + there.refused + "; " + there.first + there.refused);
}

TEST_CASE("a host that a client has no time left for is told as not tried, and neither looked up nor blamed",
          "[connector]") {
    const TimeIsOver name(tcp("db.example.com", 5432));
    CHECK(name.told == name.first + ": timeout expired; db.example.com:5432: not tried: client_login_timeout is over");
    CHECK(*name.look_ups == 0);
    CHECK(name.outages.all().empty());

    const TimeIsOver literal(tcp("192.0.2.1", 5432));
    CHECK(literal.told == literal.first + ": timeout expired; 192.0.2.1:5432: not tried: client_login_timeout is over");
}

namespace {

/// Names that lead to one address where nobody listens, or to another.
struct SameServer {
    SameServer(std::vector<config::Address> configured, const std::vector<config::Address>& found)
        : resolver([](const std::string& host) {
              const char* const address = host == "other.example.com" ? "127.0.0.3" : "127.0.0.2";
              Resolved resolved;
              resolved.endpoints.emplace_back(asio::ip::tcp::endpoint(asio::ip::make_address(address), 0));
              return resolved;
          }) {
        route->settings.name = "orders";
        route->settings.hosts = std::move(configured);
        route->settings.sslmode = protocol::SslMode::disable;
        if (!found.empty()) {
            route->found = std::make_unique<FoundHosts>(route->settings.hosts);
            route->found->set(found);
        }
    }
    /// Every attempt of a new client's.
    std::string attempts() {
        Connector connector(resolver, outages);
        const auto deadline = Clock::now() + 30s;
        Attempts attempts(
            {.sslmode = route->settings.sslmode, .hosts = connector.take_hosts(*route), .deadline = deadline});
        std::string told;
        const auto run = [&]() -> tls::Awaitable<> {
            Connected connected = co_await connector.connect(attempts, *route, deadline);
            told = std::get<UpstreamFailure>(std::move(connected)).error;
        };
        asio::co_spawn(io, run(), asio::detached);
        io.restart();
        io.run_for(60s);
        return told;
    }

    asio::io_context io{1};
    std::shared_ptr<UpstreamRoute> route = std::make_shared<UpstreamRoute>();
    Resolver resolver;
    Outages outages;
};

std::uint16_t free_port() {
    asio::io_context io;
    asio::ip::tcp::acceptor probe(io, {asio::ip::address_v4::loopback(), 0});
    return probe.local_endpoint().port();
}

}  // namespace

TEST_CASE("hosts that were found are tried behind those that are configured, and no address twice", "[connector]") {
    const std::uint16_t port = free_port();
    const std::string at = ":" + std::to_string(port) + ": Connection refused";
    SameServer found({tcp("cluster.example.com", port)},
                     {tcp("same.example.com", port), tcp("other.example.com", port)});
    CHECK(found.attempts() == "127.0.0.2" + at + "; 127.0.0.3" + at);
    // The next client has what has been found by then.
    found.route->found->set({});
    CHECK(found.attempts() == "127.0.0.2" + at);
    // By now its outage puts it last, and still it is one attempt.
    found.route->found->set({tcp("same.example.com", port)});
    CHECK(found.attempts() == "127.0.0.2" + at);
}

TEST_CASE("without hosts that were found every host that is configured is tried, as libpq does", "[connector]") {
    const std::uint16_t port = free_port();
    const std::string at = "127.0.0.2:" + std::to_string(port) + ": Connection refused";
    CHECK(SameServer({tcp("cluster.example.com", port), tcp("same.example.com", port)}, {}).attempts() ==
          at + "; " + at);
}
