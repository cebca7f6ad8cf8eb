#include "proxy/observation/failed_logins.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::FailedLogins;

const FailedLogins::Time start = FailedLogins::Time() + 1h;

}  // namespace

TEST_CASE("the first wrong password is answered at once, and later ones ever later, up to a limit") {
    FailedLogins logins;
    CHECK(logins.failed("10.0.0.1", "ada", start) == 0ms);
    CHECK(logins.failed("10.0.0.1", "ada", start) == 100ms);
    CHECK(logins.failed("10.0.0.1", "ada", start) == 200ms);
    for (int i = 0; i < 100; ++i) CHECK(logins.failed("10.0.0.1", "ada", start) <= FailedLogins::longest_delay);
    CHECK(logins.failed("10.0.0.1", "ada", start) == FailedLogins::longest_delay);
}

TEST_CASE("other names from one address, and one name from other addresses, are guesses too") {
    FailedLogins logins;
    logins.failed("10.0.0.1", "ada", start);
    CHECK(logins.failed("10.0.0.1", "bob", start) == 100ms);
    CHECK(logins.failed("10.0.0.2", "ada", start) == 100ms);
    CHECK(logins.failed("10.0.0.3", "eve", start) == 0ms);
}

TEST_CASE("wrong passwords are forgotten after a minute without any") {
    FailedLogins logins;
    logins.failed("10.0.0.1", "ada", start);
    CHECK(logins.failed("10.0.0.1", "ada", start + 60s) == 100ms);
    CHECK(logins.failed("10.0.0.1", "ada", start + 121s) == 0ms);
}

TEST_CASE("a flood of names is no flood of memory") {
    FailedLogins logins;
    for (int i = 0; i < 30'000; ++i) logins.failed("10.0.0.1", std::to_string(i), start);
    CHECK(logins.failed("10.0.0.1", "ada", start) == FailedLogins::longest_delay);
}

TEST_CASE("an IPv6 client is its /64") {
    CHECK(proxy::source_of_address("2001:db8::1:2:3:4") == "2001:db8::/64");
    CHECK(proxy::source_of_address("10.0.0.1") == "10.0.0.1");
    CHECK(proxy::source_of_address("::1") == "::1");
    CHECK(proxy::source_of_address("") == "");
}

TEST_CASE("a flood of names does not free the one who goes on guessing") {
    FailedLogins logins;
    for (int i = 0; i < 10; ++i) logins.failed("10.0.0.1", "ada", start);
    for (std::size_t i = 0; i < 3 * FailedLogins::max_remembered; ++i) {
        logins.failed("10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250), "u" + std::to_string(i),
                      start);
        if (i % 5'000 == 0) CHECK(logins.failed("10.0.0.1", "ada", start) == FailedLogins::longest_delay);
    }
    CHECK(logins.failed("10.0.0.1", "ada", start) == FailedLogins::longest_delay);
    CHECK(logins.failed("10.1.0.0", "u0", start) ==
          std::chrono::milliseconds(0));  // forgotten: there is no room for all
}
