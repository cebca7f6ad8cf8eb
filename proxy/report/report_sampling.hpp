// What servers' own lists of sessions say of the proxies, for report_direct.cpp and
// report_sampling.cpp alone.
#pragma once

#include <array>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "proxy/report/report.hpp"

namespace proxy::report {

/// Whose the sessions are that a proxy lists and that are none of its own.
class OwnSessions {
   public:
    explicit OwnSessions(const std::vector<const InventoryRows*>& inventories);

    /// Whether what `lister` lists in `row`, not as its own, came through another proxy: one whose
    /// own sessions of that kind, at that server, reach from the row's beginning to its end. Where
    /// that one lists some like it that are not its own, nothing is explained.
    bool explain(const InventoryRows& lister, const SampledSessionsRow& row) const;

   private:
    /// As a server tells its sessions apart; empty and "local" texts as it has them.
    using Kind = std::array<std::string, 5>;
    using Place = std::pair<const InventoryRows*, std::string>;  // who lists, and the server's address
    struct Listed {
        Timestamp own_since = std::numeric_limits<Timestamp>::max();
        Timestamp own_until = 0;  ///< 0: it has none of its own
        bool others = false;      ///< and it lists some that are not its own
    };
    /// How a server made itself known, and when it was last asked; 0: it did not.
    struct Server {
        std::int64_t started = 0;
        Timestamp last_look = 0;
    };

    static Kind kind(const SampledSessionsRow& row);
    bool is_one_server(const Place& a, const Place& b) const;

    std::map<Kind, std::map<Place, Listed>> kinds_;
    std::map<Place, Server> servers_;
};

/// Whether Amazon itself looks after its server there: nobody who could do anything about it.
bool is_amazons(const SampledSessionsRow& row);

/// Of two rows of the report that become one.
void join_direct(DirectFacts& into, const DirectFacts& from);

}  // namespace proxy::report
