// Scoring, ranking and judging: nanoseconds a token and scorer on one trace of `full`, generation apart, beside a pure
// pass over the same columns in the same run; and how fast rows are generated.
// SPDX-License-Identifier: MIT
#include <benchmark/benchmark.h>

#include <chrono>
#include <memory>

#include "framework/cut/rank_kernels.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scoring/layer_pass.hpp"
#include "framework/suite/synthetic.hpp"

namespace {

using namespace evictlab;

constexpr std::size_t length = 1024, layers = 24;

/// A trace whose rows were generated before, so that judging them is all that is timed.
class Recorded final : public Trace {
public:
    explicit Recorded(const TracePtr& from) : from_(from) {
        for (std::size_t layer = 0; layer < layers; ++layer) {
            auto& rows = rows_.emplace_back();
            const auto reader = from->open_layer(layer);
            for (std::size_t q = 0; q < length; ++q) {
                const double* row = reader->next_row();
                rows.insert(rows.end(), row, row + padded(q + 1));
            }
        }
    }
    const std::string& name() const override { return from_->name(); }
    std::size_t seq_len() const override { return from_->seq_len(); }
    std::size_t num_layers() const override { return from_->num_layers(); }
    std::size_t heads() const override { return 1; }
    const double* token_type() const override { return from_->token_type(); }
    std::unique_ptr<LayerReader> open_layer(std::size_t layer) const override {
        return std::make_unique<Reader>(rows_[layer].data(), from_->open_layer(layer));
    }

private:
    class Reader final : public LayerReader {
    public:
        Reader(const double* rows, std::unique_ptr<LayerReader> from) : row_(rows), from_(std::move(from)) {}
        const double* key_norm() const override { return from_->key_norm(); }
        std::size_t head_stride() const override { return from_->head_stride(); }
        const double* next_row() override {
            row_ += padded(tokens_++);
            return row_;
        }

    private:
        const double* row_;
        std::unique_ptr<LayerReader> from_;
        std::size_t tokens_ = 0;
    };
    TracePtr from_;
    std::vector<std::vector<double>> rows_;
};

const TracePtr& generated() {
    static const TracePtr trace =
        make_pattern({"full/test/2", PatternStyle::full, 3002 ^ 2002, length, layers, 0.15, 0.4});
    return trace;
}

const Recorded& recorded() {
    static const Recorded trace(generated());
    return trace;
}

constexpr double judged_tokens() {
    double tokens = 0;
    for (std::size_t q = first_judged_query(length); q < length; ++q) tokens += static_cast<double>(q + 1);
    return tokens * layers;
}

void count_tokens(benchmark::State& state, double tokens) {
    state.counters["per_token"] = benchmark::Counter(static_cast<double>(state.iterations()) * tokens,
                                                     benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

const std::vector<double> retentions{0.25, 0.5, 0.75};

void judge(const std::vector<Scorer>& scorers) {
    const auto rescore = protocol_info("rescore").make({scorers, retentions});
    ScorerFailures failures;
    rescore->create_instances(failures);
    ScorerHooks hooks;
    hooks.skip = [](std::size_t) { return false; };
    hooks.failed = [](std::size_t, const PluginError&) {};
    for (std::size_t layer = 0; layer < layers; ++layer)
        benchmark::DoNotOptimize(rescore->figures(recorded(), layer, hooks, nullptr));
}

double seconds_to_judge(const std::vector<Scorer>& scorers) {
    const auto begin = std::chrono::steady_clock::now();
    judge(scorers);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// What one more scorer costs: four of it, less what is done without any (columns that are read anyway, the oracle).
void one_scorer(benchmark::State& state, const std::string& name) {
    PluginHost host;
    const std::vector<Scorer> four(4, make_scorer(name, host));
    for (auto _ : state) state.SetIterationTime((seconds_to_judge(four) - seconds_to_judge({})) / 4);
    count_tokens(state, judged_tokens());
}

/// Reads what a scorer with two columns reads, and sums it: the least that any evaluation of it must do.
void pure_pass(benchmark::State& state) {
    recorded(); // outside the timing
    for (auto _ : state) {
        double total = 0;
        const std::vector<ColumnId> ids{columns::intern("relative_pos"), columns::intern("cumulative_attn")};
        for (std::size_t layer = 0; layer < layers; ++layer) {
            LayerPass pass(recorded(), layer, ids);
            while (pass.advance()) {
                if (!pass.judged()) continue;
                total += sum(pass.columns().view(0, 0).data, pass.tokens()) +
                         sum(pass.columns().view(1, 0).data, pass.tokens()) + sum(pass.attention(0), pass.tokens());
            }
        }
        benchmark::DoNotOptimize(total);
    }
    count_tokens(state, judged_tokens());
}

void generate(benchmark::State& state) {
    for (auto _ : state)
        for (std::size_t layer = 0; layer < layers; ++layer) {
            const auto reader = generated()->open_layer(layer);
            for (std::size_t q = 0; q < length; ++q) benchmark::DoNotOptimize(reader->next_row());
        }
    constexpr std::size_t weights = length * (length + 1) / 2 * layers;
    count_tokens(state, static_cast<double>(weights));
}

void oracle_alone(benchmark::State& state) {
    for (auto _ : state) judge({});
    count_tokens(state, judged_tokens());
}

BENCHMARK(pure_pass)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(one_scorer, streaming_llm, "streaming_llm@seed")->Unit(benchmark::kMillisecond)->UseManualTime();
BENCHMARK_CAPTURE(one_scorer, h2o, "h2o@seed")->Unit(benchmark::kMillisecond)->UseManualTime();
BENCHMARK_CAPTURE(one_scorer, knorm, "knorm@seed")->Unit(benchmark::kMillisecond)->UseManualTime();
BENCHMARK_CAPTURE(one_scorer, hybrid, "hybrid")->Unit(benchmark::kMillisecond)->UseManualTime();
BENCHMARK(oracle_alone)->Unit(benchmark::kMillisecond);
BENCHMARK(generate)->Unit(benchmark::kMillisecond);

} // namespace
