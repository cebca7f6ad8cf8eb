#include "proxy/observation/scram_habits.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Caller;
using proxy::ScramHabits;

const ScramHabits::Time start = ScramHabits::Time() + 1h;
const Caller ada{{.usename = "ada", .datname = "shop", .application_name = "psql"}, "legacy", "10.0.0.1"};

}  // namespace

TEST_CASE("who left when it was offered SCRAM is remembered, and for a day") {
    ScramHabits habits;
    CHECK_FALSE(habits.wants_password(ada, start));
    habits.left_offer(ada, start);
    CHECK(habits.wants_password(ada, start));
    ScramHabits later;
    later.left_offer(ada, start);
    CHECK(later.wants_password(ada, start + 24h));
    ScramHabits forgotten;
    forgotten.left_offer(ada, start);
    CHECK_FALSE(forgotten.wants_password(ada, start + 24h + 1ms));
}

TEST_CASE("who keeps coming back is not forgotten") {
    ScramHabits habits;
    habits.left_offer(ada, start);
    for (int day = 1; day < 10; ++day) CHECK(habits.wants_password(ada, start + day * 24h));
    CHECK_FALSE(habits.wants_password(ada, start + 11 * 24h));
}

TEST_CASE("who has spoken SCRAM knows it, and left for another reason") {
    ScramHabits habits;
    habits.spoke(ada, start);
    habits.left_offer(ada, start + 24h);
    CHECK_FALSE(habits.wants_password(ada, start + 24h));
}

TEST_CASE("who spoke SCRAM more than a day ago may be another program now") {
    ScramHabits habits;
    habits.spoke(ada, start);
    habits.left_offer(ada, start + 24h + 1ms);
    CHECK(habits.wants_password(ada, start + 24h + 1ms));
}

TEST_CASE("who would not switch to a password is asked first, although it spoke SCRAM") {
    ScramHabits habits;
    habits.spoke(ada, start);
    habits.left_switch(ada, start);
    CHECK(habits.wants_password(ada, start));
    CHECK_FALSE(habits.wants_password(ada, start + 24h + 1ms));
}

TEST_CASE("who left when it was asked for its password at once had another reason") {
    ScramHabits habits;
    habits.left_offer(ada, start);
    habits.left_password(ada, start);
    CHECK_FALSE(habits.wants_password(ada, start));
    habits.left_password(ada, start);  // of whom nothing is known
    habits.left_offer(ada, start + 11s);
    CHECK(habits.wants_password(ada, start + 11s));
}

TEST_CASE("a health check that leaves at every offer does not keep out who insists on SCRAM") {
    ScramHabits habits;
    const auto health_check = [&](ScramHabits::Time now) {
        habits.wants_password(ada, now) ? habits.left_password(ada, now) : habits.left_offer(ada, now);
    };
    health_check(start);
    REQUIRE(habits.wants_password(ada, start + 1s));
    habits.left_password(ada, start + 1s);  // the application will not give it
    health_check(start + 2s);
    CHECK_FALSE(habits.wants_password(ada, start + 3s));
    habits.spoke(ada, start + 3s);
    for (auto later = 4s; later < 60s; later += 2s) {
        health_check(start + later);
        CHECK_FALSE(habits.wants_password(ada, start + later + 1s));
    }
}

TEST_CASE("a driver that gave its password when it was asked is not kept out by a health check either") {
    ScramHabits habits;
    habits.left_offer(ada, start);
    habits.gave_password(ada, start + 1s);
    habits.left_password(ada, start + 2s);  // a check of the same name
    habits.left_offer(ada, start + 3s);     // the driver
    CHECK(habits.wants_password(ada, start + 4s));
}

TEST_CASE("what one program did says nothing of another") {
    ScramHabits habits;
    habits.left_offer(ada, start);
    for (std::string Caller::*part : std::initializer_list<std::string Caller::*>{
             &Caller::listener, &Caller::client_addr, &Caller::usename, &Caller::datname, &Caller::application_name}) {
        Caller other = ada;
        other.*part = "other";
        CHECK_FALSE(habits.wants_password(other, start));
        habits.spoke(other, start);
        habits.left_password(other, start);
    }
    CHECK(habits.wants_password(ada, start));
}

TEST_CASE("a flood of programs keeps nobody out: the older half makes room") {
    ScramHabits habits;
    habits.left_offer(ada, start);
    Caller other = ada;
    for (int i = 0; i < 10'000; ++i) {
        other.usename = std::to_string(i);
        habits.left_offer(other, start + std::chrono::milliseconds(i + 1));
    }
    CHECK(habits.wants_password(other, start + 11s));
    CHECK_FALSE(habits.wants_password(ada, start + 11s));
}

TEST_CASE("who keeps coming back is not forgotten in a flood") {
    ScramHabits habits;
    habits.left_offer(ada, start);
    Caller other = ada;
    for (int i = 0; i < 50'000; ++i) {
        other.usename = std::to_string(i);
        const auto now = start + std::chrono::milliseconds(i);
        habits.left_offer(other, now);
        if (i % 1000 == 0) CHECK(habits.wants_password(ada, now));
    }
    CHECK(habits.wants_password(ada, start + 20h));
    CHECK(habits.wants_password(ada, start + 40h));
}
