// What `relay` measures: each scenario runs one load against one target and returns its figures.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/relay/generator.hpp"
#include "bench/relay/process_meter.hpp"
#include "bench/target/route.hpp"

namespace bench {

/// What a scenario is run against.
struct Subject {
    Route route;
    std::optional<ProcessMeter> process;  ///< nullopt: its cost is not known
    std::optional<std::uint64_t> unused_kib =
        std::nullopt;  ///< its resident memory before it had to hold many connections

    const std::string& name() const noexcept { return route.target().name; }
};

struct Metric {
    std::string key;   ///< in JSON: "cpu_seconds_per_gb"
    std::string name;  ///< in tables: "CPU s/GB"
    int digits = 0;
    bool compared = true;  ///< false: a ratio to the first target would mean nothing
};

/// One for each metric; nullopt: not known of this target.
using Figures = std::vector<std::optional<double>>;

struct Scenario {
    std::string workload;  ///< as in --workload
    std::string title;     ///< "ping, 8 clients, 3 s"
    unsigned clients = 1;
    unsigned idle = 0;  ///< connections that are held beside them
    std::vector<Metric> metrics;
    std::function<Figures(Generator&, Subject&)> measure;  ///< throws std::runtime_error
    unsigned passing = 0;  ///< connections that come and go meanwhile: at most so many at a time

    std::size_t connections() const noexcept { return std::size_t{clients} + idle + passing; }
};

/// How much of what.
struct ScenarioOptions {
    std::vector<std::string> workloads;
    std::vector<unsigned> clients;      ///< ping
    std::vector<unsigned> idle_beside;  ///< ping: connections held meanwhile
    unsigned copy_clients = 1;
    unsigned copy_mb = 1000;
    Duration duration{};  ///< of ping and busy-among-idle
    unsigned idle = 1000;
    double connect_rate = 50;  ///< busy-among-idle: new connections per second
};

/// In the order in which they are to be run: idle first, because what others made a process
/// allocate would hide what connections need.
std::vector<Scenario> scenarios(const ScenarioOptions& options);

// The scenarios of each kind.
enum class CopyDirection { out, in };  ///< COPY TO STDOUT, COPY FROM STDIN
Scenario copy_scenario(const ScenarioOptions& options, CopyDirection direction);
Scenario ping_scenario(const ScenarioOptions& options, unsigned clients, unsigned idle);
Scenario idle_scenario(const ScenarioOptions& options);
Scenario busy_among_idle_scenario(const ScenarioOptions& options);

}  // namespace bench
