// Budgets over the whole model: the methods that have them, held to hand-worked cases and to the original programs'
// figures, and the protocol prefill, held to the slow judge.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <atomic>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "framework/bench/scorecard.hpp"
#include "framework/cut/top_k.hpp"
#include "framework/damage/continuation_damage.hpp"
#include "framework/protocols/protocol.hpp"
#include "tests/support/captured_reference.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/methods_presses.hpp"
#include "tests/support/trace_writer.hpp"
#include "tests/support/written_suite.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
using Counts = std::vector<std::uint64_t>;

PluginHost& host() {
    static PluginHost found;
    return found;
}

/// A layer as model_budgets is told of it: two heads, unless said.
struct Told {
    std::vector<double> scores;
    std::uint64_t kept = 0;
    std::vector<double> facts{};
    std::uint32_t heads = 2;
};

Counts divide(const std::string& scorer, double removed, const std::vector<Told>& layers,
              const std::vector<std::uint32_t>& numbers = {}) {
    const Scorer made = make_scorer(scorer, host());
    const auto instance = made.plugin()->create(made.values());
    std::vector<evl_scored_layer> told;
    std::size_t heads = 0;
    for (const Told& layer : layers) {
        const auto number = static_cast<std::uint32_t>(numbers.empty() ? told.size() : numbers[told.size()]);
        told.push_back({number, layer.heads, static_cast<std::uint32_t>(layer.scores.size() / layer.heads), 0,
                        layer.kept, layer.scores.data(), layer.facts.empty() ? nullptr : layer.facts.data()});
        heads += layer.heads;
    }
    Counts kept(heads);
    instance->model_budgets({sizeof(evl_model_query), 30, static_cast<std::uint32_t>(told.size()),
                             sizeof(evl_scored_layer), removed, told.data()},
                            kept);
    return kept;
}

const nlohmann::json& model_fixture() {
    static const auto read = [] {
        std::ifstream in(EVICTLAB_TEST_DATA "/methods-2/model.json");
        return nlohmann::json::parse(in);
    }();
    return read;
}

constexpr std::size_t fixture_layers[] = {0, 14, 29};
constexpr const char* budgets[] = {"0.25", "0.5", "0.75"};

std::vector<std::size_t> best(std::span<const double> scores, std::size_t count) {
    const auto kept = top_k(scores, count);
    return {kept.begin(), kept.end()};
}

} // namespace

TEST_CASE("global evicts the lowest cells of all layers and heads, (int)(L H n c) of them") {
    const std::vector<Told> layers{{{1, 8, 3, 4, /**/ 16, 2, 9, 5}}, {{7, 0, 6, 10, /**/ 11, 12, 13, 14}}};
    CHECK(divide("global@kvpress(h2o)", 0.5, layers) == Counts{1, 2, 1, 4});
    CHECK(divide("global@kvpress(h2o)", 0.7, layers) == Counts{0, 1, 0, 4}); // (int)(11.2) go
    CHECK(divide("global@kvpress(h2o)", 0.05, layers) == Counts{4, 4, 4, 4});
    CHECK(divide("global@kvpress(h2o)", 1, layers) == Counts{0, 0, 0, 0});
}

TEST_CASE("global keeps what is protected in any layer, and of equal cells those of the first layers and heads") {
    const std::vector<Told> protecting{{{1, 2, 3, inf, /**/ 0, 0, 0, -inf}}, {{9, 9, 9, 9, /**/ inf, inf, 5, 4}}};
    CHECK(divide("global@kvpress(h2o)", 0.75, protecting) == Counts{1, 0, 1, 2});
    const std::vector<Told> equal{{{1, 1, 1, 1, /**/ 1, 1, 1, 1}}, {{1, 1, 1, 1, /**/ 1, 1, 1, 1}}};
    CHECK(divide("global@kvpress(h2o)", 0.6, equal) == Counts{4, 3, 0, 0}); // (int)(9.6) of 16 go
}

