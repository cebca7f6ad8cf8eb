// What a StartupMessage asks for, as far as limits count it.
#pragma once

#include <chrono>
#include <string_view>

#include "proxy/route/snapshot.hpp"

namespace proxy {

struct LoginRequest {
    const ListenerRoute& route;
    std::string_view user;
    std::string_view database;  ///< empty: none, as of physical replication
    std::chrono::steady_clock::time_point now;
};

}  // namespace proxy
