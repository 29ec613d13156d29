// The fast evaluator against the slow one of tests/support/reference.hpp, and what it promises: the same bits for any
// number of threads, failures that cost one row, and that a search cannot see the test split.
// SPDX-License-Identifier: MIT
#include <cmath>
#include <numeric>
#include <random>

#include "framework/bench/scorecard.hpp"
#include "framework/capture/suites.hpp"
#include "framework/fitness/rescore_fitness.hpp"
#include "framework/scorers/published.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/originals.hpp"
#include "tests/support/reference.hpp"

using namespace evictlab;
using evictlab::test::original_names;

namespace {

PluginHost builtin_host() { return PluginHost(std::vector<std::filesystem::path>{EVICTLAB_PLUGIN_FOLDER}); }

std::vector<Scorer> builtin_scorers() {
    PluginHost host = builtin_host();
    std::vector<Scorer> scorers;
    for (const auto& [name, original] : original_names) scorers.push_back(make_scorer(name, host));
    return scorers;
}

const SplitErrors& test_of(const ScorecardRow& row) { return row.splits[static_cast<std::size_t>(Split::test)]; }

} // namespace

TEST_CASE("micro of any size and seed: the slow evaluator agrees") {
    struct Size {
        std::size_t seq_len, layers, patterns;
        std::uint64_t offset;
    };
    const Size size =
        GENERATE(Size{64, 4, 1, 0}, Size{17, 3, 2, 5}, Size{40, 1, 1, 123456}, Size{96, 6, 1, 7000}, Size{4, 2, 1, 1});
    const std::vector<double> retentions{0.1, 0.25, 0.333, 0.5, 0.75, 1.0};
    SuiteOptions options{size.seq_len, size.layers, size.patterns, size.offset, 0};
    const Suite suite = make_suite("micro", options);
    BenchOptions bench_options;
    bench_options.retentions = retentions;
    const Bench bench = run_bench(suite, builtin_scorers(), bench_options);
    for (const ScorecardRow& row : bench.rows) {
        const std::string rule = row.scorer == "oracle" ? "oracle" : original_names.at(row.scorer);
        for (std::size_t r = 0; r < retentions.size(); ++r) {
            double slow = 0;
            for (std::size_t i = 0; i < size.patterns; ++i)
                slow += reference::error(reference::micro_pattern(3000 + size.offset + i, size.seq_len, size.layers),
                                         reference::rules().at(rule), retentions[r]);
            INFO(rule << ", " << size.seq_len << " tokens, retention " << retentions[r]);
            CHECK(test_of(row).by_retention[r] == Approx(slow / static_cast<double>(size.patterns)).margin(1e-12));
        }
    }
}

TEST_CASE("full: the slow evaluator agrees on its first pattern") {
    SuiteOptions options;
    options.patterns = 1;
    const Bench bench = run_bench(make_suite("full", options), builtin_scorers());
    const auto pattern = reference::full_pattern(1000, 256, 32, 0.1, 0.3);
    for (const ScorecardRow& row : bench.rows) {
        if (row.scorer != "h2o@seed" && row.scorer != "tova@seed" && row.scorer != "hybrid_start")
            continue; // it is slow
        const auto& rule = reference::rules().at(original_names.at(row.scorer));
        CHECK(row.splits[0].by_retention[1] == Approx(reference::error(pattern, rule, 0.5)).margin(1e-12));
    }
}

TEST_CASE("Figures are the same bits for 1, 2 and 7 threads") {
    const SuiteOptions options{70, 3, 3, 9, 0};
    const Suite suite = make_suite("micro", options);
    std::vector<Scorer> scorers = builtin_scorers();
    scorers.push_back(
        Scorer::from_formula("f", formula::parse("cumulative_attn/(relative_pos + 1) + attn_entropy^0.3")));
    std::vector<Bench> results;
    for (const int threads : {1, 2, 7}) {
        BenchOptions bench_options;
        bench_options.threads = threads;
        results.push_back(run_bench(suite, scorers, bench_options));
    }
    for (std::size_t other : {1, 2})
        for (std::size_t s = 0; s < results[0].rows.size(); ++s)
            for (std::size_t split = 0; split < 3; ++split)
                CHECK(results[0].rows[s].splits[split].by_trace == results[other].rows[s].splits[split].by_trace);
}

