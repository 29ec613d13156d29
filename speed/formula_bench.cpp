// Formulas: nanoseconds a token for each operator and for typical formulas, and nanoseconds a call on short batches.
// SPDX-License-Identifier: MIT
#include <benchmark/benchmark.h>

#include <random>

#include "framework/formula/program.hpp"
#include "framework/suite/trace.hpp"

namespace {

using namespace evictlab;
using namespace evictlab::formula;

void evaluate(benchmark::State& state, const char* text) {
    const Program program(parse(text));
    const auto n = static_cast<std::size_t>(state.range(0));
    std::mt19937_64 random(1);
    std::vector<std::vector<double>> columns;
    std::vector<ColumnView> views;
    for (const ColumnId id : program.columns()) {
        std::vector<double> values(padded(n));
        for (double& value : values) value = 0.05 + static_cast<double>(random() >> 11) * 0x1p-53;
        columns.push_back(std::move(values));
        views.push_back({columns.back().data(), columns::kind(id) != ColumnKind::token});
    }
    std::vector<double> out(padded(n));
    Workspace workspace;
    for (auto _ : state) {
        program.evaluate(views, program.constants(), n, out.data(), workspace);
        benchmark::ClobberMemory();
    }
    const auto tokens = static_cast<double>(state.iterations()) * static_cast<double>(n);
    state.counters["per_token"] = benchmark::Counter(tokens, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

constexpr const char* hybrid_start =
    "if(is_sink, keep, if(relative_pos < 4, 1e6 - relative_pos, 0.6*recent_attn + 0.4*cumulative_attn*((position + "
    "1)/sequence_len)^0.3 + 0.2*max(0, 1 - relative_pos/128)))";
constexpr const char* rational =
    "0.7*cumulative_attn/(relative_pos + 1) + 0.3*recent_attn/min(relative_pos + 1, 33) - 0.1*key_norm";

void register_all() {
    struct Named {
        const char* name;
        const char* text;
    };
    static constexpr Named all[] = {
        {"copy", "position"},
        {"add", "position + key_norm"},
        {"mul_constant", "0.5*position"},
        {"min", "min(position, key_norm)"},
        {"div", "position/key_norm"},
        {"less", "position < key_norm"},
        {"if", "if(position, key_norm, 0)"},
        {"sqrt", "sqrt(position)"},
        {"exp", "exp(position)"},
        {"log", "log(position)"},
        {"tanh", "tanh(position)"},
        {"pow_constant", "position^0.3"},
        {"pow_square", "position^2"},
        {"pow_columns", "position^key_norm"},
        {"hybrid_start", hybrid_start},
        {"rational", rational},
    };
    for (const Named& each : all) {
        benchmark::RegisterBenchmark(each.name, [&each](benchmark::State& state) { evaluate(state, each.text); })
            ->Arg(20)
            ->Arg(64)
            ->Arg(1024);
    }
    for (const Named& each : {Named{"hybrid_start", hybrid_start}, Named{"rational", rational}}) {
        const std::string name = each.name;
        const std::string text = each.text;
        benchmark::RegisterBenchmark((name + "/parse").c_str(), [text](benchmark::State& state) {
            for (auto _ : state) benchmark::DoNotOptimize(parse(text));
        });
        benchmark::RegisterBenchmark((name + "/compile").c_str(), [text](benchmark::State& state) {
            const Formula formula = parse(text);
            for (auto _ : state) benchmark::DoNotOptimize(Program(formula));
        });
        benchmark::RegisterBenchmark((name + "/canonical_hash").c_str(), [text](benchmark::State& state) {
            const Formula formula = parse(text);
            for (auto _ : state) benchmark::DoNotOptimize(canonical_hash(formula));
        });
    }
}

const bool registered = (register_all(), true);

} // namespace
