// Which sources may be one. The executable of a client of this host is found some milliseconds
// after accept, or not at all: without it, a client may be any of those at its address.
#pragma once

#include "proxy/observation/client_identity.hpp"

namespace proxy {

/// Before all sources at that address, in order.
inline ClientOrigin first_at_address(const ClientOrigin& source) {
    ClientOrigin first;
    first.upstream = source.upstream;
    first.client_addr = source.client_addr;
    return first;
}

inline bool same_address(const ClientOrigin& one, const ClientOrigin& other) noexcept {
    return one.upstream == other.upstream && one.client_addr == other.client_addr;
}

inline bool may_be_same(const ClientOrigin& one, const ClientOrigin& other) noexcept {
    const bool one_user = one.client_uid < 0 || other.client_uid < 0 || one.client_uid == other.client_uid;
    return same_address(one, other) && one_user &&
           (one.client_exe == other.client_exe || one.client_exe.empty() || other.client_exe.empty());
}

}  // namespace proxy