TEST_CASE("The fitness of a formula is its bench error, whatever it is evaluated with") {
    const bool long_rows = GENERATE(false, true);
    SuiteOptions options;
    options.patterns = 1;
    if (!long_rows) options = {50, 3, 2, 77, 0};
    const Suite suite = make_suite(long_rows ? "full" : "micro", options);
    const PluginHost host;
    std::vector<Scorer> scorers;
    for (const auto& [name, original] : original_names)
        scorers.push_back(Scorer::from_formula(name, formula::parse(*formula_twin(name, host))));
    scorers.push_back(
        Scorer::from_formula("entropy", formula::parse("attn_entropy - token_type*layer_idx/num_layers")));
    const Bench bench = run_bench(suite, scorers);
    const RescoreFitness fitness(suite.search_traces(), {0.25, 0.5, 0.75});
    std::vector<FitnessJob> jobs;
    for (const Scorer& scorer : scorers) jobs.push_back({&scorer.program(), scorer.program().constants()});
    for (const SearchSplit split : {SearchSplit::train, SearchSplit::valid}) {
        const auto together = fitness.evaluate(split, jobs);
        for (std::size_t s = 0; s < scorers.size(); ++s) {
            const SplitErrors& want = bench.rows[s].splits[static_cast<std::size_t>(split)];
            CHECK(together[s].average == Approx(want.average).margin(1e-12));
            const auto alone = fitness.evaluate(split, std::span(jobs).subspan(s, 1));
            CHECK(alone[0].by_retention == together[s].by_retention);
        }
    }
}

TEST_CASE("A suite's hash covers what decides its content, and its parameters rebuild it") {
    const Suite plain = make_suite("micro");
    CHECK(plain.hash() == make_suite("micro", {64, 4, 5, 0, 0}).hash());
    CHECK(plain.hash() != make_suite("micro", {64, 4, 5, 1, 0}).hash());
    CHECK(plain.hash() != make_suite("micro", {64, 4, 5, 0, 1}).hash());
    CHECK(plain.hash() != make_suite("full").hash());
    SuiteOptions more;
    more.patterns = 25;
    CHECK(make_suite("full").hash() == make_suite("full", more).hash());
    const Suite odd = make_suite("micro", {33, 2, 7, 42, 3});
    CHECK(make_suite_from_parameters(odd.parameters_json()).hash() == odd.hash());
    CHECK(odd.size(Split::valid) == 7);
}

TEST_CASE("Sizes that make no suite are refused with what is possible") {
    CHECK_THROWS_WITH(make_suite("nano"),
                      ContainsSubstring("unknown suite 'nano'") && ContainsSubstring("micro, full"));
    SuiteOptions options;
    options.seq_len = 3;
    CHECK_THROWS_WITH(make_suite("micro", options), ContainsSubstring("seq_len is 3, but must be from 4"));
    options.seq_len = 64;
    CHECK_THROWS_WITH(make_suite("full", options), ContainsSubstring("belongs to suite 'micro'") &&
                                                       ContainsSubstring("only the number of patterns"));
    BenchOptions bench_options;
    bench_options.retentions = {0.0};
    CHECK_THROWS_WITH(run_bench(make_suite("micro"), {}, bench_options),
                      ContainsSubstring("retention 0 is out of range"));
}

TEST_CASE("A search that would not fit in memory is refused with a size that does") {
    CHECK_THROWS_WITH(RescoreFitness(make_suite("micro").search_traces(), {0.5}, {}, 1000),
                      ContainsSubstring("fewer patterns or documents a split, for instance "));
}

