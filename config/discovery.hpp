// Where the instances of a cluster are found: the domain of their names, from the names that are
// configured. A server tells no more than the first label.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace config {

/// "abc123.eu-west-1.rds.amazonaws.com" of what Amazon calls an instance
/// ("orders-1.abc123.eu-west-1..."), or a cluster's writer, reader or custom endpoint
/// ("orders.cluster-ro-abc123.eu-west-1..."). nullopt: it is none of these.
std::optional<std::string> instance_domain(std::string_view name);

struct DiscoveryDomain {
    std::string domain{};     ///< of the names of instances, in lower case; empty: `error`
    std::string error{};      ///< a sentence without its subject, as other errors of the configuration
    bool of_pattern = false;  ///< the error is about `pattern`
};

/// Of an upstream with these hosts. `pattern`: "?.db.example.com", within the domain of one of
/// them; empty: there is none.
DiscoveryDomain discovery_domain(const std::vector<Address>& hosts, std::string_view pattern);

/// The name of an instance that a server has told of. nullopt: the id is no label of DNS in lower
/// case, or the name would be too long for one.
std::optional<std::string> instance_name(std::string_view id, std::string_view domain);

}  // namespace config
