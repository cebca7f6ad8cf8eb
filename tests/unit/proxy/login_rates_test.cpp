// login_rate_per_address: how many, how fast, and for whom. Time is given.
#include "proxy/server/login_rates.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::AddressGroup;
using proxy::LoginRates;

const LoginRates::Time start{1h};

AddressGroup address(unsigned number) {
    AddressGroup made{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    for (int i = 12; i < 16; ++i)
        made[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(number >> (8 * (15 - i)));
    return made;
}

/// How many of very many at this moment may begin.
unsigned at_once(LoginRates& rates, unsigned rate, LoginRates::Time now, const AddressGroup& who = address(1)) {
    unsigned may = 0;
    while (may < 100'000 && rates.may_begin("l", who, rate, now)) ++may;
    return may;
}

}  // namespace

TEST_CASE("login rates: after a rest those of 5 s may begin at once, and not one more") {
    for (const unsigned rate : {1U, 2U, 3U, 7U, 10U, 1000U}) {
        LoginRates rates;
        CHECK(at_once(rates, rate, start) == 5 * rate);
        CHECK(at_once(rates, rate, start) == 0);
        CHECK(at_once(rates, rate, start + 1h) == 5 * rate);
    }
}

TEST_CASE("login rates: then they may begin at that rate, whatever else was tried") {
    LoginRates rates;
    at_once(rates, 10, start);
    CHECK(at_once(rates, 10, start + 99ms) == 0);
    CHECK(at_once(rates, 10, start + 100ms) == 1);
    CHECK(at_once(rates, 10, start + 199ms) == 0);
    CHECK(at_once(rates, 10, start + 1s) == 9);
    CHECK(at_once(rates, 10, start + 3s) == 20);
}

TEST_CASE("login rates: whoever keeps to the rate is never refused") {
    LoginRates rates;
    for (int i = 0; i < 10'000; ++i) REQUIRE(rates.may_begin("l", address(1), 10, start + i * 100ms));
}

TEST_CASE("login rates: addresses and listeners have a rate each") {
    LoginRates rates;
    CHECK(at_once(rates, 1, start, address(1)) == 5);
    CHECK(at_once(rates, 1, start, address(2)) == 5);
    CHECK(rates.may_begin("other", address(1), 1, start));
}

TEST_CASE("login rates: 0 is no limit, and a reload's rate is for what comes then") {
    LoginRates rates;
    CHECK(at_once(rates, 0, start) == 100'000);
    CHECK(at_once(rates, 1, start) == 5);
    CHECK(at_once(rates, 2, start) == 0);  // what has begun is not forgotten
    CHECK(at_once(rates, 2, start + 1s) == 2);
    CHECK(at_once(rates, 0, start + 1s) == 100'000);
}

TEST_CASE("login rates: of more addresses than are remembered the one that was away for longest starts anew") {
    LoginRates rates;
    CHECK(at_once(rates, 1, start, address(0)) == 5);
    for (unsigned i = 1; i < LoginRates::max_remembered; ++i) rates.may_begin("l", address(i), 1, start);
    CHECK(at_once(rates, 1, start, address(0)) == 0);  // and so it is the last that came
    rates.may_begin("l", address(LoginRates::max_remembered), 1, start);
    CHECK(at_once(rates, 1, start, address(0)) == 0);
    CHECK(at_once(rates, 1, start, address(1)) == 5);
}
