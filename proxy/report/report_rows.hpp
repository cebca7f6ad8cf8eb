// What the merge is made of: which inventories there are, and rows that become one.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "proxy/report/report.hpp"

namespace proxy::report {

template <class Row, class Other>
void merge_times(Row& into, const Other& from) {
    into.first_seen = std::min(into.first_seen, from.first_seen);
    into.last_seen = std::max(into.last_seen, from.last_seen);
}

/// A proxy's file and a fleet's copy of it are the same knowledge: the newer is taken, nothing is
/// counted twice. Copies that went apart count both, since each knows what the other does not:
/// `apart` has their proxies' names.
std::vector<const InventoryRows*> distinct(const std::vector<InventoryRows>& inventories, std::set<std::string>& apart);

/// A certificate of a server as one proxy met it.
struct Sighting {
    const UpstreamCertificateRow* row;
    std::string instance;  ///< empty: not known
};
/// `seen`: rows of one certificate, at least one.
UpstreamCertificateRow merged_certificate(std::vector<Sighting> seen, Rehearsal& rehearsal);

}  // namespace proxy::report
