// The hot loop of a search: formulas a second on micro's train split, with formulas of a search's usual size.
// SPDX-License-Identifier: MIT
#include <benchmark/benchmark.h>

#include <random>

#include "framework/capture/suites.hpp"
#include "framework/fitness/rescore_fitness.hpp"

namespace {

using namespace evictlab;

/// Of 15 nodes each in the mean; powers, divisions and conditions as often as a search makes them.
constexpr const char* texts[] = {
    "if(position < 4, keep, 0.6*recent_attn + 0.4*cumulative_attn)",
    "cumulative_attn/(relative_pos + 1) + 0.3*recent_attn/min(relative_pos + 1, 33)",
    "0.5*recent_attn + 0.2*max(0, 1 - relative_pos/64) - 0.1*key_norm",
    "if(is_sink, keep, cumulative_attn*((position + 1)/sequence_len)^0.3 + recent_attn)",
    "max(0, 1 - relative_pos/32)*(0.7 - 0.2*layer_ratio) + cumulative_attn/(relative_pos + 1)",
    "recent_attn*(1 + tanh(0.1*layer_ratio)) - 0.1*min(key_norm, 2) + 0.01*is_sink",
};

void formulas(benchmark::State& state) {
    const Suite suite = make_suite("micro");
    const RescoreFitness fitness(suite.search_traces(), {0.25, 0.5, 0.75});
    std::vector<formula::Program> programs;
    std::size_t nodes = 0;
    for (const char* text : texts) {
        const formula::Formula parsed = formula::parse(text);
        nodes += parsed.size();
        programs.emplace_back(parsed);
    }
    std::mt19937_64 random(1);
    constexpr std::size_t count = 600;
    std::vector<std::vector<double>> constants;
    std::vector<FitnessJob> jobs;
    for (std::size_t i = 0; i < count; ++i) {
        const formula::Program& program = programs[i % programs.size()];
        auto& own = constants.emplace_back(program.constants().begin(), program.constants().end());
        for (double& c : own) c *= 0.5 + static_cast<double>(random() >> 11) * 0x1p-53;
    }
    for (std::size_t i = 0; i < count; ++i) jobs.push_back({&programs[i % programs.size()], constants[i]});
    for (auto _ : state) benchmark::DoNotOptimize(fitness.evaluate(SearchSplit::train, jobs));
    const double evaluated = static_cast<double>(state.iterations()) * static_cast<double>(count);
    state.counters["formulas"] = benchmark::Counter(evaluated, benchmark::Counter::kIsRate);
    state.counters["nodes"] = static_cast<double>(nodes) / static_cast<double>(std::size(texts));
}

BENCHMARK(formulas)->Unit(benchmark::kMillisecond)->UseRealTime();

} // namespace
