#include "bench/relay/relay_report.hpp"

#include <boost/json.hpp>
#include <sstream>
#include <vector>

#include "support/catch.hpp"

namespace {

using bench::Figures;
using bench::RelayReport;

/// A reference and a target twice as fast, whose processes are known of the second only.
RelayReport report() {
    const bench::Scenario scenario{
        .workload = "ping",
        .title = "ping, 8 clients, 3 s",
        .clients = 8,
        .metrics = {{.key = "round_trips_per_second", .name = "round trips/s", .digits = 0},
                    {.key = "cpu_us_per_round_trip", .name = "CPU µs/round trip", .digits = 2},
                    {.key = "generator_cores", .name = "generator cores", .digits = 2, .compared = false}},
        .measure = {}};
    const bench::Repetitions first{{100, std::nullopt, 0.5}, {300, std::nullopt, 0.5}, {200, std::nullopt, 0.5}};
    const bench::Repetitions second{{200, 10, 1}, {900, 12.5, 1}, {200, 20, 1}};
    return {.version = "1.2.3",
            .started = "2026-01-02T03:04:05Z",
            .targets =
                {{.name = "direct", .address = "127.0.0.1:1", .encryption = "plain", .pids = {}, .memory_source = {}},
                 {.name = "proxy",
                  .address = "127.0.0.1:2",
                  .encryption = "TLSv1.3 X",
                  .pids = {7, 8},
                  .memory_source = "status"}},
            .results = {{.scenario = scenario, .targets = {first, second}}},
            .repetitions = 3,
            .cores = 2,
            .threads = 1,
            .failure = {},
            .interrupted = false};
}

}  // namespace

TEST_CASE("the median of an even number of values lies between two") {
    CHECK_FALSE(bench::spread_of({}).has_value());
    CHECK(bench::spread_of({3, 1, 2})->median == 2);
    CHECK(bench::spread_of({4, 1, 3, 2})->median == 2.5);
    CHECK(bench::spread_of({4, 1, 3, 2})->min == 1);
    CHECK(bench::spread_of({4, 1, 3, 2})->max == 4);
}

TEST_CASE("ratios are taken repetition by repetition") {
    const auto ratio = bench::ratio_of({{200.0}, {900.0}, {200.0}}, {{100.0}, {300.0}, {200.0}}, 0);
    REQUIRE(ratio.has_value());
    CHECK(ratio->median == 2);
    CHECK(ratio->min == 1);
    CHECK(ratio->max == 3);
}

TEST_CASE("there is no ratio to what is not known, or zero") {
    CHECK_FALSE(bench::ratio_of({{1.0}}, {{std::nullopt}}, 0).has_value());
    CHECK_FALSE(bench::ratio_of({{std::nullopt}}, {{1.0}}, 0).has_value());
    CHECK_FALSE(bench::ratio_of({{1.0}}, {{0.0}}, 0).has_value());
    CHECK_FALSE(bench::ratio_of({}, {}, 0).has_value());
}

TEST_CASE("the relay's table fits 120 columns and says what is not known") {
    RelayReport shown = report();
    shown.failure = "target \"proxy\": closed";
    const std::string table = to_table(shown);
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 120);
    CHECK(table.find("ping, 8 clients, 3 s") != std::string::npos);
    CHECK(table.find("cost not measured") != std::string::npos);
    CHECK(table.find("pids 7 8, RSS from status") != std::string::npos);
    CHECK(table.find("200–900        2.00       1.00–3.00") != std::string::npos);
    CHECK(table.find("  CPU µs/round trip       direct             -") != std::string::npos);
    CHECK(table.find("incomplete: target \"proxy\": closed") != std::string::npos);
}

TEST_CASE("the relay's CSV has a line for each target and metric") {
    std::istringstream lines(to_csv(report()));
    std::vector<std::string> all;
    for (std::string line; std::getline(lines, line);) all.push_back(line);
    REQUIRE(all.size() == 1 + 3 * 2);
    CHECK(all[0] == "workload,clients,idle,target,metric,median,min,max,ratio,ratio_min,ratio_max");
    CHECK(all[1] == "ping,8,0,direct,round_trips_per_second,200,100,300,,,");
    CHECK(all[2] == "ping,8,0,proxy,round_trips_per_second,200,200,900,2.000,1.000,3.000");
    CHECK(all[3] == "ping,8,0,direct,cpu_us_per_round_trip,,,,,,");
    CHECK(all[6] == "ping,8,0,proxy,generator_cores,1.00,1.00,1.00,,,");
}

TEST_CASE("an interrupted run is shown as far as it came") {
    RelayReport shown = report();
    shown.interrupted = true;
    shown.results[0].targets[0].pop_back();
    shown.results[0].targets[1].clear();
    const std::string table = to_table(shown);
    CHECK(table.find("ratios are to direct; interrupted\n") != std::string::npos);
    CHECK(table.find("proxy              -") != std::string::npos);
    const auto document = boost::json::parse(to_json(shown)).as_object();
    CHECK(document.at("interrupted").as_bool());
    const auto& targets = document.at("results").at(0).at("targets");
    CHECK(targets.at("direct").at("round_trips_per_second").at("values").as_array().size() == 2);
    CHECK(targets.at("proxy").at("round_trips_per_second").at("values").as_array().empty());
    CHECK(targets.at("proxy").at("round_trips_per_second").at("ratio").is_null());
}

TEST_CASE("the relay's JSON has every repetition, its spread, and ratios to the first target") {
    const auto document = boost::json::parse(to_json(report())).as_object();
    CHECK(document.at("failure").is_null());
    CHECK_FALSE(document.at("interrupted").as_bool());
    CHECK(document.at("targets").at(0).at("rss_source").is_null());
    CHECK(document.at("targets").at(1).at("pids").as_array().size() == 2);
    const auto& targets = document.at("results").at(0).at("targets");
    const auto& rate = targets.at("proxy").at("round_trips_per_second");
    CHECK(rate.at("values").as_array().size() == 3);
    CHECK(rate.at("spread").at("max").as_double() == 900);
    CHECK(rate.at("ratio").at("median").as_double() == 2);
    CHECK(targets.at("direct").at("round_trips_per_second").at("ratio").is_null());
    CHECK(targets.at("direct").at("cpu_us_per_round_trip").at("values").at(0).is_null());
    CHECK(targets.at("direct").at("cpu_us_per_round_trip").at("spread").is_null());
    CHECK(targets.at("proxy").at("generator_cores").at("ratio").is_null());
}
