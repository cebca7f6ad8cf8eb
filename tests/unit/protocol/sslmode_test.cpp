#include "protocol/sslmode.hpp"

#include <array>
#include <string>

#include "support/catch.hpp"

namespace {

using protocol::SslMode;
using protocol::SslModeInterval;
using protocol::Verifies;

constexpr std::array modes{SslMode::disable, SslMode::allow,     SslMode::prefer,
                           SslMode::require, SslMode::verify_ca, SslMode::verify_full};

template <class F>
void for_each_interval(F f) {
    for (const SslMode min : modes) {
        for (const SslMode max : modes) {
            if (min <= max) f(SslModeInterval{min, max});
        }
    }
}

}  // namespace

TEST_CASE("sslmode is spelled as libpq spells it") {
    const std::array<std::string_view, 6> names{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"};
    for (std::size_t i = 0; i < modes.size(); ++i) {
        CHECK(to_string(modes[i]) == names[i]);
        CHECK(protocol::parse_sslmode(names[i]) == modes[i]);
    }
    for (const std::string_view text : {"", "Require", "verify_ca", "verify-full ", "on"}) {
        CHECK_FALSE(protocol::parse_sslmode(text).has_value());
    }
}

TEST_CASE("modes compare by strength") {
    for (std::size_t i = 1; i < modes.size(); ++i) CHECK(modes[i - 1] < modes[i]);
}

TEST_CASE("nothing known is the whole line") {
    CHECK(SslModeInterval{} == SslModeInterval{SslMode::disable, SslMode::verify_full});
    CHECK(SslModeInterval{}.verifies() == Verifies::unknown);
}

TEST_CASE("an interval verifies when it cannot be below verify-ca, and does not when it cannot be above require") {
    for_each_interval([](SslModeInterval interval) {
        const Verifies expected = interval.max <= SslMode::require     ? Verifies::no
                                  : interval.min >= SslMode::verify_ca ? Verifies::yes
                                                                       : Verifies::unknown;
        CHECK(interval.verifies() == expected);
    });
    CHECK(to_string(Verifies::no) == "no");
    CHECK(to_string(Verifies::yes) == "yes");
    CHECK(to_string(Verifies::unknown) == "unknown");
}

TEST_CASE("an intersection holds exactly the modes that both hold") {
    const auto holds = [](SslModeInterval interval, SslMode mode) {
        return interval.min <= mode && mode <= interval.max;
    };
    for_each_interval([&](SslModeInterval a) {
        for_each_interval([&](SslModeInterval b) {
            const auto both = intersect(a, b);
            bool any = false;
            bool right = true;
            for (const SslMode mode : modes) {
                const bool in_both = holds(a, mode) && holds(b, mode);
                any = any || in_both;
                right = right && in_both == (both.has_value() && holds(*both, mode));
            }
            CHECK(right);
            CHECK(any == both.has_value());
            CHECK(intersect(b, a) == both);
        });
    });
}
