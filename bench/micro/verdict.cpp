// What all evidence about one client amounts to.
#include "protocol/verdict.hpp"

#include <benchmark/benchmark.h>

namespace {

/// The argument: how many kinds of evidence there are about the client.
void judge(benchmark::State& state) {
    std::vector<protocol::Observation> observations;
    for (int i = 0; i < state.range(0); ++i) {
        observations.push_back(
            {.evidence = static_cast<protocol::Evidence>(i), .last_seen = 1'000 - i, .count = 3, .possible = false});
    }
    for (auto _ : state) {
        benchmark::DoNotOptimize(protocol::judge(observations));
    }
}
BENCHMARK(judge)->Arg(1)->Arg(5)->Arg(20);

}  // namespace
