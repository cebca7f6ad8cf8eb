#include "bench/connect/connect_report.hpp"
#include "bench/relay/relay_report.hpp"

namespace bench {
namespace {

std::string columns_of(const std::optional<Spread>& spread, int digits) {
    if (!spread) return ",,,";
    return "," + decimal(spread->median, digits) + "," + decimal(spread->min, digits) + "," +
           decimal(spread->max, digits);
}

}  // namespace

std::string to_csv(const RelayReport& report) {
    std::string text = "workload,clients,idle,target,metric,median,min,max,ratio,ratio_min,ratio_max\n";
    for (const RelayReport::Result& result : report.results) {
        const Scenario& scenario = result.scenario;
        const std::string row =
            scenario.workload + "," + std::to_string(scenario.clients) + "," + std::to_string(scenario.idle) + ",";
        for (std::size_t metric = 0; metric < scenario.metrics.size(); ++metric) {
            for (std::size_t target = 0; target < report.targets.size(); ++target) {
                text += row + report.targets[target].name + "," + scenario.metrics[metric].key +
                        columns_of(spread_of(known(result.targets[target], metric)), scenario.metrics[metric].digits) +
                        columns_of(result.ratio(target, metric), 3) + "\n";
            }
        }
    }
    return text;
}

}  // namespace bench
