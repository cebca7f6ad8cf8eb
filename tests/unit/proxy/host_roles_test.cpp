#include "proxy/upstream/host_roles.hpp"

#include <new>
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

TEST_CASE("who finds no memory to hear of a change troubles neither who learnt it nor the others") {
    HostRoles roles;
    const auto troubled = roles.subscribe([](const HostRoles::Change&) { throw std::bad_alloc(); });
    Heard heard(roles);
    CHECK_NOTHROW(roles.learn(a, HostRole::primary, RoleSource::login, now));
    CHECK_NOTHROW(roles.doubt(a, RoleSource::ending));
    CHECK(heard.changes.size() == 2);
    CHECK(roles.of("orders", a.address).doubtful);
}

TEST_CASE("a promotion makes the primary before doubtful, and none of another upstream") {
    HostRoles roles;
    roles.learn(a, HostRole::primary, RoleSource::login, now);
    const HostRoles::Server other{.upstream = "stock", .host = "c.internal:5432", .address = "10.0.0.3:5432"};
    roles.learn(other, HostRole::primary, RoleSource::login, now);
    roles.learn(b, HostRole::standby, RoleSource::login, now);
    Heard heard(roles);
    roles.learn(b, HostRole::primary, RoleSource::login, now + 1s);
    CHECK(roles.of("orders", a.address).doubtful);
    CHECK(roles.of("orders", a.address).role == HostRole::primary);
    CHECK_FALSE(roles.of("stock", other.address).doubtful);
    CHECK_FALSE(roles.of("orders", b.address).doubtful);
    REQUIRE(heard.changes.size() == 2);
    CHECK(heard.changes[1].server.address == a.address);
    CHECK(heard.changes[1].doubtful);
}

TEST_CASE("of two primaries the one before is doubtful until it is seen again, and then both are what they are") {
    HostRoles roles;
    roles.learn(a, HostRole::primary, RoleSource::login, now);
    roles.learn(b, HostRole::primary, RoleSource::login, now);  // nobody had seen it as a standby
    CHECK(roles.of("orders", a.address).doubtful);
    CHECK(roles.of("orders", a.host).doubtful);
    roles.learn(a, HostRole::primary, RoleSource::login, now + 1s);
    CHECK_FALSE(roles.of("orders", a.address).doubtful);
    CHECK_FALSE(roles.of("orders", b.address).doubtful);
}

TEST_CASE("what makes a role doubtful counts for every upstream that has the address") {
    HostRoles roles;
    roles.learn(a, HostRole::primary, RoleSource::login, now);
    roles.learn(elsewhere, HostRole::primary, RoleSource::login, now);
    roles.learn(b, HostRole::standby, RoleSource::login, now);
    Heard heard(roles);
    SECTION("it was not reached") {
        roles.doubt({.upstream = {}, .host = {}, .address = a.address}, RoleSource::outage);
        CHECK(roles.of("orders", a.address).doubtful);
        REQUIRE(heard.changes.size() == 2);
        CHECK(heard.changes[0].doubtful);
        // Everybody who tries hears of an outage: once is enough, and not everybody is to look.
        auto look = roles.look("orders", a.address, "10.1.0.1", now + 1s);
        CHECK(look);
        roles.doubt({.upstream = {}, .host = {}, .address = a.address}, RoleSource::outage);
        CHECK(heard.changes.size() == 2);
        CHECK_FALSE(roles.look("orders", a.address, "10.1.0.2", now + 1s));
    }
    SECTION("a session there ended") { roles.doubt(a, RoleSource::ending); }
    SECTION("it is something else for another upstream") {
        roles.learn(a, HostRole::standby, RoleSource::login, now + 1s);
        CHECK_FALSE(roles.of("orders", a.address).doubtful);
    }
    CHECK(roles.of("stock", a.address).doubtful);
    CHECK(roles.of("stock", a.host).doubtful);
    CHECK(roles.of("stock", a.address).role == HostRole::primary);
    CHECK_FALSE(roles.of("orders", b.address).doubtful);
}

TEST_CASE("since when somebody is certain to be in a role is told anew after a doubt") {
    HostRoles roles;
    const auto never = std::chrono::system_clock::time_point{};
    CHECK(roles.certain_since("orders", HostRole::primary) == never);
    roles.learn(a, HostRole::primary, RoleSource::login, now);
    const auto first = roles.certain_since("orders", HostRole::primary);
    CHECK(first > never);
    roles.learn(a, HostRole::primary, RoleSource::monitor, now + 1s);
    CHECK(roles.certain_since("orders", HostRole::primary) == first);
    CHECK(roles.certain_since("orders", HostRole::standby) == never);
    CHECK(roles.certain_since("stock", HostRole::primary) == never);
    roles.doubt(a, RoleSource::ending);
    CHECK(roles.certain_since("orders", HostRole::primary) == never);
    roles.learn(a, HostRole::primary, RoleSource::monitor, now + 2s);
    CHECK(roles.certain_since("orders", HostRole::primary) >= first);
}

