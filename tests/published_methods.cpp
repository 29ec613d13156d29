// Every published method against what NVIDIA's kvpress and the authors' own programs computed on a real model: scores
// to a relative 1e-4, kept sets, budgets of layers and heads. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/support/catch.hpp"
#include "tests/support/methods_presses.hpp"
#include "tests/support/methods_reference.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

constexpr std::size_t layers[] = {0, 14, 29};
constexpr const char* budgets[] = {"0.25", "0.5", "0.75"};

// criticalkv_snapkv at 0.75 pins 37 of the window's 64 tied tokens: which ones nobody can say.
void check_scores_with_tied_pins(const Selected& selected, const std::vector<float>& expected,
                                 const MethodsLayer& layer) {
    const std::size_t n = layer.tokens, window = 64;
    for (std::size_t head = 0; head < layer.kv_heads; ++head) {
        const auto scores = std::span(selected.scores).subspan(head * n, n);
        const auto wanted = std::span(expected).subspan(head * n, n);
        CHECK(worst_difference(scores.first(n - window), wanted.first(n - window)) < 1e-4);
        const float pin = std::numeric_limits<float>::max();
        CHECK(std::ranges::count(scores, double{pin}) == std::ranges::count(wanted, pin));
    }
}

void check_press(const Press& press, const MethodsLayer& layer, const char* budget, const ColumnSource& columns) {
    INFO(press.name << " as " << press.scorer << ", layer " << layer.layer << ", removed " << budget);
    const auto selected = select(press.scorer, layer, std::stod(budget), columns);
    if (press.has_scores) {
        const std::string key = press.by_budget ? fmt::format("{}.c{}", press.name, budget) : press.name;
        const auto& expected = layer.scores.at(key);
        if (key == "criticalkv_snapkv.c0.75")
            check_scores_with_tied_pins(selected, expected, layer);
        else
            CHECK(worst_difference(selected.scores, expected) < 1e-4);
    }
    const auto name = std::to_string(layer.layer);
    const auto& kept = methods_kept().at("kept").at(press.name).at(budget).at(name);
    const auto& gaps = methods_kept().at("gap").at(press.name).at(budget).at(name);
    for (std::size_t head = 0; head < layer.kv_heads; ++head) {
        INFO("head " << head);
        const auto row = std::span(selected.scores).subspan(head * layer.tokens, layer.tokens);
        CHECK(difference(selected.kept[head], kept[head].get<std::vector<std::size_t>>(), row,
                         gaps[head].get<double>()) == "");
    }
}

} // namespace

// The columns of plain double arithmetic, and the product's own.
struct Source {
    const char* name;
    ColumnSource columns;
};
const std::vector<Source> sources{{"reference columns", known_reference_column},
                                  {"the product's columns", product_column}};

TEST_CASE("every press of kvpress: scores and kept sets") {
    CHECK(kvpress_presses().size() == methods_kept().at("presses").size());
    for (const Source& source : sources) {
        INFO(source.name);
        for (const Press& press : kvpress_presses())
            for (const std::size_t layer : layers)
                for (const char* budget : budgets) check_press(press, methods_layer(layer), budget, source.columns);
    }
}

TEST_CASE("replayed queries: those of the product and of plain double arithmetic attend to the same") {
    for (const char* name : {"replayed_attn:64", "replayed_attn:40:rms", "replayed_attn:all:count=100:rms"})
        for (const std::size_t layer : layers) {
            INFO(name << " of layer " << layer);
            const auto expected = known_reference_column(methods_layer(layer), name);
            CHECK(worst_difference(product_column(methods_layer(layer), name),
                                   std::vector<float>(expected.begin(), expected.end())) < 1e-4);
        }
}

TEST_CASE("CriticalKV's norms from the output projection") {
    const MethodsLayer& layer = methods_layer(14);
    const auto norms = product_wov_norms(layer);
    CHECK(worst_difference(std::vector<double>(norms.begin(), norms.end()), layer.wov_l1) < 1e-5);
}