TEST_CASE("a wrapper cannot go over a scorer with budgets for the whole model, and is told so") {
    for (const char* text : {"adakv@kvpress(global@kvpress(snapkv@kvpress))", "global@kvpress(cake@paper)"})
        CHECK_THROWS_WITH(make_scorer(text, host()),
                          ContainsSubstring("says how many tokens each head of each layer keeps"));
    CHECK_THROWS_AS(make_scorer("global@kvpress(adakv@kvpress(h2o))", host()), UsageError);
}

TEST_CASE("CAKE divides by preference, hands on what a layer has no room for, and then what is missing") {
    // 10 tokens, a window of 2, K 5: 3 a layer to divide, 9 in all; 8 in a layer at most
    const auto layer = [](double preference) { return Told{std::vector<double>(20), 5, {preference}}; };
    CHECK(divide("cake@paper:window=2", 0.5, {layer(1), layer(1), layer(1)}) == Counts{5, 5, 5, 5, 5, 5});
    // 0.9, 0.9 and 7.2 of 9: 0, 0 and 7, and the 2 that are missing go to the first two
    CHECK(divide("cake@paper:window=2", 0.5, {layer(1), layer(1), layer(8)}) == Counts{3, 3, 3, 3, 9, 9});
    // 0, 0 and 9: one beyond its 8 tokens before the window, which the first of the others gets
    CHECK(divide("cake@paper:window=2", 0.5, {layer(0), layer(0), layer(8)}) == Counts{3, 3, 2, 2, 10, 10});
    // no room above the window: K; a prompt that is hardly longer than K: all
    CHECK(divide("cake@paper:window=5", 0.75, {{std::vector<double>(40), 5, {1}}, {std::vector<double>(40), 5, {8}}}) ==
          Counts{5, 5, 5, 5});
    Told nearly = layer(1);
    nearly.kept = 8;
    CHECK(divide("cake@paper:window=2", 0.2, {nearly, nearly}) == Counts{10, 10, 10, 10});
}

TEST_CASE("CAKE's budgets of 30 layers are those of the authors' program, from its preferences") {
    for (const auto& [press, preset] :
         {std::pair{"cake", "cake@paper"}, std::pair{"cake_w8t", "cake@paper:window=8,tau1=1.6,tau2=0.4,gamma=5"}})
        for (const char* budget : budgets) {
            INFO(press << ", removed " << budget);
            const double removed = std::stod(budget);
            std::vector<Told> layers;
            for (const double preference : model_fixture().at("cake").at("pref").at(press))
                layers.push_back({std::vector<double>(297), kept_count_for_removed(297, removed), {preference}, 1});
            CHECK(divide(preset, removed, layers) ==
                  model_fixture().at("cake").at("kept_a_layer").at(press).at(budget).get<Counts>());
        }
}

TEST_CASE("CAKE's scores, preferences and kept tokens are those of the authors' program") {
    for (const auto& [press, text] :
         {std::pair{"cake", "cake@paper"}, std::pair{"cake_w8t", "cake@paper:window=8,tau1=1.6,tau2=0.4,gamma=5"}}) {
        const Scorer scorer = make_scorer(text, host());
        const ScorerRun run(scorer);
        std::vector<double> preferences, expected;
        for (const std::size_t index : fixture_layers) {
            INFO(press << ", layer " << index);
            const MethodsLayer& layer = methods_layer(index);
            const Selected selected = select(text, layer, 0.5, product_column);
            const std::size_t window = press == std::string("cake") ? 32 : 8, m = layer.tokens - window;
            std::vector<double> before;
            for (std::size_t head = 0; head < layer.kv_heads; ++head) {
                const auto row = std::span(selected.scores).subspan(head * layer.tokens, layer.tokens);
                before.insert(before.end(), row.begin(), row.begin() + static_cast<std::ptrdiff_t>(m));
                CHECK(std::ranges::count(row, inf) == static_cast<std::ptrdiff_t>(window));
            }
            CHECK(worst_difference(before, layer.scores.at(press)) < 1e-4);
            preferences.push_back(facts_of(text, layer, 0.5, product_column).at(0));
            expected.push_back(model_fixture().at("cake").at("pref").at(press).at(index).get<double>());
            for (const char* budget : budgets) {
                const auto& counts = model_fixture().at("cake").at("kept_a_layer").at(press).at(budget);
                const auto& kept = model_fixture().at("cake_kept").at(press).at(budget).at(std::to_string(index));
                const auto& gap = model_fixture().at("cake_gap").at(press).at(budget).at(std::to_string(index));
                for (std::size_t head = 0; head < layer.kv_heads; ++head) {
                    const auto row = std::span(selected.scores).subspan(head * layer.tokens, layer.tokens);
                    CHECK(difference(best(row, counts.at(index).get<std::size_t>()),
                                     kept[head].get<std::vector<std::size_t>>(), row, gap[head].get<double>()) == "");
                }
            }
        }
        for (std::size_t l = 1; l < preferences.size(); ++l) // but for a factor that all layers share
            CHECK(preferences[l] / preferences[0] == Approx(expected[l] / expected[0]).epsilon(1e-5));
    }
}