TEST_CASE("of those that wait for a role to change one looks again at a time, and at once after a doubt") {
    HostRoles roles;
    const auto look = [&](HostRoles::TimePoint when) { return roles.look("orders", a.address, "10.1.0.1", when); };
    CHECK(look(now));  // nobody knows it
    roles.learn(a, HostRole::standby, RoleSource::login, now);
    CHECK_FALSE(look(now + HostRoles::certain - 1ms));
    const auto first = look(now + HostRoles::certain);
    CHECK(first);
    CHECK_FALSE(look(now + HostRoles::certain));
    roles.doubt(a, RoleSource::ending);
    CHECK(roles.of("orders", a.address).doubtful);
    const auto second = look(now + HostRoles::certain);
    CHECK(second);
    CHECK_FALSE(look(now + HostRoles::certain));
    roles.learn(a, HostRole::standby, RoleSource::login, now + 2s);
    CHECK_FALSE(roles.of("orders", a.address).doubtful);
    CHECK_FALSE(look(now + 2s + HostRoles::certain - 1ms));
}

TEST_CASE("who is lost by a look does without as long as somebody was told lately, whatever is doubtful") {
    HostRoles roles;
    roles.learn(a, HostRole::standby, RoleSource::login, now);
    const auto look = [&](HostRoles::TimePoint when) { return roles.look("orders", a.address, "10.1.0.1", when, 3s); };
    CHECK_FALSE(look(now + 3s - 1ms));
    roles.doubt(a, RoleSource::ending);
    CHECK_FALSE(look(now + 3s - 1ms));
    auto last = look(now + 3s);
    REQUIRE(last);
    CHECK_FALSE(look(now + 3s));  // one at a time
    last->end(now + 3s + 10ms);
    roles.learn(a, HostRole::standby, RoleSource::monitor, now + 4s);
    CHECK_FALSE(look(now + 7s - 1ms));
    roles.learn(a, HostRole::unknown, RoleSource::login, now + 6s);
    CHECK_FALSE(look(now + 9s - 1ms));
    CHECK(look(now + 9s));
}

TEST_CASE("at a server that nobody has seen one looks at a time, and it is not told of as known") {
    HostRoles roles;
    {
        const auto first = roles.look("orders", a.address, "10.1.0.1", now);
        CHECK(first);
        CHECK_FALSE(roles.look("orders", a.address, "10.1.0.2", now));
        CHECK(roles.look("orders", b.address, "10.1.0.2", now));
    }
    CHECK(roles.addresses("orders").empty());
    CHECK(roles.of("orders", a.address).seen == std::chrono::system_clock::time_point{});
    CHECK(roles.all().empty());
}

TEST_CASE("a look that ends in vain leaves the next one to whoever comes, but not to its own source at once") {
    HostRoles roles;
    roles.learn(a, HostRole::standby, RoleSource::login, now);
    const auto start = now + HostRoles::certain;
    const auto look = [&](const std::string& source, HostRoles::TimePoint when) {
        return roles.look("orders", a.address, source, when);
    };
    auto denied = look("10.1.0.1", start);
    REQUIRE(denied);
    CHECK_FALSE(look("10.1.0.2", start + 20ms));
    denied->end(start + 20ms);
    denied->end(start + 30ms);  // once is enough
    CHECK_FALSE(look("10.1.0.1", start + 39ms));
    auto other = look("10.1.0.2", start + 20ms);
    REQUIRE(other);
    other->end(start + 40ms);
    CHECK(look("10.1.0.1", start + 40ms));
}

TEST_CASE("who keeps a look without ever ending it has no more than every second one") {
    HostRoles roles;
    roles.learn(a, HostRole::standby, RoleSource::login, now);
    roles.trust_source("orders", "10.1.0.1", now);
    std::vector<std::optional<HostRoles::Look>> kept;
    unsigned looks_of_others = 0, looks_kept = 0;
    // The one comes every millisecond and ahead of the others, which come ten times a second.
    for (auto when = now; when < now + 20s; when += 1ms) {
        if (auto look = roles.look("orders", a.address, "10.6.6.6", when)) {
            kept.push_back(std::move(look));
            ++looks_kept;
        }
        if ((when - now) % 100ms != 0ms) continue;
        if (auto look = roles.look("orders", a.address, "10.1.0.1", when)) {
            ++looks_of_others;
            look->end(when);
        }
    }
    CHECK(looks_kept <= 41);
    CHECK(looks_of_others >= 39);
}

namespace {

/// Strangers from so many addresses come all the time and leave without having logged in: how long
/// it takes until `client`, which comes every 100 ms, may look.
std::chrono::milliseconds until_it_looks(HostRoles& roles, int strangers, const std::string& client) {
    std::vector<std::optional<HostRoles::Look>> kept;
    const auto start = now + HostRoles::certain;
    for (auto when = start; when < start + 20s; when += 5ms) {
        for (int i = 0; i < strangers; ++i) {
            if (auto look = roles.look("orders", a.address, "10.6.6." + std::to_string(i), when))
                kept.push_back(std::move(look));  // it ends when its time is over
        }
        if ((when - start) % 100ms == 95ms && roles.look("orders", a.address, client, when))
            return std::chrono::duration_cast<std::chrono::milliseconds>(when - start);
    }
    return 20s;
}

}  // namespace

