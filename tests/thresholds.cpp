// Scorers with a threshold in place of a budget: while decoding held to the slow judge, and at matched retention.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cmath>

#include "framework/bench/matching.hpp"
#include "framework/scorers/parameter_space.hpp"
#include "report/bench_json.hpp"
#include "report/bench_notes.hpp"
#include "tests/support/captured_reference.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/trace_writer.hpp"
#include "tests/support/written_suite.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

constexpr double agreement = 2e-5; // of single precision with double, relative
const std::vector<double> retentions{0.25, 0.5};

struct MadeUpSuite : WrittenSuite {
    explicit MadeUpSuite(const std::vector<const char*>& splits = {"train", "train", "valid", "test"})
        : WrittenSuite(small_traces(splits), 14) {}
};

PluginHost& host() {
    static PluginHost found;
    return found;
}

ScorecardRow row_of(const Suite& suite, const std::string& scorer, const char* protocol, std::size_t interval = 1) {
    BenchOptions options;
    options.protocol = protocol;
    options.retentions = retentions;
    options.schedule.interval = interval;
    const Bench bench = run_bench(suite, std::vector{make_scorer(scorer, host())}, options);
    for (const PluginError& error : bench.failures) throw PluginError(error);
    return bench.rows.at(0);
}

bool close(double a, double b) { return std::abs(a - b) <= agreement * std::max(std::abs(b), 1e-3); }

double used(const ScorecardRow& row, Split split, std::size_t retention) {
    return row.retention_used[static_cast<std::size_t>(split)][retention];
}

} // namespace

TEST_CASE("while decoding, a threshold decides over each token once, as the slow judge does") {
    const MadeUpSuite made({"train"});
    struct Case {
        const char* column;
        double threshold;
    };
    for (const Case& of : {Case{"key_norm", 3}, Case{"cumulative_attn", 0.5}, Case{"last_attn:all", 0.02},
                           Case{"window_attn:3", 0.02}, Case{"relative_age", 0.4}})
        for (const std::size_t window : {1, 5, 20})
            for (const std::size_t interval : {1, 5}) {
                INFO(of.column << ", window " << window << ", interval " << interval);
                const ScorecardRow row = row_of(
                    made.suite, fmt::format("threshold@kvpress:t={},window={}(={})", of.threshold, window, of.column),
                    "decode", interval);
                SlowDamage sum;
                std::size_t kept = 0, seen = 0;
                for (const std::size_t number : {0, 3}) {
                    const OwnedLayer tensors = made.trace().load_layer(number);
                    const auto& o_proj = made.trace().output_projections()->load(number);
                    const SlowDamage damage =
                        SlowLayer(tensors, 49, std::vector<double>(61), {o_proj.begin(), o_proj.end()})
                            .decode_by_threshold(of.column, of.threshold, window, interval, kept);
                    sum.output_error += damage.output_error / 2;
                    sum.attention_loss += damage.attention_loss / 2;
                    for (std::size_t i = 49; i < 61; ++i) seen += 2 * (i + 1);
                }
                CHECK(used(row, Split::train, 0) == static_cast<double>(kept) / static_cast<double>(seen));
                CHECK(close(row.splits[0].by_retention[0], sum.output_error));
                CHECK(close(row.more_splits[0][0].by_retention[0], sum.attention_loss));
                CHECK(row.splits[0].by_retention[0] == row.splits[0].by_retention[1]); // no budget
                CHECK((kept > 0 && kept < seen));
            }
}

TEST_CASE("a column over all tokens of a layer ranks those whose fate is open, in heads of different length") {
    const MadeUpSuite made({"train"});
    // Of 2 heads x 6 open tokens, the newest 5 are not asked: a token must lie above the middle of those twelve.
    const ScorecardRow row = row_of(made.suite, "threshold@kvpress:t=0.5,window=5(=rank:key_norm)", "decode");
    const ScorecardRow all = row_of(made.suite, "threshold@kvpress:t=-1,window=5(=rank:key_norm)", "decode");
    CHECK(used(row, Split::train, 0) < 0.7);
    CHECK(used(row, Split::train, 0) > 0.4);
    CHECK(used(all, Split::train, 0) == 1);
}

