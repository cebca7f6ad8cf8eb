#include "bench/relay/scenario.hpp"

#include <algorithm>

namespace bench {

std::vector<Scenario> scenarios(const ScenarioOptions& options) {
    const auto& workloads = options.workloads;
    const auto wanted = [&](std::string_view name) {
        return std::find(workloads.begin(), workloads.end(), name) != workloads.end();
    };
    std::vector<Scenario> chosen;
    if (wanted("idle")) chosen.push_back(idle_scenario(options));
    if (wanted("copy-out")) chosen.push_back(copy_scenario(options, CopyDirection::out));
    if (wanted("copy-in")) chosen.push_back(copy_scenario(options, CopyDirection::in));
    for (const unsigned idle : options.idle_beside) {
        for (const unsigned clients : options.clients) {
            if (wanted("ping")) chosen.push_back(ping_scenario(options, clients, idle));
        }
    }
    if (wanted("busy-among-idle")) chosen.push_back(busy_among_idle_scenario(options));
    return chosen;
}

}  // namespace bench
