#include "proxy/upstream/outages.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Outages;

using Seen = Outages::Seen;

const Outages::TimePoint start{};

Outages::Failure failure(const std::string& key, Seen seen = Seen::connecting) {
    return {.key = key, .upstream = "orders", .host = "db:1", .error = "timeout expired", .seen = seen};
}

std::vector<std::string> looked_at(const Outages& outages) {
    std::vector<std::string> keys;
    for (const Outages::Outage& one : outages.to_look_at()) keys.push_back(one.key);
    return keys;
}

}  // namespace

TEST_CASE("one that was not reached is tried last until it answers, however long that takes", "[outages]") {
    Outages outages;
    CHECK_FALSE(outages.tried_last("a:1", start));
    outages.failed(failure("a:1"), start);
    CHECK(outages.tried_last("a:1", start));
    CHECK(outages.tried_last("a:1", start + std::chrono::hours(24)));
    CHECK_FALSE(outages.tried_last("b:1", start));
    CHECK(looked_at(outages) == std::vector<std::string>{"a:1"});
    SECTION("somebody who looks") {
        outages.answered("a:1", std::chrono::seconds(5));
        CHECK_FALSE(outages.tried_last("a:1", start));
        CHECK(looked_at(outages).empty());
    }
    SECTION("or a login") {
        outages.served("a:1", "orders");
        CHECK_FALSE(outages.tried_last("a:1", start));
    }
    SECTION("unless nobody asks for it any more") {
        outages.forget("a:1");
        CHECK_FALSE(outages.tried_last("a:1", start));
    }
}

TEST_CASE("one that was too slow is tried last until it is fast", "[outages]") {
    Outages outages;
    Outages::Failure slow = failure("a:1");
    slow.patience = 250ms;
    outages.failed(slow, start);
    outages.answered("a:1", 251ms);
    CHECK(outages.tried_last("a:1", start));
    outages.answered("a:1", 250ms);
    CHECK_FALSE(outages.tried_last("a:1", start));
}

TEST_CASE("one that did not answer a login is tried last for a while, and then by one connection at a time",
          "[outages]") {
    Outages outages;
    outages.failed(failure("a:1", Seen::logging_in), start);
    CHECK(outages.tried_last("a:1", start));
    CHECK(outages.tried_last("a:1", start + Outages::memory - 1ms));
    const auto over = start + Outages::memory;
    CHECK_FALSE(outages.tried_last("a:1", over));
    CHECK(outages.tried_last("a:1", over));
    CHECK_FALSE(outages.tried_last("a:1", over + Outages::trial));
    SECTION("until it serves") {
        outages.served("a:1", "orders");
        CHECK_FALSE(outages.tried_last("a:1", over + 1ms));
    }
    SECTION("or fails again") {
        outages.failed(failure("a:1", Seen::logging_in), over + 1s);
        CHECK(outages.tried_last("a:1", over + Outages::memory));
    }
    SECTION("which who connects to it sees nothing of") {
        CHECK(looked_at(outages).empty());
        outages.answered("a:1", 0ms);  // a look that began before
        CHECK(outages.tried_last("a:1", over));
    }
}

TEST_CASE("of very many failures the oldest are forgotten", "[outages]") {
    Outages outages;
    for (std::size_t i = 0; i <= Outages::max_remembered; ++i) {
        outages.failed(failure(std::to_string(i)), start + std::chrono::milliseconds(i));
    }
    const auto now = start + std::chrono::milliseconds(Outages::max_remembered);
    CHECK_FALSE(outages.tried_last("0", now));
    CHECK(outages.tried_last("1", now));
}

TEST_CASE("an outage is told with the first time and the last error of it", "[outages]") {
    Outages outages;
    auto first = failure("a:1");
    first.error = "Connection refused";
    outages.failed(first, start);
    const auto since = outages.all().at(0).since;
    CHECK(since != std::chrono::system_clock::time_point{});
    auto second = failure("a:1");
    second.error = "No route to host";
    outages.failed(second, start + 5s);
    CHECK(outages.all().at(0).error == "No route to host");
    CHECK(outages.all().at(0).since == since);
}

