#include "proxy/upstream/target_session.hpp"

#include "support/catch.hpp"

namespace {

using protocol::HostRole;
using proxy::Fit;
using proxy::fit;
using proxy::likely_fit;
using Wanted = proxy::TargetSessionAttrs;

constexpr Wanted all[] = {Wanted::any,     Wanted::read_write, Wanted::read_only,
                          Wanted::primary, Wanted::standby,    Wanted::prefer_standby};

}  // namespace

TEST_CASE("a session fits as libpq has it") {
    const bool read_only = true;
    const bool writable = false;
    struct Row {
        HostRole role;
        bool is_read_only;
        Fit fits[6];
    };
    const auto yes = Fit::yes;
    const auto no = Fit::no;
    const Row rows[] = {
        {HostRole::primary, writable, {yes, yes, no, yes, no, no}},
        {HostRole::primary, read_only, {yes, no, yes, yes, no, no}},
        {HostRole::standby, read_only, {yes, no, yes, no, yes, yes}},
    };
    for (const Row& row : rows) {
        for (std::size_t i = 0; i < 6; ++i) {
            CAPTURE(i);
            CHECK(fit(all[i], row.role, row.is_read_only) == row.fits[i]);
            CHECK(likely_fit(all[i], row.role, row.is_read_only) == row.fits[i]);
        }
    }
}

TEST_CASE("what nobody has seen fits nothing but any") {
    for (const Wanted wanted : all) {
        const Fit expected = wanted == Wanted::any ? Fit::yes : Fit::unknown;
        CHECK(fit(wanted, HostRole::unknown, std::nullopt) == expected);
        CHECK(likely_fit(wanted, HostRole::unknown, std::nullopt) == expected);
    }
    CHECK(fit(Wanted::read_write, HostRole::primary, std::nullopt) == Fit::unknown);
    CHECK(fit(Wanted::read_only, HostRole::standby, std::nullopt) == Fit::unknown);
}

TEST_CASE("before a login a primary is taken for writable, and a standby is known to be read-only") {
    CHECK(likely_fit(Wanted::read_write, HostRole::primary, std::nullopt) == Fit::yes);
    CHECK(likely_fit(Wanted::read_write, HostRole::standby, std::nullopt) == Fit::no);
    CHECK(likely_fit(Wanted::read_only, HostRole::standby, std::nullopt) == Fit::yes);
    CHECK(likely_fit(Wanted::read_only, HostRole::primary, std::nullopt) == Fit::unknown);
}

TEST_CASE("before a login a standby is read-only, whatever sessions were there while it was a primary") {
    for (const bool was_read_only : {false, true}) {
        CHECK(likely_fit(Wanted::read_write, HostRole::standby, was_read_only) == Fit::no);
        CHECK(likely_fit(Wanted::read_only, HostRole::standby, was_read_only) == Fit::yes);
    }
}

TEST_CASE("who does not fit is told why") {
    for (const Wanted wanted : all) CHECK(proxy::why_unfit(wanted).empty() == (wanted == Wanted::any));
}
