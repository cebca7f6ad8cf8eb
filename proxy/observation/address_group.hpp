// What limits per address count as one.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace proxy {

/// A v4 address, or a v6 /64: that is the least that one customer or host gets, and every address
/// in it is its own to use. UNIX-domain peers are one, all zeroes.
using AddressGroup = std::array<std::uint8_t, 16>;

/// `address`: v4 addresses v4-mapped.
inline AddressGroup address_group(const std::array<std::uint8_t, 16>& address) noexcept {
    constexpr std::array<std::uint8_t, 12> v4_mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (std::equal(v4_mapped.begin(), v4_mapped.end(), address.begin())) return address;
    AddressGroup group{};
    constexpr std::size_t network_bytes = 8;
    std::copy_n(address.begin(), network_bytes, group.begin());
    return group;
}

}  // namespace proxy
