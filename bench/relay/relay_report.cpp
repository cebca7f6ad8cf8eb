#include "bench/relay/relay_report.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace bench {
namespace {

namespace json = boost::json;

json::value to_value(const std::optional<double>& number) {
    return number ? json::value(*number) : json::value(nullptr);
}

json::value to_value(const std::optional<Spread>& spread) {
    if (!spread) return nullptr;
    return json::object{{"median", spread->median}, {"min", spread->min}, {"max", spread->max}};
}

json::object target_of(const RelayReport::Target& target) {
    json::object object{{"name", target.name}, {"address", target.address}, {"encryption", target.encryption}};
    object["pids"] = json::array(target.pids.begin(), target.pids.end());
    object["rss_source"] = target.memory_source.empty() ? json::value(nullptr) : json::value(target.memory_source);
    return object;
}

json::object figures_of(const RelayReport::Result& result, std::size_t target, std::size_t metric) {
    json::array values;
    for (const Figures& figures : result.targets[target]) values.push_back(to_value(figures[metric]));
    return {{"values", std::move(values)},
            {"spread", to_value(spread_of(known(result.targets[target], metric)))},
            {"ratio", to_value(result.ratio(target, metric))}};
}

}  // namespace

std::vector<double> known(const Repetitions& repetitions, std::size_t metric) {
    std::vector<double> values;
    for (const Figures& figures : repetitions) {
        if (figures[metric]) values.push_back(*figures[metric]);
    }
    return values;
}

std::optional<Spread> ratio_of(const Repetitions& target, const Repetitions& first, std::size_t metric) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < std::min(target.size(), first.size()); ++i) {
        const auto value = target[i][metric];
        const auto reference = first[i][metric];
        if (!value || !reference || *reference == 0) return std::nullopt;
        ratios.push_back(*value / *reference);
    }
    return spread_of(std::move(ratios));
}

std::optional<Spread> RelayReport::Result::ratio(std::size_t target, std::size_t metric) const {
    const bool compared = target > 0 && scenario.metrics[metric].compared;
    return compared ? ratio_of(targets[target], targets[0], metric) : std::nullopt;
}

std::string to_json(const RelayReport& report) {
    json::object document{{"program", "pgairlock-bench"},      {"command", "relay"},
                          {"version", report.version},         {"started", report.started},
                          {"repetitions", report.repetitions}, {"cores", report.cores},
                          {"threads", report.threads}};
    json::array targets;
    for (const RelayReport::Target& target : report.targets) targets.push_back(target_of(target));
    document["targets"] = std::move(targets);
    json::array results;
    for (const RelayReport::Result& result : report.results) {
        json::object by_target;
        for (std::size_t target = 0; target < report.targets.size(); ++target) {
            json::object metrics;
            for (std::size_t metric = 0; metric < result.scenario.metrics.size(); ++metric) {
                metrics[result.scenario.metrics[metric].key] = figures_of(result, target, metric);
            }
            by_target[report.targets[target].name] = std::move(metrics);
        }
        results.push_back(json::object{{"workload", result.scenario.workload},
                                       {"title", result.scenario.title},
                                       {"clients", result.scenario.clients},
                                       {"idle", result.scenario.idle},
                                       {"targets", std::move(by_target)}});
    }
    document["results"] = std::move(results);
    document["interrupted"] = report.interrupted;
    document["failure"] = report.failure.empty() ? json::value(nullptr) : json::value(report.failure);
    return json::serialize(document) + '\n';
}

}  // namespace bench