TEST_CASE("PyramidKV's budgets of all layers, as kvpress has them") {
    PluginHost host;
    const auto& presses = methods_kept().at("pyramidkv_layer_budgets");
    for (const auto& [press, by_budget] : presses.items()) {
        const auto at = std::ranges::find(kvpress_presses(), press, [](const Press& p) { return std::string(p.name); });
        const Scorer scorer = make_scorer(at->scorer, host);
        const auto instance = scorer.plugin()->create(scorer.values());
        for (const auto& [budget, expected] : by_budget.items()) {
            INFO(press << " at " << budget);
            const double removed = std::stod(budget);
            std::vector<std::size_t> kept;
            for (std::uint32_t layer = 0; layer < 30; ++layer)
                kept.push_back(instance->layer_budget(
                    {sizeof(evl_budget_query), layer, 30, 3, 297, removed, kept_count_for_removed(297, removed)}));
            CHECK(kept == expected.get<std::vector<std::size_t>>());
        }
    }
}

namespace {

struct PaperSet {
    const char* name;
    const char* scorer;
    std::size_t capacity; // or
    double removed = 0;
    bool by_query_head = false;
};

constexpr PaperSet paper_sets[] = {
    {"snapkv_kvhead_w32k7max_C128", "snapkv@paper", 128},
    {"snapkv_kvhead_w64k5avg_C128", "snapkv@paper:window=64,kernel=5,max_pooling=0", 128},
    {"snapkv_qhead_w32k7max_C128", "snapkv@paper", 128, 0, true},
    {"pyramidkv_kvhead_w8k7max_C64_L30", "pyramidkv@paper", 64},
    {"pyramidkv_kvhead_w8k7max_C140_L30", "pyramidkv@paper", 140},
    {"pyramidkv_kvhead_w8k7max_C200_L30", "pyramidkv@paper", 200},
    {"h2o_kvhead_w8_C128", "h2o@paper", 128},
    {"streaming_llm_C128", "streaming_llm@paper", 128},
    {"adakv_w32k7max_C128_a0.2", "adakv@paper(snapkv@paper)", 128},
    {"adakv_normalize_w32k7max_C128_a0.2", "adakv@paper:normalize=1(snapkv@paper)", 128},
    {"knorm_keep0.4", "knorm@paper", 0, 0.6},
    {"lagkv_S16_T32_ratio0.4", "lagkv@paper:lag=32", 0, 0.6},
    {"tova_C128", "tova@paper", 128},
};

} // namespace

TEST_CASE("every set of the authors' own programs") {
    const Source source = GENERATE(from_range(sources));
    INFO(source.name);
    const auto& paper = methods_kept().at("paper");
    CHECK(std::size(paper_sets) == paper.at("sets").size());
    for (const PaperSet& set : paper_sets) {
        for (const std::size_t index : layers) {
            const auto& layer = set.by_query_head ? methods_layer_by_query_head(index) : methods_layer(index);
            const double removed =
                set.capacity > 0 ? removed_fraction_for_kept(layer.tokens, set.capacity) : set.removed;
            const auto selected = select(set.scorer, layer, removed, source.columns);
            const auto& kept = paper.at("sets").at(set.name).at(std::to_string(index));
            const auto& gaps = paper.at("gap").at(set.name).at(std::to_string(index));
            REQUIRE(kept.size() == layer.kv_heads);
            for (std::size_t head = 0; head < layer.kv_heads; ++head) {
                INFO(set.name << ", layer " << index << ", head " << head);
                const auto row = std::span(selected.scores).subspan(head * layer.tokens, layer.tokens);
                CHECK(difference(selected.kept[head], kept[head].get<std::vector<std::size_t>>(), row,
                                 gaps[head].get<double>()) == "");
            }
        }
    }
}
