// Servers of one upstream that each say that they are the primary: after a failover in which the
// old one came back as what it was, clients write to both. Who is a primary is known elsewhere
// (HostRoles); here only whether it lasts, and what the log says of it, once.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proxy/upstream/host_roles.hpp"

namespace proxy {

/// On one thread. No I/O, no clock.
class SeveralPrimaries {
   public:
    /// Between two looks: longer than a failover takes to be seen by everybody who tells of it.
    static constexpr std::chrono::seconds look_interval{10};

    /// `known`: HostRoles::all(); of `upstreams` alone, which want one kind of server. Lines for
    /// the log: of each set of primaries one, at the second look that finds it. Whose role is in
    /// doubt counts for nothing, and addresses of one host are one server.
    std::vector<std::string> look(const std::vector<std::pair<HostRoles::Server, HostRoles::Known>>& known,
                                  const std::set<std::string>& upstreams);

   private:
    using Primaries = std::map<std::string, std::string>;  // address to host
    struct Seen {
        Primaries primaries;
        bool told = false;
    };
    std::map<std::string, Seen> seen_;  // by upstream
};

}  // namespace proxy