TEST_CASE("strangers from many addresses that look in vain do not keep those from looking that were let in before") {
    HostRoles roles;
    roles.learn(a, HostRole::standby, RoleSource::login, now);
    roles.trust_source("orders", "10.1.0.1", now);
    CHECK(until_it_looks(roles, 40, "10.1.0.1") <= 1200ms);
    // Of another upstream, it is a stranger as well.
    HostRoles others;
    others.learn(a, HostRole::standby, RoleSource::login, now);
    others.trust_source("billing", "10.1.0.1", now);
    CHECK(until_it_looks(others, 40, "10.1.0.1") > 1200ms);
}

TEST_CASE("of strangers one looks every few seconds while looks are in vain, and each less and less often") {
    HostRoles roles;
    roles.learn(a, HostRole::standby, RoleSource::login, now);
    const auto start = now + HostRoles::certain;
    std::map<std::string, int> looks;
    int all = 0;
    for (auto when = start; when < start + 600s; when += 50ms) {
        for (const char* const source : {"10.6.6.1", "10.6.6.2"}) {
            auto look = roles.look("orders", a.address, source, when);
            if (!look) continue;
            ++looks[source];
            ++all;
            look->end(when + 200ms);
        }
    }
    CHECK(all <= HostRoles::vain_looks + 600 / 3 + 1);
    // 0.2, 0.4, 0.8 ... 51 s, and then 60 s.
    CHECK(looks["10.6.6.1"] <= 22);
    CHECK(looks["10.6.6.1"] >= 10);
    // Once somebody has learnt what it is, everybody begins anew.
    const auto later = start + 600s;
    roles.learn(a, HostRole::standby, RoleSource::login, later);
    CHECK(roles.look("orders", a.address, "10.6.6.1", later + HostRoles::certain));
}

TEST_CASE("sources are trusted for an hour, and no more than have their place") {
    HostRoles roles;
    roles.learn(a, HostRole::standby, RoleSource::login, now);
    roles.trust_source("orders", "10.1.0.1", now);
    for (int i = 0; i < HostRoles::vain_looks; ++i) {
        auto look = roles.look("orders", a.address, "10.6.6." + std::to_string(i), now + 1s);
        REQUIRE(look);
        look->end(now + 1s);
    }
    REQUIRE(roles.look("orders", a.address, "10.6.6.9", now + 1s));  // the one of strangers
    CHECK_FALSE(roles.look("orders", a.address, "10.6.6.8", now + 2s));
    CHECK(roles.look("orders", a.address, "10.1.0.1", now + 2s));
    for (std::size_t i = 0; i < HostRoles::max_trusted; ++i)
        roles.trust_source("orders", "10.2.0." + std::to_string(i), now + 2s);
    CHECK_FALSE(roles.look("orders", a.address, "10.1.0.1", now + 3s));
    CHECK(roles.look("orders", a.address, "10.2.0.1", now + 3s));
    CHECK(roles.look("orders", a.address, "10.1.0.1", now + 4s + HostRoles::certain));  // a stranger's turn
    const auto later = now + 2s + HostRoles::trust;
    CHECK(roles.look("orders", a.address, "10.6.6.9", later));
    CHECK_FALSE(roles.look("orders", a.address, "10.2.0.2", later));
}

TEST_CASE("what was learnt meanwhile is not forgotten when a look ends") {
    HostRoles roles;
    roles.learn(a, HostRole::standby, RoleSource::login, now);
    const auto start = now + HostRoles::certain;
    auto look = roles.look("orders", a.address, "10.1.0.1", start);
    REQUIRE(look);
    roles.learn(a, HostRole::standby, RoleSource::login, start + 20ms);
    look->end(start + 30ms);
    CHECK_FALSE(roles.look("orders", a.address, "10.1.0.2", start + 40ms));
    // Who has learnt something is passed over for nothing.
    CHECK(roles.look("orders", a.address, "10.1.0.1", start + 20ms + HostRoles::certain));
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

TEST_CASE("who may choose itself whether it can write says nothing of others, and is told nothing of them") {
    HostRoles roles;
    const HostRoles::Login app{.user = "app", .database = "shop"};
    const HostRoles::Login chooses{.user = "app", .database = "shop", .may_choose_read_only = true};
    roles.learn_read_only(a, chooses, true, now);
    CHECK(roles.read_only("orders", a.address, app, now) == std::nullopt);
    roles.learn_read_only(a, app, false, now);
    CHECK(roles.read_only("orders", a.address, app, now) == false);
    CHECK(roles.read_only("orders", a.address, chooses, now) == std::nullopt);
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
                roles.look("orders", b.address, std::to_string(t), now);
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