TEST_CASE(
    "LayerDefensiveKV: scores of three layers, budgets of all 30 and kept tokens are those of the authors' program") {
    const auto tensors = read_safetensors(EVICTLAB_TEST_DATA "/methods-2/layer_defensivekv.safetensors");
    const auto& fixture = model_fixture().at("layer_defensivekv");
    for (const char* budget : budgets) {
        const double removed = std::stod(budget);
        const Tensor& scores = tensors.at(std::string("score.layer_defensivekv.c") + budget);
        const std::size_t size = scores.values.size() / 30;
        std::vector<Told> layers;
        Counts expected;
        for (std::size_t l = 0; l < 30; ++l) {
            const auto begin = scores.values.begin() + static_cast<std::ptrdiff_t>(l * size);
            layers.push_back({{begin, begin + static_cast<std::ptrdiff_t>(size)}, 0, {}, 3});
            for (const std::uint64_t count : fixture.at("lengths").at(budget).at(l)) expected.push_back(count);
        }
        CHECK(divide("layer_defensivekv@paper", removed, layers) == expected);
        CHECK(std::accumulate(expected.begin(), expected.end(), std::uint64_t{0}) ==
              static_cast<std::uint64_t>(297 * (1 - removed) * 3 * 30));
        for (const std::size_t index : fixture_layers) {
            INFO("removed " << budget << ", layer " << index);
            const MethodsLayer& layer = methods_layer(index);
            const Selected selected = select("layer_defensivekv@paper", layer, removed, product_column);
            const std::span all(scores.values);
            CHECK(worst_difference(selected.scores, all.subspan(index * size, size)) < 1e-4);
            const auto& kept = fixture.at("kept").at(budget).at(std::to_string(index));
            const auto& gap = fixture.at("gap").at(budget).at(std::to_string(index));
            for (std::size_t head = 0; head < layer.kv_heads; ++head) {
                const auto row = std::span(selected.scores).subspan(head * layer.tokens, layer.tokens);
                CHECK(difference(best(row, expected[index * 3 + head]), kept[head].get<std::vector<std::size_t>>(), row,
                                 gap[head].get<double>()) == "");
            }
        }
    }
}

TEST_CASE("LayerDefensiveKV takes the product from left to right, and may leave a layer nothing") {
    const std::vector<Told> layers{{{1, 2, 3, /**/ 4, 5, 6}}, {{7, 8, 9, /**/ 10, 11, 12}}};
    CHECK(divide("layer_defensivekv@paper", 0.5, layers) == Counts{0, 0, 3, 3});
    CHECK(divide("layer_defensivekv@paper", 0.45, layers) == Counts{0, 0, 3, 3}); // 3 * 0.55 * 2 * 2 = 6.6
    CHECK(divide("layer_defensivekv@sane", 0.9, layers) == Counts{0, 0, 0, 1});
}

