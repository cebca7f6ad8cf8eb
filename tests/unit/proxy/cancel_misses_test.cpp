// How many cancel requests that match nothing an address may send.
#include "proxy/session/cancel_misses.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::AddressGroup;
using proxy::CancelMisses;

const CancelMisses::Time start{1h};

AddressGroup address(unsigned number) {
    AddressGroup made{};
    for (int byte = 0; byte < 4; ++byte) made[byte] = static_cast<std::uint8_t>(number >> 8 * byte);
    return made;
}

/// How many requests in a row, none of which matches, are looked up.
unsigned looked_up(CancelMisses& misses, const AddressGroup& from, CancelMisses::Time now) {
    unsigned count = 0;
    for (; count < 10 * CancelMisses::free_misses && misses.may_ask(from, now); ++count) misses.missed(from, now);
    return count;
}

}  // namespace

TEST_CASE("an address has so many misses free, and gets one back after each time_per_miss") {
    CancelMisses misses;
    CHECK(looked_up(misses, address(1), start) == CancelMisses::free_misses);
    CHECK(looked_up(misses, address(1), start + CancelMisses::time_per_miss - 1ms) == 0);
    CHECK(looked_up(misses, address(1), start + CancelMisses::time_per_miss) == 1);
    CHECK(looked_up(misses, address(1), start + 4 * CancelMisses::time_per_miss) == 3);
    CHECK(looked_up(misses, address(1), start + 1h) == CancelMisses::free_misses);
}

TEST_CASE("keys are guessed no faster than that, however long it goes on") {
    CancelMisses misses;
    unsigned count = 0;
    for (auto now = start; now < start + 100s; now += 1ms) {
        if (!misses.may_ask(address(1), now)) continue;
        misses.missed(address(1), now);
        ++count;
    }
    CHECK(count <= CancelMisses::free_misses + 100s / CancelMisses::time_per_miss);
}

TEST_CASE("one address's misses are no other's") {
    CancelMisses misses;
    looked_up(misses, address(1), start);
    CHECK(looked_up(misses, address(2), start) == CancelMisses::free_misses);
}

TEST_CASE("that an address is limited is told once, and again after it was good") {
    CancelMisses misses;
    unsigned told = 0;
    const auto miss_all = [&](CancelMisses::Time now) {
        while (misses.may_ask(address(1), now)) told += misses.missed(address(1), now);
    };
    miss_all(start);
    CHECK(told == 1);
    miss_all(start + 10 * CancelMisses::time_per_miss);
    CHECK(told == 1);
    miss_all(start + 1h);
    CHECK(told == 2);
}

TEST_CASE("a flood of addresses takes no more room, and shares one limit beyond it") {
    CancelMisses misses;
    for (unsigned i = 0; i < CancelMisses::max_addresses; ++i) misses.missed(address(i), start);
    CHECK(looked_up(misses, address(20'000), start) == CancelMisses::free_misses);
    CHECK(looked_up(misses, address(20'001), start) == 0);
    CHECK(looked_up(misses, address(1), start) == CancelMisses::free_misses - 1);
}

TEST_CASE("addresses whose misses have come back make room") {
    CancelMisses misses;
    for (unsigned i = 0; i < CancelMisses::max_addresses; ++i) misses.missed(address(i), start);
    const auto later = start + 1h;
    CHECK(looked_up(misses, address(20'000), later) == CancelMisses::free_misses);
    CHECK(looked_up(misses, address(20'001), later) == CancelMisses::free_misses);
}
