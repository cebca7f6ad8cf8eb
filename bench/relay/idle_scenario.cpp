// Connections that are held and do nothing: the memory that each takes.
#include "bench/relay/scenario.hpp"
#include "bench/relay/sessions.hpp"
#include "bench/relay/spent.hpp"

namespace bench {
namespace {

/// Enough to reach every thread of a small proxy, whose buffers are no connection's; few enough for
/// what they leave behind not to matter.
constexpr std::size_t warm_up_connections = 8;
/// In which a process finishes what it has to do for connections that have come or gone.
constexpr std::chrono::milliseconds settle{500};

std::uint64_t resident_kib(const Subject& subject) {
    std::this_thread::sleep_for(settle);
    return subject.process ? subject.process->memory().kib : 0;
}

}  // namespace

Scenario idle_scenario(const ScenarioOptions& options) {
    const auto measure = [count = options.idle](Generator& generator, Subject& subject) -> Figures {
        if (!subject.unused_kib) {
            // Once only: a process keeps much of what it has had, so that later repetitions would
            // seem to need nothing.
            Sessions(generator, subject.route, warm_up_connections).close();
            subject.unused_kib = resident_kib(subject);
        }
        Sessions sessions(generator, subject.route, count);
        const std::uint64_t now = resident_kib(subject);
        const SpentMeter meter(subject);
        std::this_thread::sleep_for(settle);
        const Spent spent = meter.spent();
        sessions.close();
        if (!subject.process) return {std::nullopt, std::nullopt, std::nullopt};
        return {(static_cast<double>(now) - static_cast<double>(*subject.unused_kib)) / count, spent.process_cores(),
                spent.busiest_thread_share};
    };
    return {.workload = "idle",
            .title = "idle, " + std::to_string(options.idle) + " connections",
            .clients = options.idle,
            .metrics = {{.key = "rss_kib_per_connection", .name = "RSS KiB/connection", .digits = 1},
                        process_cores_metric(),
                        busiest_thread_metric()},
            .measure = measure};
}

}  // namespace bench
