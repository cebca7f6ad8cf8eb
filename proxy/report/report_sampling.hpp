// What servers' own lists of sessions say of the proxies, for report_direct.cpp and
// report_sampling.cpp alone.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "proxy/report/report.hpp"

namespace proxy::report {

/// Whose the sessions are that a proxy lists and that are none of its own.
class OwnSessions {
   public:
    explicit OwnSessions(const std::vector<const InventoryRows*>& inventories);

    /// Whether what `lister` lists in `row`, not as its own, came through another proxy. Where that
    /// one has sessions like it that are not its own, or had its last one before, nothing is
    /// explained.
    bool explain(const InventoryRows& lister, const SampledSessionsRow& row) const;

   private:
    /// As a server tells sessions apart; empty and "local" texts as it has them.
    using Kind = std::array<std::string, 6>;
    struct Listed {
        Timestamp own_until = 0;  ///< 0: it has none of its own
        bool others = false;      ///< and it lists some that are not its own
    };

    static Kind kind(const SampledSessionsRow& row);

    std::map<Kind, std::map<const InventoryRows*, Listed>> kinds_;
};

/// Of two rows of the report that become one.
void join_direct(DirectFacts& into, const DirectFacts& from);

}  // namespace proxy::report
