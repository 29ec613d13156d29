// Formulas a second on the train split of the shipped captured suite, at one retention, its columns in memory.
// SPDX-License-Identifier: MIT
#include <benchmark/benchmark.h>

#include "framework/capture/suites.hpp"
#include "framework/fitness/prefill_fitness.hpp"

namespace {

using namespace evictlab;

constexpr const char* texts[] = {
    "if(position < 4, keep, window_attn:64 + 0.3*observed_attn)",
    "if(position < 4, keep, (0.6*window_attn:64 + 0.4*expected_attn)*value_norm^0.5 + 0.1*max(0, 1 - 8*relative_age))",
    "window_attn:64*(1 + 0.2*layer_ratio) + 0.05*window_max:64 - 0.01*key_norm",
};

void formulas(benchmark::State& state, Measure measure) {
    const Suite suite = make_suite("smollm2");
    std::vector<formula::Program> programs;
    std::vector<ColumnId> columns;
    for (const char* text : texts) {
        programs.emplace_back(formula::parse(text));
        columns.insert(columns.end(), programs.back().columns().begin(), programs.back().columns().end());
    }
    const PrefillFitness fitness(suite, {0.25}, columns, measure);
    std::vector<FitnessJob> jobs;
    constexpr std::size_t count = 120;
    for (std::size_t i = 0; i < count; ++i) {
        const formula::Program& program = programs[i % programs.size()];
        jobs.push_back({&program, program.constants()});
    }
    for (auto _ : state) benchmark::DoNotOptimize(fitness.evaluate(SearchSplit::train, jobs));
    state.counters["formulas"] = benchmark::Counter(
        static_cast<double>(state.iterations()) * static_cast<double>(count), benchmark::Counter::kIsRate);
}

BENCHMARK_CAPTURE(formulas, attention_loss, Measure::attention_loss)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(formulas, output_error, Measure::output_error)->Unit(benchmark::kMillisecond)->UseRealTime();

} // namespace