TEST_CASE("A plugin that breaks while it is measured costs its own row only, and is told the same way every time") {
    PluginHost host = builtin_host();
    const std::string loaded = EVICTLAB_TEST_PLUGINS "/loaded/";
    const std::vector<Scorer> scorers{make_scorer(loaded + "nan_score.so", host), make_scorer("hybrid", host),
                                      make_scorer(loaded + "failing_score.so", host),
                                      make_scorer(loaded + "throwing_create.so", host)};
    const Suite suite = make_suite("micro");
    for (int repeat = 0; repeat < 5; ++repeat) {
        const Bench bench = run_bench(suite, scorers);
        REQUIRE(bench.rows.size() == 2);
        CHECK(bench.rows[0].scorer == "hybrid");
        CHECK(bench.rows[0].splits[2].by_trace ==
              run_bench(suite, std::span(scorers).subspan(1, 1)).rows[0].splits[2].by_trace);
        REQUIRE(bench.failures.size() == 3);
        CHECK_THAT(bench.failures[0].what(),
                   ContainsSubstring("nan_score") && ContainsSubstring("score") &&
                       ContainsSubstring("NaN at layer 0, head 0, position 2 (trace micro/train/0, query 16)"));
        CHECK_THAT(bench.failures[1].what(), ContainsSubstring("no weights for this layer"));
        CHECK(bench.failures[2].phase == "create");
    }
}

TEST_CASE("A stop from outside ends a bench") {
    const std::atomic<bool> stop{true};
    BenchOptions options;
    options.stop = &stop;
    CHECK_THROWS_AS(run_bench(make_suite("micro"), builtin_scorers(), options), Interrupted);
}

namespace {

/// Two heads whose attention is given, for what the synthetic suites cannot show.
class TwoHeads final : public Trace {
public:
    explicit TwoHeads(std::size_t n) : types_(padded(n)), n_(n) {}
    const std::string& name() const override { return name_; }
    std::size_t seq_len() const override { return n_; }
    std::size_t num_layers() const override { return 1; }
    std::size_t heads() const override { return 2; }
    const double* token_type() const override { return types_.data(); }
    std::unique_ptr<LayerReader> open_layer(std::size_t) const override { return std::make_unique<Reader>(n_); }

private:
    /// Head 0 attends to every token alike; head 1 to the newest only.
    class Reader final : public LayerReader {
    public:
        explicit Reader(std::size_t n) : row_(2 * padded(n)), norms_(2 * padded(n), 1.0) {}
        const double* key_norm() const override { return norms_.data(); }
        std::size_t head_stride() const override { return row_.size() / 2; }
        const double* next_row() override {
            ++tokens_;
            for (std::size_t i = 0; i < tokens_; ++i) {
                row_[i] = 1.0 / static_cast<double>(tokens_);
                row_[head_stride() + i] = i + 1 == tokens_ ? 1 : 0;
            }
            return row_.data();
        }

    private:
        std::vector<double> row_, norms_;
        std::size_t tokens_ = 0;
    };
    std::string name_ = "two heads";
    std::vector<double> types_;
    std::size_t n_;
};

} // namespace

TEST_CASE("Heads are scored and judged each on its own") {
    const std::size_t n = 100;
    const auto trace = std::make_shared<TwoHeads>(n);
    const Suite suite("two", "{}", {std::vector<TracePtr>{trace}, {trace}, {trace}});
    PluginHost host = builtin_host();
    const std::vector<Scorer> scorers{make_scorer("streaming_llm", host), make_scorer("=-relative_pos", host),
                                      make_scorer("=-position", host)};
    BenchOptions options;
    options.retentions = {0.5};
    const Bench bench = run_bench(suite, scorers, options);
    double alike = 0; // what half of the tokens miss of a flat row
    for (std::size_t q = n / 4; q < n; ++q)
        alike += 1 - std::ceil(static_cast<double>(q + 1) / 2) / static_cast<double>(q + 1);
    alike /= static_cast<double>(n - n / 4);
    REQUIRE(bench.failures.empty());
    CHECK(test_of(bench.rows[0]).average == Approx(alike / 2));       // the newest is kept: head 1 loses nothing
    CHECK(test_of(bench.rows[1]).average == Approx(alike / 2));       // the same as a formula
    CHECK(test_of(bench.rows[2]).average == Approx((alike + 1) / 2)); // the newest is evicted: head 1 loses all
    CHECK(test_of(bench.rows[3]).average == Approx(alike / 2));       // the oracle
}