namespace {

const std::vector<double> retentions{0.25, 0.5, 1};

std::vector<TraceShape> shapes() {
    TraceShape shape;
    shape.layers = {0, 2, 3};
    shape.windows = {0, 0, 0};
    shape.tokens = 61;
    shape.prompt = 49;
    shape.dim = 10;
    shape.query_heads = 6;
    shape.kv_heads = 2;
    shape.probes = 2;
    return traces_like(shape, {"train", "train", "valid", "test"});
}

struct MadeUpSuite : WrittenSuite {
    MadeUpSuite() : WrittenSuite(shapes(), 14) {}
};

Bench bench(const Suite& suite, const std::vector<std::string>& names, BenchOptions options = {}) {
    std::vector<Scorer> scorers;
    for (const auto& name : names) scorers.push_back(make_scorer(name, host()));
    options.retentions = retentions;
    return run_bench(suite, scorers, options);
}

const ScorecardRow& row(const Bench& bench, const std::string& name) {
    const auto at = std::ranges::find(bench.rows, name, &ScorecardRow::scorer);
    REQUIRE(at != bench.rows.end());
    return *at;
}

bool close(double a, double b) { return std::abs(a - b) <= 2e-5 * std::max(std::abs(b), 1e-3); }

/// By the slow judge: the mean output error and attention loss over the layers of the first trace, where the cells with
/// the highest of `scores` [layer][head] stay, so many of the whole model.
SlowDamage slow_global(const CapturedTrace& trace, const std::vector<Matrix>& scores, std::size_t cells) {
    std::vector<double> all;
    for (const Matrix& layer : scores)
        for (const auto& head : layer) all.insert(all.end(), head.begin(), head.end());
    std::vector<Sets> kept(scores.size(), Sets(scores[0].size()));
    const std::size_t n = trace.prompt_len(), of_layer = scores[0].size() * n;
    for (const std::uint32_t cell : slow_top(all, cells))
        kept[cell / of_layer][cell % of_layer / n].push_back(static_cast<std::uint32_t>(cell % n));
    SlowDamage mean;
    std::size_t place = 0;
    for (const std::size_t number : trace.held_layers()) {
        const OwnedLayer tensors = trace.load_layer(number);
        const AlignedFloats projection = trace.output_projections()->load(number);
        const SlowLayer slow(tensors, n, std::vector<double>(trace.token_type(), trace.token_type() + trace.seq_len()),
                             {projection.begin(), projection.end()});
        const SlowDamage damage = slow.damage(kept[place++]);
        mean.output_error += damage.output_error / static_cast<double>(scores.size());
        mean.attention_loss += damage.attention_loss / static_cast<double>(scores.size());
    }
    return mean;
}

} // namespace

TEST_CASE("a bench by prefill divides the model's budget as the slow judge does, scores and all") {
    const MadeUpSuite made;
    const CapturedTrace& trace = made.trace();
    const Bench result = bench(made.suite, {"global@kvpress(=cumulative_attn)", "=cumulative_attn"});
    std::vector<Matrix> scores, attention;
    for (const std::size_t number : trace.held_layers()) {
        const OwnedLayer tensors = trace.load_layer(number);
        const SlowLayer slow(tensors, trace.prompt_len(),
                             std::vector<double>(trace.token_type(), trace.token_type() + trace.seq_len()));
        scores.push_back(slow.column("cumulative_attn"));
        const AttentionRows rows(tensors.view());
        const ContinuationDamage damage(rows, trace.prompt_len(), nullptr);
        Matrix& mean = attention.emplace_back();
        for (std::size_t a = 0; a < 2; ++a)
            mean.emplace_back(damage.mean_attention(a).begin(), damage.mean_attention(a).end());
    }
    const double all = 3 * 2 * 49;
    for (std::size_t r = 0; r < 2; ++r) {
        INFO("retention " << retentions[r]);
        const auto cells = static_cast<std::size_t>(all) - static_cast<std::size_t>(all * (1.0 - retentions[r]));
        const SlowDamage expected = slow_global(trace, scores, cells);
        const ScorecardRow& card = row(result, "global@kvpress(=cumulative_attn)");
        CHECK(close(card.splits[0].by_trace[0][r], expected.output_error));
        CHECK(close(card.more_splits[0][0].by_trace[0][r], expected.attention_loss));
        CHECK(card.retention_used[0][r] == Approx(static_cast<double>(cells) / all));
        const std::size_t bound = 6 * kept_count_for_removed(49, 1.0 - retentions[r]);
        const ScorecardRow& oracle = row(result, "oracle (model budget)");
        CHECK(close(oracle.more_splits[0][0].by_trace[0][r], slow_global(trace, attention, bound).attention_loss));
        CHECK(oracle.retention_used[0][r] == Approx(static_cast<double>(bound) / all));
    }
    CHECK(row(result, "global@kvpress(=cumulative_attn)").splits[0].by_retention[2] == 0); // all are kept
}

