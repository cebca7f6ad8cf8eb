// How many ends of certificates are told of one address.
#include "proxy/server/expiry_budget.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::ExpiryBudget;

const ExpiryBudget::Place here{"orders", "10.0.0.1:5432"}, there{"orders", "10.0.0.2:5432"};
const ExpiryBudget::Clock::time_point start{1000h};

/// How many of `count` certificates, each shown twice, are told.
unsigned tell(ExpiryBudget& budget, const ExpiryBudget::Place& place, unsigned count,
              ExpiryBudget::Clock::time_point now) {
    unsigned told = 0;
    for (unsigned i = 0; i < count; ++i) {
        const std::string which = "server " + std::to_string(i);
        if (budget.may_tell(place, which, now)) {
            budget.note_told(place);
            ++told;
        } else {
            CHECK_FALSE(budget.may_tell(place, which, now + 1s));
        }
    }
    return told;
}

}  // namespace

TEST_CASE("expiry budget: an address with a new certificate for each login is told of ten times an hour") {
    ExpiryBudget budget;
    CHECK(tell(budget, here, 500, start) == 10);
    CHECK(tell(budget, there, 500, start) == 10);
    CHECK_FALSE(budget.may_tell(here, "server 499", start + 59min));
    CHECK(tell(budget, here, 500, start + 1h) == 10);
}

TEST_CASE("expiry budget: what was left out is counted, each once, without the one that is told in the end") {
    ExpiryBudget budget;
    tell(budget, here, 500, start);
    REQUIRE(budget.may_tell(here, "server 499", start + 1h));
    CHECK(budget.left_out(here, "server 499") == 489);
    CHECK(budget.left_out(here, "another") == 490);
    budget.note_told(here);
    CHECK(budget.left_out(here, "another") == 0);
    CHECK(budget.left_out(there, "another") == 0);
}

TEST_CASE("expiry budget: a place that nobody asks about makes room, and those that are told go on") {
    ExpiryBudget budget;
    tell(budget, here, 20, start);
    for (std::size_t i = 0; i < ExpiryBudget::max_places + 10; ++i) {
        REQUIRE(budget.may_tell({"orders", std::to_string(i)}, "leaf", start));
        CHECK_FALSE(budget.may_tell(here, "server 19", start));
    }
}
