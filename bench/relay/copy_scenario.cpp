// One COPY of many bytes through each client: what a byte costs.
#include "bench/relay/scenario.hpp"
#include "bench/relay/sessions.hpp"
#include "bench/relay/spent.hpp"

namespace bench {
namespace {

/// The slowest that is waited for, in MB/s.
constexpr unsigned slowest = 5;

}  // namespace

Scenario copy_scenario(const ScenarioOptions& options, CopyDirection direction) {
    const bool out = direction == CopyDirection::out;
    const std::uint64_t bytes = options.copy_mb * std::uint64_t{1'000'000};
    const std::size_t clients = options.copy_clients;
    const auto limit = patience + std::chrono::seconds(options.copy_mb * clients / slowest);
    const auto measure = [=](Generator& generator, Subject& subject) -> Figures {
        Sessions sessions(generator, subject.route, clients);
        const SpentMeter meter(subject);
        for (std::size_t i = 0; i < clients; ++i) {
            Session& session = sessions.at(i);
            generator.spawn(sessions.thread_of(i), out ? session.copy_out(bytes) : session.copy_in(bytes));
        }
        generator.join(limit);
        const Spent spent = meter.spent();
        sessions.close();
        const double gb = static_cast<double>(bytes * clients) / 1e9;
        const auto cost = spent.process_cpu ? std::optional(*spent.process_cpu / gb) : std::nullopt;
        return {gb * 1000 / spent.seconds, cost, spent.process_cores(), spent.busiest_thread_share, spent.own_cores()};
    };
    const std::string name = out ? "copy-out" : "copy-in";
    return {.workload = name,
            .title = name + ", " + std::to_string(clients) + (clients == 1 ? " client, " : " clients, ") +
                     std::to_string(options.copy_mb) + " MB each",
            .clients = options.copy_clients,
            .metrics = {{.key = "mb_per_second", .name = "MB/s", .digits = 0},
                        {.key = "cpu_seconds_per_gb", .name = "CPU s/GB", .digits = 3},
                        process_cores_metric(),
                        busiest_thread_metric(),
                        own_cores_metric()},
            .measure = measure};
}

}  // namespace bench