TEST_CASE("rows with budgets for the model leave the others' figures as they are, for any number of threads") {
    const MadeUpSuite made;
    const std::vector<std::string> plain{"snapkv@kvpress:window=4", "random"},
        names{"snapkv@kvpress:window=4", "global@kvpress(snapkv@kvpress:window=4)", "random", "cake@paper:window=4",
              "layer_defensivekv@sane:window=4"};
    const Bench without = bench(made.suite, plain);
    BenchOptions options;
    options.threads = 1;
    const Bench alone = bench(made.suite, names, options);
    CHECK(std::ranges::find(without.rows, "oracle (model budget)", &ScorecardRow::scorer) == without.rows.end());
    for (const auto& card : without.rows) {
        INFO(card.scorer);
        CHECK(row(alone, card.scorer).splits[0].by_trace == card.splits[0].by_trace);
        CHECK(row(alone, card.scorer).more_splits[0][0].by_trace == card.more_splits[0][0].by_trace);
    }
    for (const int threads : {2, 7}) {
        options.threads = threads;
        const Bench many = bench(made.suite, names, options);
        REQUIRE(many.rows.size() == alone.rows.size());
        for (std::size_t r = 0; r < many.rows.size(); ++r)
            for (std::size_t m = 0; m < many.rows[r].more_splits.size(); ++m) {
                CHECK(many.rows[r].splits[0].by_trace == alone.rows[r].splits[0].by_trace);
                CHECK(many.rows[r].more_splits[m][0].by_trace == alone.rows[r].more_splits[m][0].by_trace);
            }
    }
}

TEST_CASE("decode and rescore refuse budgets for the whole model by name") {
    const MadeUpSuite made;
    const Scorer scorer = make_scorer("global@kvpress(snapkv@kvpress)", host());
    CHECK_THAT(refusal(scorer, made.suite, "decode"), ContainsSubstring("runs under prefill"));
    CHECK_THAT(refusal(scorer, made.suite, "rescore"), ContainsSubstring("runs under prefill"));
    CHECK(refusal(scorer, made.suite, "prefill").empty());
    CHECK_THAT(refusal_by_rescore(make_scorer("cake@paper", host())), ContainsSubstring("looks at all layers"));
}

TEST_CASE("a scorer that breaks while the model's budget is divided has no row, and is told with its trace") {
    const MadeUpSuite made;
    PluginHost with(std::vector<std::filesystem::path>{EVICTLAB_TEST_PLUGINS "/written"});
    std::vector<Scorer> scorers{make_scorer("sdk_budgets@model:excess=1", with), make_scorer("random", with),
                                make_scorer("sdk_budgets@model:fact=-1", with)};
    BenchOptions options;
    options.retentions = retentions;
    const Bench result = run_bench(made.suite, scorers, options);
    REQUIRE(result.failures.size() == 2);
    CHECK_THAT(result.failures[0].what(),
               ContainsSubstring("budget: layer 0: head 0: 50 of 49 tokens are to be kept (trace ") &&
                   ContainsSubstring(made.trace().name()));
    CHECK_THAT(result.failures[1].what(),
               ContainsSubstring("budget: layer 0: fact 2 is NaN, or was not written (trace "));
    CHECK(row(result, "random").splits[0].by_retention[0] > 0);
    CHECK(row(result, "oracle (model budget)").splits[0].by_retention[0] > 0);
}

TEST_CASE("a bench with budgets for the model heeds the wish to stop") {
    const MadeUpSuite made;
    const std::atomic<bool> stop{true};
    BenchOptions options;
    options.stop = &stop;
    CHECK_THROWS_AS(bench(made.suite, {"global@kvpress(snapkv@kvpress)"}, options), Interrupted);
}