TEST_CASE("one whose certificate is refused does not serve, keeps its turn, and is down until accepted", "[outages]") {
    Outages outages;
    const auto leaf = std::make_shared<const tls::CertificateFacts>();
    outages.refused({.key = "a:1",
                     .upstream = "orders",
                     .host = "db:1",
                     .error = "certificate refused: certificate has expired",
                     .verify_error = "certificate has expired",
                     .leaf = leaf});
    CHECK_FALSE(outages.tried_last("a:1", start));
    CHECK(outages.to_look_at().empty());
    REQUIRE(outages.all().size() == 1);
    CHECK(outages.all().front().verify_error == "certificate has expired");
    CHECK(outages.all().front().leaf == leaf);
    SECTION("by a connection of this upstream") { outages.accepted("a:1", "orders"); }
    SECTION("or a login of it") { outages.served("a:1", "orders"); }
    SECTION("another upstream trusts another authority") {
        outages.accepted("a:1", "billing");
        outages.served("a:1", "billing");
        CHECK(outages.all().size() == 1);
        return;
    }
    CHECK(outages.all().empty());
}

TEST_CASE("of a server that fails in more ways than one the newest is told, once", "[outages]") {
    Outages outages;
    outages.failed(failure("a:1"), start);
    outages.refused({.key = "a:1", .upstream = "orders", .host = "db:1", .error = "refused"});
    REQUIRE(outages.all().size() == 1);
    CHECK(outages.all().front().error == "refused");
    outages.failed(failure("a:1"), start);
    REQUIRE(outages.all().size() == 1);
    CHECK(outages.all().front().error == "timeout expired");
}

TEST_CASE("who was not reached is not reached by any upstream, until one of them reaches it", "[outages]") {
    Outages outages;
    std::vector<std::string> told;
    outages.on_failure([&](const std::string& key) { told.push_back(key); });
    CHECK_FALSE(outages.unreached("a:1", "billing"));
    outages.failed(failure("a:1"), start);
    REQUIRE(outages.unreached("a:1", "billing"));
    CHECK(outages.unreached("a:1", "billing")->upstream == "billing");
    CHECK(outages.unreached("a:1", "billing")->error == "timeout expired");
    CHECK(told == std::vector<std::string>{"a:1"});
    SECTION("one that only refuses it knows better for itself") {
        outages.refused({.key = "a:1", .upstream = "billing", .host = "db:1", .error = "refused"});
        CHECK_FALSE(outages.unreached("a:1", "billing"));
        CHECK(outages.unreached("a:1", "stock"));
    }
    SECTION("one that is slow has not ended") {
        Outages::Failure slow = failure("b:1");
        slow.patience = 250ms;
        outages.failed(slow, start);
        CHECK(told.size() == 1);
    }
    SECTION("it answers again") {
        outages.answered("a:1", 1ms);
        CHECK_FALSE(outages.unreached("a:1", "billing"));
    }
}

TEST_CASE("of very many refusals the oldest are forgotten", "[outages]") {
    Outages outages;
    for (std::size_t i = 0; i <= Outages::max_remembered; ++i)
        outages.refused({.key = std::to_string(i) + ":1", .upstream = "orders", .host = "db:1", .error = "refused"});
    CHECK(outages.all().size() == Outages::max_remembered);
}

TEST_CASE("of a recovery every upstream hears that met the outage, whoever met it last", "[outages]") {
    Outages outages;
    std::vector<std::string> told;
    outages.on_recovery([&told](const std::string& upstream) { told.push_back(upstream); });
    Outages::Failure of_standbys = failure("a:1");
    of_standbys.upstream = "standbys";
    const auto fails = [&] {
        outages.failed(failure("a:1"), start);
        outages.failed(of_standbys, start);
        outages.failed(of_standbys, start);
        outages.failed(failure("b:1"), start);
    };
    fails();
    outages.answered("a:1", 1ms);
    CHECK(told == std::vector<std::string>{"orders", "standbys"});
    outages.answered("a:1", 1ms);
    CHECK(told.size() == 2);
    fails();
    outages.served("a:1", "third");
    CHECK(told == std::vector<std::string>{"orders", "standbys", "orders", "standbys", "third"});
}
