// What `relay` measured, as a table, JSON or CSV. Pure.
#pragma once

#include <string>

#include "bench/relay/scenario.hpp"
#include "bench/target/spread.hpp"

namespace bench {

/// One target's repetitions of one scenario.
using Repetitions = std::vector<Figures>;

/// Those of one metric that are known.
std::vector<double> known(const Repetitions& repetitions, std::size_t metric);

/// Repetition by repetition, so that what the machine did meanwhile is the same for both. nullopt:
/// one of them is not known, or zero.
std::optional<Spread> ratio_of(const Repetitions& target, const Repetitions& first, std::size_t metric);

struct RelayReport {
    struct Target {
        std::string name;
        std::string address;
        std::string encryption;  ///< "TLSv1.3 TLS_AES_256_GCM_SHA384", "plain"
        std::vector<pid_t> pids;
        std::string memory_source;  ///< see Memory; empty: no pids
    };
    struct Result {
        Scenario scenario;
        std::vector<Repetitions> targets;  ///< as in `targets` below

        /// To the first target; nullopt also where it would mean nothing.
        std::optional<Spread> ratio(std::size_t target, std::size_t metric) const;
    };

    std::string version;
    std::string started;  ///< RFC 3339
    std::vector<Target> targets;
    std::vector<Result> results;
    unsigned repetitions = 0;
    unsigned cores = 0;       ///< of the machine
    std::size_t threads = 0;  ///< of the load generator
    std::string failure;      ///< what ended the run early; empty: nothing, or an interrupt
    bool interrupted = false;
};

/// At most 120 columns, as long as no target has a long name.
std::string to_table(const RelayReport& report);
std::string to_json(const RelayReport& report);
/// A line for each target and metric of each result.
std::string to_csv(const RelayReport& report);

}  // namespace bench
