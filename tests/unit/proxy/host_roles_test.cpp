#include "proxy/upstream/host_roles.hpp"

#include <thread>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using protocol::HostRole;
using proxy::HostRoles;
using proxy::RoleSource;

const HostRoles::TimePoint now{100s};
const HostRoles::Server a{.upstream = "orders", .host = "a.internal:5432", .address = "10.0.0.1:5432"};
const HostRoles::Server b{.upstream = "orders", .host = "b.internal:5432", .address = "10.0.0.2:5432"};
const HostRoles::Server elsewhere{.upstream = "stock", .host = "a.internal:5432", .address = "10.0.0.1:5432"};

struct Heard {
    explicit Heard(HostRoles& roles)
        : subscription(roles.subscribe([this](const HostRoles::Change& change) { changes.push_back(change); })) {}

    std::vector<HostRoles::Change> changes;
    HostRoles::Subscription subscription;
};

}  // namespace

TEST_CASE("a role is known by address and by the host that led there, for its own upstream") {
    HostRoles roles;
    CHECK(roles.of("orders", a.address).role == HostRole::unknown);
    roles.learn(a, HostRole::standby, RoleSource::login, now);
    CHECK(roles.of("orders", a.address).role == HostRole::standby);
    CHECK(roles.of("orders", a.host).role == HostRole::standby);
    CHECK(roles.of("stock", a.address).role == HostRole::unknown);
    CHECK(roles.addresses("orders").size() == 1);
    CHECK(roles.addresses("stock").empty());
}

TEST_CASE("a name is what the address is that it led to last") {
    HostRoles roles;
    roles.learn(a, HostRole::primary, RoleSource::login, now);
    const HostRoles::Server moved{.upstream = "orders", .host = a.host, .address = "10.0.0.9:5432"};
    roles.learn(moved, HostRole::standby, RoleSource::login, now);
    CHECK(roles.of("orders", a.host).role == HostRole::standby);
    CHECK(roles.of("orders", a.address).role == HostRole::primary);
}

TEST_CASE("a server that reports no role is known, and forgets none that it was told from elsewhere") {
    HostRoles roles;
    Heard heard(roles);
    roles.learn(a, HostRole::unknown, RoleSource::login, now);
    CHECK(roles.addresses("orders").at(a.address).role == HostRole::unknown);
    roles.learn(a, HostRole::primary, RoleSource::monitor, now);
    roles.learn(a, HostRole::unknown, RoleSource::login, now);
    CHECK(roles.of("orders", a.address).role == HostRole::primary);
    CHECK(roles.of("orders", a.address).source == RoleSource::monitor);
    CHECK(heard.changes.size() == 1);
}

TEST_CASE("who subscribes is told of changes, of nothing that stays, and of nothing once it has left") {
    HostRoles roles;
    auto heard = std::make_unique<Heard>(roles);
    roles.learn(a, HostRole::standby, RoleSource::login, now);
    roles.learn(a, HostRole::standby, RoleSource::login, now + 1s);
    roles.learn(a, HostRole::primary, RoleSource::monitor, now + 2s);
    REQUIRE(heard->changes.size() == 2);
    CHECK(heard->changes[0].before == HostRole::unknown);
    CHECK(heard->changes[1].before == HostRole::standby);
    CHECK(heard->changes[1].now == HostRole::primary);
    CHECK(heard->changes[1].server.host == a.host);
    CHECK_FALSE(heard->changes[1].doubtful);
    heard.reset();
    roles.learn(a, HostRole::standby, RoleSource::login, now + 3s);
    CHECK(roles.of("orders", a.address).role == HostRole::standby);
}

TEST_CASE("a promotion makes the primary before doubtful, and none of another upstream") {
    HostRoles roles;
    roles.learn(a, HostRole::primary, RoleSource::login, now);
    roles.learn(elsewhere, HostRole::primary, RoleSource::login, now);
    roles.learn(b, HostRole::standby, RoleSource::login, now);
    Heard heard(roles);
    roles.learn(b, HostRole::primary, RoleSource::login, now + 1s);
    CHECK(roles.of("orders", a.address).doubtful);
    CHECK(roles.of("orders", a.address).role == HostRole::primary);
    CHECK_FALSE(roles.of("stock", a.address).doubtful);
    CHECK_FALSE(roles.of("orders", b.address).doubtful);
    REQUIRE(heard.changes.size() == 2);
    CHECK(heard.changes[1].server.address == a.address);
    CHECK(heard.changes[1].doubtful);
}

TEST_CASE("two that are primaries from the first are left as they are") {
    HostRoles roles;
    roles.learn(a, HostRole::primary, RoleSource::login, now);
    roles.learn(b, HostRole::primary, RoleSource::login, now);
    CHECK_FALSE(roles.of("orders", a.address).doubtful);
}