TEST_CASE("a matched threshold is the lowest by which train keeps no more than what is asked for") {
    const MadeUpSuite made;
    for (const char* protocol : {"prefill", "decode"}) {
        INFO(protocol);
        const ScorecardRow row = row_of(made.suite, "threshold@matched:window=4(knorm@kvpress)", protocol);
        const ScorecardRow fixed = row_of(made.suite, "knorm@kvpress", protocol);
        REQUIRE(row.thresholds.size() == 2);
        for (std::size_t r = 0; r < 2; ++r) {
            CHECK(used(row, Split::train, r) <= used(fixed, Split::train, r));
            CHECK(used(row, Split::train, r) == Approx(used(fixed, Split::train, r)).margin(0.01));
            const auto by_hand = [&](double t) {
                return row_of(made.suite, fmt::format("threshold@kvpress:t={},window=4(knorm@kvpress)", t), protocol);
            };
            const ScorecardRow same = by_hand(row.thresholds[r]);
            CHECK(used(same, Split::test, 0) == used(row, Split::test, r));
            CHECK(same.splits[2].by_retention[0] == row.splits[2].by_retention[r]);
            CHECK(used(by_hand(row.thresholds[r] - 0.02), Split::train, 0) > used(row, Split::train, r));
        }
        CHECK(row.thresholds[0] > row.thresholds[1]);
        CHECK(row.scorer_class->budgets() == "head and layer");
        CHECK(fixed.thresholds.empty());
    }
}

TEST_CASE("what a bench found as thresholds is in its JSON and its notes") {
    const MadeUpSuite made;
    BenchOptions options;
    options.retentions = retentions;
    const Bench bench =
        run_bench(made.suite, std::vector{make_scorer("threshold@matched(knorm@kvpress)", host())}, options);
    const Json json = report::to_json(bench);
    CHECK(json.at("rows")[0].at("thresholds").at("0.50") == bench.rows[0].thresholds[1]);
    CHECK_FALSE(json.at("rows")[1].contains("thresholds"));
    CHECK(report::bench_from_json(json, "result.json").rows[0].thresholds == bench.rows[0].thresholds);
    CHECK_THAT(report::bench_notes(bench, host()),
               ContainsSubstring("thresholds found on train: ") && ContainsSubstring(" for 0.25, "));
}

TEST_CASE("a threshold is the highest that must be, over weights, ties and what is sure to go") {
    constexpr double never = -std::numeric_limits<double>::infinity();
    const std::vector<DecidedScore> decided{{3, 2}, {1, 1}, {1, 1}, {2, 4}, {never, 2}};
    CHECK(threshold_for(decided, 12, 12) == 1);
    CHECK(threshold_for(decided, 12, 10) == 1);
    CHECK(threshold_for(decided, 12, 9) == 2); // both ties go
    CHECK(threshold_for(decided, 12, 8) == 2);
    CHECK(threshold_for(decided, 12, 7) == 3);
    CHECK(threshold_for(decided, 12, 2) == std::nextafter(3.0, 4.0)); // 2 of the newest stay in any case
    CHECK(threshold_for(decided, 12, 0) == std::nextafter(3.0, 4.0));
    CHECK(threshold_for({}, 12, 3) == 0);
    CHECK(threshold_for({{never, 3}}, 12, 3) == 0);
}

TEST_CASE("matched thresholds are refused by name where there is nothing to match by") {
    const MadeUpSuite made, untrained({"valid", "test"});
    CHECK_THROWS_WITH(row_of(untrained.suite, "threshold@matched(knorm@kvpress)", "prefill"),
                      ContainsSubstring("'threshold@matched(knorm@kvpress)' finds its threshold on the train split, of "
                                        "which suite"));
    CHECK_THROWS_WITH(make_scorer("threshold@matched:t=2(knorm@kvpress)", host()),
                      ContainsSubstring("finds its t on the train split, and t=2 is given"));
    const Scorer matched = make_scorer("threshold@matched(knorm@kvpress)", host());
    CHECK_THROWS_WITH(ScorerRun(matched), ContainsSubstring("in `evictlab bench` alone"));
    CHECK_THROWS_WITH(ParameterSpace(matched), ContainsSubstring("there is nothing to tune it for"));
    CHECK_THROWS_WITH(make_scorer("adakv@kvpress(threshold@kvpress(knorm@kvpress))", host()),
                      ContainsSubstring("cannot wrap 'threshold@kvpress(knorm@kvpress)'"));
    CHECK_THROWS_WITH(row_of(made.suite, "threshold@kvpress(streaming_llm@kvpress)", "decode"),
                      ContainsSubstring("has a threshold in place of a budget, and what it wraps scores for one"));
}
