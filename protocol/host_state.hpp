// What a server is asked about itself, and what it answers: whether it takes writes, and where it
// is Aurora, who its neighbours are.
//
// Everything is qualified, operators too: whoever may create a function or an operator in a schema
// of the search_path does not get to run it with our rights, nor to answer for the server. What can
// be compared here is compared here.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/simple_query.hpp"

namespace protocol {

/// Of the server as a whole.
struct HostState {
    bool in_recovery = false;  ///< a standby, or a reader of Aurora
    bool read_only = false;    ///< new transactions of whoever sets nothing else may not write
    bool is_aurora = false;    ///< it has Aurora's functions
};

/// The statement that host_state() reads the answer of.
extern const std::string_view host_state_query;
/// nullopt: it is no such answer.
std::optional<HostState> host_state(std::span<const TextRow> rows);

/// One of Aurora's cluster, as one of its instances has it.
struct AuroraInstance {
    std::string id;        ///< the first label of its name in DNS, and fit for one
    bool writer = false;   ///< as told, which is wrong for a while after a failover
    double lag_ms = 0;     ///< behind the writer
    bool is_self = false;  ///< the one that was asked
};

/// As Aurora's driver has it: after so long without news an instance is not told of any more.
inline constexpr std::chrono::seconds max_age_of_instance{300};
/// A cluster has sixteen at most.
inline constexpr std::size_t max_aurora_instances = 64;

/// The statement that aurora_instances() reads the answer of, for servers where is_aurora.
extern const std::string_view aurora_query;
/// Without those that nothing was heard of for max_age_of_instance, unless it is the writer or the
/// one that was asked. nullopt: it is no such answer.
std::optional<std::vector<AuroraInstance>> aurora_instances(std::span<const TextRow> rows);

}  // namespace protocol