TEST_CASE("of those that wait for a role to change one looks again at a time, and at once after a doubt") {
    HostRoles roles;
    CHECK(roles.may_ask("orders", a.address, now));  // nobody knows it
    roles.learn(a, HostRole::standby, RoleSource::login, now);
    CHECK_FALSE(roles.may_ask("orders", a.address, now + HostRoles::certain - 1ms));
    CHECK(roles.may_ask("orders", a.address, now + HostRoles::certain));
    CHECK_FALSE(roles.may_ask("orders", a.address, now + HostRoles::certain));
    CHECK(roles.may_ask("orders", a.address, now + 2 * HostRoles::certain));
    roles.doubt(a, RoleSource::ending);
    CHECK(roles.of("orders", a.address).doubtful);
    CHECK(roles.may_ask("orders", a.address, now + 2 * HostRoles::certain));
    CHECK_FALSE(roles.may_ask("orders", a.address, now + 2 * HostRoles::certain));
    roles.learn(a, HostRole::standby, RoleSource::login, now + 2s);
    CHECK_FALSE(roles.of("orders", a.address).doubtful);
}

TEST_CASE("another certificate at an address is a doubt about it") {
    HostRoles roles;
    roles.learn(a, HostRole::primary, RoleSource::login, now);
    roles.shown(a, "CN=instance-1");
    roles.shown(a, "CN=instance-1");
    CHECK_FALSE(roles.of("orders", a.address).doubtful);
    roles.shown(a, "CN=instance-2");
    CHECK(roles.of("orders", a.address).doubtful);
}

TEST_CASE("another certificate behind a name is a doubt about the address where it led before") {
    HostRoles roles;
    roles.learn(a, HostRole::primary, RoleSource::login, now);
    roles.shown(a, "CN=instance-1");
    const HostRoles::Server moved{.upstream = "orders", .host = a.host, .address = "10.0.0.9:5432"};
    roles.shown(moved, "CN=instance-2");
    CHECK(roles.of("orders", a.address).doubtful);
    CHECK(roles.of("orders", a.host).doubtful);
}

TEST_CASE("whether a login is read-only is known for itself alone, and not for long") {
    HostRoles roles;
    const HostRoles::Login reader{.user = "reader", .database = "shop"};
    roles.learn_read_only(a, reader, true, now);
    CHECK(roles.read_only("orders", a.address, reader, now) == true);
    CHECK(roles.read_only("orders", a.address, {.user = "writer", .database = "shop"}, now) == std::nullopt);
    CHECK(roles.read_only("orders", b.address, reader, now) == std::nullopt);
    CHECK(roles.read_only("orders", a.address, reader, now + HostRoles::login_memory + 1s) == std::nullopt);
}

TEST_CASE("names without end take no more than their place, and the newest are known") {
    HostRoles roles;
    for (std::size_t i = 0; i <= HostRoles::max_remembered; ++i) {
        const std::string number = std::to_string(i);
        const HostRoles::Server server{.upstream = "orders", .host = "h" + number, .address = "a" + number};
        roles.learn(server, HostRole::primary, RoleSource::login, now + std::chrono::seconds(i));
        roles.learn_read_only(server, {}, true, now + std::chrono::seconds(i));
    }
    CHECK(roles.addresses("orders").size() == HostRoles::max_remembered);
    CHECK(roles.of("orders", "a0").role == HostRole::unknown);
    CHECK(roles.of("orders", "h" + std::to_string(HostRoles::max_remembered)).role == HostRole::primary);
    CHECK(roles.read_only("orders", "a0", {}, now) == std::nullopt);
}

TEST_CASE("many threads learn, ask and come and go") {
    HostRoles roles;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&roles, t] {
            for (int i = 0; i < 500; ++i) {
                const Heard heard(roles);
                roles.learn(t % 2 ? a : b, HostRole::primary, RoleSource::login, now);
                roles.doubt(a, RoleSource::ending);
                roles.may_ask("orders", b.address, now);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(roles.addresses("orders").size() == 2);
}

TEST_CASE("another process is told of addresses, and then of hosts, where each led last") {
    HostRoles roles;
    CHECK(roles.all().empty());
    const HostRoles::Server moved{.upstream = "orders", .host = a.host, .address = "10.0.0.0:5432"};
    roles.learn(a, HostRole::standby, RoleSource::login, now);
    roles.learn(moved, HostRole::primary, RoleSource::login, now);
    roles.learn(b, HostRole::unknown, RoleSource::login, now);
    HostRoles others;
    for (const auto& [server, known] : roles.all()) others.learn(server, known.role, RoleSource::login, now);
    CHECK(others.addresses("orders").size() == 2);
    CHECK(others.of("orders", a.address).role == HostRole::standby);
    CHECK(others.of("orders", moved.address).role == HostRole::primary);
    CHECK(others.of("orders", a.host).role == HostRole::primary);
}
